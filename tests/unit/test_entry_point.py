"""The command of a job's code: one rule with a builder and without one."""

import pytest

from shared.core.errors import Reject
from shared.runspec.entry_point import started
from shared.runspec.programs import NOTEBOOK

NB = ["python3", "-c", NOTEBOOK]
ROWS = [
    (["python.exe", "src/train.py"], ["python3", "src/train.py"], "wandb issue 5902"),
    (["python.exe", r"src\train.py"], ["python3", "src/train.py"], "wandb issue 5902, typed on Windows"),
    (["python3.11.exe", "x.py"], ["python3", "x.py"], "basename(sys.executable)"),
    (["PYTHON.EXE", "x.py"], ["python3", "x.py"], "basename(sys.executable)"),
    (["pythonw.exe", "x.py"], ["python3", "x.py"], "basename(sys.executable)"),
    (["python3.9", "x.py"], ["python3", "x.py"], "basename(sys.executable)"),
    ([r"C:\P\python.exe", "-u", r"a\b.py", "--d", r"C:\d"], ["python3", "-u", "a/b.py", "--d", r"C:\d"], "typed"),
    ([r".venv\Scripts\python.exe", "x.py"], ["python3", "x.py"], "typed"),
    (["C:/P/python.exe", "a/b.py"], ["python3", "a/b.py"], "typed"),
    (["py", "-3.11", "x.py", "-3"], ["python3", "x.py", "-3"], "Windows' launcher"),
    (["python", "-m", "p.train", r"a\b.py"], ["python3", "-m", "p.train", r"a\b.py"], "typed"),
    (["python", "-X", "dev", r"a\b.py"], ["python3", "-X", "dev", "a/b.py"], "typed"),
    (["python", "-W", "ignore", "n.ipynb"], [*NB, "n.ipynb"], "typed"),
    (["python", "train", r"--re=\d.py"], ["python3", "train", r"--re=\d.py"], "typed"),
    (["torchrun.exe", "--n=2", r"src\t.py"], ["torchrun", "--n=2", "src/t.py"], "typed"),
    ([r"C:\Program Files\Git\bin\bash.exe", "run.sh"], ["bash", "run.sh"], "Git for Windows"),
    ([r"scripts\run.sh"], ["scripts/run.sh"], "typed"),
    (["/usr/bin/python3.9", "x.py"], ["/usr/bin/python3.9", "x.py"], "typed: a Python of the image"),
    (["bash", "-c", r"python a\b.py"], ["bash", "-c", r"python a\b.py"], "typed"),
    (["bash", "it's.sh"], ["bash", "it's.sh"], "typed"),
    (["python3", "nb.ipynb", "--lr", "1"], [*NB, "nb.ipynb", "--lr", "1"], "a run in Jupyter"),
    (["python3.exe", r"n\a b.ipynb"], [*NB, "n/a b.ipynb"], "a run in Jupyter on Windows"),
    (["nb.ipynb"], [*NB, "nb.ipynb"], "typed"),
    (["python", "A/B.IPYNB"], [*NB, "A/B.IPYNB"], "typed"),
    (["papermill", "nb.ipynb", "out.ipynb"], ["papermill", "nb.ipynb", "out.ipynb"], "typed: it runs notebooks"),
    ([], [], "a job without one"),
]


@pytest.mark.parametrize(("written", "right", "_source"), ROWS, ids=[" ".join(row[0]) for row in ROWS])
def test_the_command_of_an_entry_point(written: list[str], right: list[str], _source: str) -> None:
    """It runs on Linux, in the Python that has the requirements."""
    assert started(written, "job", own_image=False) == right


@pytest.mark.parametrize(
    ("written", "right"),
    [
        (["python.exe", r"a\b.py"], ["python", "a/b.py"]),
        (["python3.9", "x.py"], ["python3.9", "x.py"]),
        (["py.exe", "x.py"], ["python", "x.py"]),
    ],
)
def test_an_image_of_its_own_dockerfile_keeps_its_python(written: list[str], right: list[str]) -> None:
    """Its author chose it."""
    assert started(written, "job", own_image=True) == right


@pytest.mark.parametrize(
    ("written", "right", "own"),
    [
        (["pyw3.11.exe", "x.py"], ["python3", "x.py"], ["python3.11", "x.py"]),
        (["py", "-2.7-32", "x.py"], ["python3", "x.py"], ["python", "x.py"]),
        (["py", "x.py", "-3"], ["python3", "x.py", "-3"], ["python", "x.py", "-3"]),
        ([r"C:\W\PY.exe", "-3"], ["python3"], ["python"]),
        (["py.exe"], ["python3"], ["python"]),
        (["py", "-4", "x.py"], ["python3", "-4", "x.py"], ["python", "-4", "x.py"]),
        (["python", "-3", "x.py"], ["python3", "-3", "x.py"], ["python", "-3", "x.py"]),
        (["pypy.exe", "-3", "x.py"], ["pypy", "-3", "x.py"], ["pypy", "-3", "x.py"]),
        (["pythonX.exe", "x.py"], ["pythonx", "x.py"], ["pythonx", "x.py"]),
        (["X.exe", r"a\X.py"], ["x", "a/X.py"], ["x", "a/X.py"]),
        (["python", "-c", r"a\b.py"], ["python3", "-c", r"a\b.py"], ["python", "-c", r"a\b.py"]),
        (
            ["python", "-X", r"a\b.py", r"c\d.py"],
            ["python3", "-X", r"a\b.py", "c/d.py"],
            ["python", "-X", r"a\b.py", "c/d.py"],
        ),
        (["bash", "-W", r"a\b.sh"], ["bash", "-W", "a/b.sh"], ["bash", "-W", "a/b.sh"]),
        (
            ["torchrun", "train", r"b\c.PY", "d.ipynb"],
            ["torchrun", "train", "b/c.PY", "d.ipynb"],
            ["torchrun", "train", "b/c.PY", "d.ipynb"],
        ),
        (["bash", r"n\x.ipynb"], ["bash", "n/x.ipynb"], ["bash", "n/x.ipynb"]),
        ([r"n\x.ipynb", "a"], [*NB, "n/x.ipynb", "a"], [*NB, "n/x.ipynb", "a"]),
        (["python", "n.ipynb", r"o\x.py"], [*NB, "n.ipynb", r"o\x.py"], [*NB, "n.ipynb", r"o\x.py"]),
        (["python3.11", "-m", "x.ipynb"], ["python3", "-m", "x.ipynb"], ["python3.11", "-m", "x.ipynb"]),
        (["python", r"a\train", r"b\c.py"], ["python3", r"a\train", r"b\c.py"], ["python", r"a\train", r"b\c.py"]),
        (["sh", "run", r"x\y"], ["sh", "run", r"x\y"], ["sh", "run", r"x\y"]),
    ],
    ids=str,
)
def test_a_command_with_and_without_the_codes_own_dockerfile(
    written: list[str], right: list[str], own: list[str]
) -> None:
    """Only the script's own path is changed, and only Windows' launcher chooses a version."""
    assert started(written, "job", own_image=False) == right
    assert started(written, "job", own_image=True) == own


@pytest.mark.parametrize("script", [r"C:\me\train.py", r"\\share\train.py", "D:/me/train.py"])
def test_a_script_of_another_machine_is_refused(script: str) -> None:
    """The refusal names the field, the path and the fix."""
    with pytest.raises(Reject, match=r"overrides\.entry_point: starts .* Write a path within the code"):
        started(["python", script], "overrides.entry_point", own_image=False)
