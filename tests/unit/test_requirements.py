"""The plan of a frozen list: what pip installs, from where, and what no other machine can have.

Each row has its source: a public issue or pull request, or the code that writes such lines.
"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.runspec.container.install import Project
from shared.runspec.container.output import hidden
from shared.runspec.container.requirements import PYTORCH, lines_of, name_of, planned

OWN_LIST = "wandb's own frozen list (name==version of each installed package)"
FREEZE = "pip freeze, copied by `wandb job create code`"
AGENT = "wandb's _wandb_bootstrap.py"
PR_5147 = "wandb PR 5147"
CONDA = "pip freeze in conda (pip issue 8174)"

EXACT, DEPENDENCIES = "exact", "with dependencies"
CU118, CPU = f"{PYTORCH}cu118", f"{PYTORCH}cpu"

ROWS = [
    # line, how it is installed (an index, if it is PyTorch's) or why not, source
    ("six==1.16.0", EXACT, OWN_LIST),
    ("pywin32==306", EXACT, f"{OWN_LIST}: Windows; pip finds no file of it"),
    ('pywin32==306 ; sys_platform == "win32"', EXACT, FREEZE),
    ("uvicorn[standard]==0.20.0", EXACT, FREEZE),
    ("numpy (>=1.2)", EXACT, "PEP 508"),
    ("six==1.16.0 --hash=sha256:00", EXACT, "pip-compile --generate-hashes"),
    ("pytorch-lightning==1.9.0", EXACT, OWN_LIST),
    ("torchmetrics==1.0", EXACT, OWN_LIST),
    ("p @ https://host/p.whl", EXACT, FREEZE),
    ("p @ git+https://github.com/o/r@c0ffee", EXACT, FREEZE),
    ("https://host/p-1.0-py3-none-any.whl", EXACT, "pip's requirements file format"),
    ("torch==2.1.0", DEPENDENCIES, f"{AGENT}: a list from macOS names no CUDA"),
    ("torch==2.1.0+cu118", CU118, PR_5147),
    ('torchvision==0.16.0+cu118 ; python_version > "3.7"', CU118, PR_5147),
    ("torchaudio==2.1.0+cpu", CPU, PR_5147),
    ("torch==2.1.0+rocm5.6", f"{PYTORCH}rocm5.6", "pytorch.org/get-started"),
    ("torch==2.5.0+xpu", f"{PYTORCH}xpu", "pytorch.org/get-started"),
    ("torchtext==0.16.0+cpu", CPU, "download.pytorch.org/whl"),
    ("xformers==0.0.22+cu118", CU118, "download.pytorch.org/whl"),
    ("fbgemm_gpu==0.5.0+cu118", CU118, "download.pytorch.org/whl"),
    ("torch==2.2.0.dev20231010+cu121", f"{PYTORCH}nightly/cu121", "pytorch.org/get-started, nightly"),
    ("torch-scatter==2.1.2+pt21cu118", "local version", "pytorch_geometric issue 4096"),
    ("torch==2.1.0a0+32f93b1", "local version", "NVIDIA's images (nvcr.io/nvidia/pytorch)"),
    ("jaxlib==0.4.7+cuda11.cudnn86", "local version", "jax issue 5231"),
    ("mmcv==1.7.0+cu118", "local version", "OpenMMLab's own index"),
    ("foo==1.0+local", "local version", "PEP 440"),
    ("wandb==0.31.1.dev1", "wandb", AGENT),
    ("wandb==0.17.0+gitabc", "wandb", AGENT),
    ("wandb[media]==0.31.1.dev1", "wandb[media]", AGENT),
    ("wandb @ git+https://github.com/wandb/wandb@c0ffee", "wandb", FREEZE),
    ("-e git+ssh://git@github.com/wandb/wandb@c0ffee#egg=wandb", "wandb", FREEZE),
    ("wandb==0.17.0", EXACT, OWN_LIST),
    ("numpy @ file:///home/conda/feedstock_root/build/work", "path", CONDA),
    ("p @ file:///C:/p.whl", "path", FREEZE),
    ("./p.whl", "path", "pip's requirements file format"),
    ("../p", "path", "pip's requirements file format"),
    ("/home/me/p", "path", "pip's requirements file format"),
    ("~/p", "path", "pip's requirements file format"),
    (r"C:\me\p-1.0-py3-none-any.whl", "path", FREEZE),
    ("p.whl", "path", "pip's requirements file format"),
    ("libs/p", "path", "pip's requirements file format"),
    ("p-1.0.tgz", "path", "pip's requirements file format"),
    ("p-1.0.tar.bz2", "path", "pip's requirements file format"),
    ("git+file:///home/me/p", "path", FREEZE),
    ("--find-links /home/me/wheels", "path", "pip's requirements file format"),
    ("-r base.txt", "option", "pip's requirements file format"),
    ("--use-feature=fast-deps", "option", "pip's requirements file format"),
    ("-e .", "editable", FREEZE),
    ("--editable git+https://github.com/o/r#egg=r", "editable", FREEZE),
    ("p @ git+ssh://git@github.com/o/r", "ssh", FREEZE),
    ("git+ssh://git@github.com/o/r", "ssh", FREEZE),
    ("blas=1.0=mkl", "not a requirement", "conda list --export"),
    ("_libgcc_mutex=0.1=main", "not a requirement", "conda list --export"),
]


@pytest.mark.parametrize(("line", "found", "_source"), ROWS, ids=[row[0] for row in ROWS])
def test_the_plan_of_a_line(line: str, found: str, _source: str) -> None:
    """It is installed in one way, or left out with the reason."""
    plan = planned(f"# a comment\n{line}  # another\n")
    if found == EXACT:
        assert (plan.exact, plan.others, plan.skipped) == ([line], {}, [])
    elif found == DEPENDENCIES:
        assert (plan.exact, plan.others, plan.skipped) == ([], {"": [line]}, [])
    elif found.startswith(PYTORCH):
        assert (plan.exact, plan.others, plan.skipped) == ([], {found: [line]}, [])
    elif found.startswith("wandb"):
        assert (plan.exact, plan.others, plan.replaced) == ([], {"": [found]}, [line])
    else:
        [(left_out, why)] = plan.skipped
        assert (left_out, plan.exact, plan.others, found in why) == (line, [], {}, True), why


def test_options_of_indexes_stay() -> None:
    """They say where packages are, also in a list with other lines."""
    lines = ["--index-url https://i/simple", "-f https://w", "--extra-index-url=https://e", "--pre"]
    assert planned("\n".join([*lines, "six==1"])).options == lines


def test_a_package_is_installed_once() -> None:
    """Python imports the first of two versions; a line that is left out is none."""
    plan = planned("numpy @ file:///x\nnumpy==1.0\nPy_Yaml==2\npy.yaml==3\nsix==1 \\\n  --hash=sha256:0\n")
    assert plan.exact == ["numpy==1.0", "Py_Yaml==2", "six==1    --hash=sha256:0"]
    assert [line for line, _ in plan.skipped] == ["numpy @ file:///x"]


def test_each_marker_of_a_package_is_kept() -> None:
    """One of the lines holds (poetry export, uv export)."""
    lines = ['numpy==1.24.4 ; python_version < "3.9"', 'numpy==1.26.4 ; python_version >= "3.9"']
    assert planned("\n".join(lines)).exact == lines


def test_a_comment_that_ends_like_a_folder_of_windows_is_one_line() -> None:
    """As in pip: the next line is none of it."""
    assert planned("# of C:\\me\\\nsix==1\n  # x \\\nnumpy==1\n").exact == ["six==1", "numpy==1"]


def test_another_index_can_have_local_versions() -> None:
    """Of jax or of PyTorch's friends; the list names the index, or the queue's variables of pip do."""
    line = "jaxlib==0.4.14+cuda12.cudnn89"
    assert planned(line).skipped
    assert planned(f"{line}\n-f https://storage.googleapis.com/jax-releases/jax_cuda_releases.html").exact == [line]
    assert planned(f"-f https://data.pyg.org/whl/\n{line}").exact == [line]
    assert planned(f"--find-links ./wheels\n{line}").exact == []
    assert planned(line, elsewhere=True).exact == [line]


def test_pip_itself_comes_last() -> None:
    """An old one may not run on this Python."""
    assert planned("pip==9.0\nsix==1\n").exact == ["six==1", "pip==9.0"]


@given(st.text(alphabet="-+=@:/.\\~ abefgrtwhnd01#;[]()\n\t", max_size=60))
def test_any_text_has_a_plan(text: str) -> None:
    """Never an exception, and no line is lost."""
    plan = planned(text)
    planned_lines = [*plan.options, *plan.exact, *plan.replaced, *(line for line, _ in plan.skipped)]
    planned_lines += [line for lines in plan.others.values() for line in lines]
    lost = set(lines_of(text)) - set(planned_lines)
    assert {name_of(line) for line in lost} <= {name_of(line) for line in planned_lines} - {""}


@pytest.mark.parametrize(
    ("written", "dependencies", "package", "computes"),
    [
        ("[tool.ruff]\nline-length = 9", [], False, False),
        ('[project]\nname = "p"\ndependencies = ["six"]', ["six"], False, False),
        ('[project]\nname = "p"\n[build-system]', [], True, False),
        ('[project]\nname = "p"\ndependencies = []\n[build-system]', [], True, False),
        ('[project]\nname = "p"\ndependencies = ["six"]\n[build-system]', ["six"], True, False),
        ('[project]\nname = "p"\ndynamic = ["dependencies"]\n[build-system]', [], True, True),
        ('[tool.poetry]\nname = "p"\n[tool.poetry.dependencies]\nsix = "*"\n[build-system]', [], True, True),
        ("[build-system]", [], False, False),
        ('project = "p"\ntool = 1', [], False, False),
        ('[project]\ndependencies = "six"', [], False, False),
        ("\ufeff[project]\ndependencies = ['six']", ["six"], False, False),
    ],
)
def test_what_a_project_says(
    tmp_path: Path, written: str, dependencies: list[str], package: bool, computes: bool
) -> None:
    """Its dependencies, whether it is a package, and whether only its build tells what it needs."""
    path = tmp_path / "pyproject.toml"
    path.write_text(written, encoding="utf-8")
    found = Project(path)
    assert (found.dependencies, found.is_package, found.computes) == (dependencies, package, computes)
    assert not found.problem


def test_a_project_that_is_no_toml_is_named(tmp_path: Path) -> None:
    """It does not end the job."""
    for text in ("not toml [", "a = " + "[" * 9000):
        (tmp_path / "p.toml").write_text(text)
        assert Project(tmp_path / "p.toml").problem.startswith("it is not TOML: ")


@pytest.mark.parametrize(
    "text",
    [
        "https://me:s3cret@h/x",
        "git+https://s3cret@github.com/o",
        "https://h/x.whl?sig=s3cret",
        "https://u:s3cret/s3cret@h/x",
        "-i https://u:s3cret@h",
        "git+https://a.b:s3cret/s3cret@github.com/o/r@c0ffee",
    ],
)
def test_no_secret_of_an_address_is_shown(text: str) -> None:
    """Neither its login nor its query."""
    assert "s3cret" not in hidden(text)


def test_the_name_of_a_line_stays_readable() -> None:
    """Its author must find it."""
    assert hidden("-e git+ssh://git@github.com/o/r@c0ffee#egg=r") == (
        "-e git+ssh://[redacted]@github.com/o/r@c0ffee#egg=r"
    )
    assert hidden("-e git+https://github.com/o/r@c0ffee#egg=r") == "-e git+https://github.com/o/r@c0ffee#egg=r"
