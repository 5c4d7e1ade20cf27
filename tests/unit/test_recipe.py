"""Images of code jobs: their sources, names and commands."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config.policy import AdmissionPolicy
from shared.core.building import Ensured, GitCredential
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind, inside, read_job
from shared.core.launch import RunPath
from shared.core.ports import CustomJobCall
from shared.runspec.policy import admit
from shared.runspec.render import render
from shared.runspec.source import resolve
from tests.fakes import FakeJobs
from tests.unit.specs import NAMES, SITE, draft_of, environment, run_spec
from tests.unit.test_runspec_source import CODE, IMAGE, PATH, REPO, container, source

DESTINATION = "us-docker.pkg.dev/p/launch/jobs"
BUILDS = replace(SITE, base_image="python:3.12", destination=DESTINATION, context_store="gs://contexts")
RUN = RunPath("team", "Cats", "r")
FROZEN = {"requirements.frozen.txt": "f1"}


def launched(job: JobSource = CODE, site: Any = BUILDS, **changes: Any) -> CustomJobCall:
    """Render a launch of a job where images are built."""
    launch, found = resolve(draft_of(run_spec(docker=None, job=job.path, **changes)), FakeJobs({job.path: job}))
    return render(launch, site, NAMES, found)


def image(*args: Any, **changes: Any) -> str:
    """Return the image that a job runs in."""
    return str(container(launched(*args, **changes))["image_uri"])


def text(*args: Any, **changes: Any) -> str:
    """Return our Dockerfile."""
    recipe = launched(*args, **changes).recipe
    assert recipe
    return recipe.text


@pytest.mark.parametrize("job", [CODE, REPO])
def test_code_runs_in_the_image_that_is_built_of_it(job: JobSource) -> None:
    """With its entry point as the command; its run names the image, and fetches nothing at the start."""
    call = launched(job, overrides={"args": ["--lr", "1"]})
    assert call.recipe
    assert call.recipe.image == container(call)["image_uri"] == environment(call)["WANDB_DOCKER"]
    assert call.recipe.image.startswith(f"{DESTINATION}:")
    started = ["python3", "train.py"] if job is CODE else ["bash", "run.sh"]
    assert (container(call)["command"], container(call)["args"]) == (started, ["--lr", "1"])
    assert (call.recipe.job, call.recipe.code, call.recipe.remote) == (PATH, job.code, job.remote)
    assert call.recipe.store == "gs://contexts/launch-builds"
    assert launched(job, replace(BUILDS, context_store="gs://own/x/")).recipe == replace(
        call.recipe, store="gs://own/x/launch-builds"
    )


@pytest.mark.parametrize("called", ["python", "python3.999", "python3"])
def test_a_python_of_another_name_is_that_of_our_image(called: str) -> None:
    """Of an override, too; in an image of the code's own Dockerfile it is what that says."""
    job = replace(CODE, entry_point=(called, "x.py"))
    assert container(launched(job))["command"] == ["python3", "x.py"]
    assert container(launched(overrides={"entry_point": [called]}))["command"] == ["python3"]
    assert container(launched(replace(job, dockerfile="D")))["command"] == [called, "x.py"]


def test_the_dockerfile_installs_what_a_start_would() -> None:
    """The code's requirements, else what was installed when the job was made; in the folder that the launch names."""
    assert text(replace(CODE, files=FROZEN), overrides={"working_dir": "a/b"}) == (
        "FROM python:3.12\n"
        "COPY code /job/code\n"
        "COPY install.py requirements.frozen.txt /job/\n"
        "WORKDIR /job/code/a/b\n"
        "ENV PIP_BREAK_SYSTEM_PACKAGES=1\n"
        "RUN python3 ../../../install.py ../../../requirements.frozen.txt ../../../left-out.txt\n"
    )
    assert "COPY install.py /job/\n" in text(CODE)
    own = replace(CODE, files=FROZEN, base_image="own:1")
    assert text(own) == "FROM own:1\nCOPY code /job/code\nWORKDIR /job/code\n"


SAME: list[tuple[str, JobSource, dict[str, Any]]] = [
    ("another job of the same code", replace(CODE, path="team/cats/other:v9"), {}),
    ("another entry point", replace(CODE, entry_point=("python", "y.py")), {}),
    ("an entry point override", CODE, {"overrides": {"entry_point": ["bash"]}}),
    ("other arguments", CODE, {"overrides": {"args": ["x"], "run_config": {"a": 1}}}),
    ("a file that the build does not need", replace(CODE, files={"diff.patch": "p"}), {}),
]
OTHER: list[tuple[str, JobSource, dict[str, Any]]] = [
    ("other code", replace(CODE, digest="d2"), {}),
    ("another folder", CODE, {"overrides": {"working_dir": "sub"}}),
    ("requirements", replace(CODE, files=FROZEN), {}),
    ("a folder in which a Dockerfile.wandb could be", replace(CODE, entry_point=("python", "src/x.py")), {}),
    ("a Dockerfile of its own", replace(CODE, dockerfile="D"), {}),
    ("the same with another context", replace(CODE, dockerfile="D", build_context="c"), {}),
    ("another Dockerfile", CODE, {"overrides": {"dockerfile": "E"}}),
    ("another base image", replace(CODE, base_image="own:1"), {}),
    ("a repository", REPO, {}),
    ("another commit", replace(REPO, commit="beef"), {}),
    ("a patched one", replace(REPO, files={"diff.patch": "p"}), {}),
    ("another patch", replace(REPO, files={"diff.patch": "q"}), {}),
]


@pytest.mark.parametrize(("_what", "job", "changes"), SAME, ids=[row[0] for row in SAME])
def test_the_same_code_has_the_same_image(_what: str, job: JobSource, changes: dict[str, Any]) -> None:
    """With any entry point."""
    assert image(job, **changes) == image(CODE)


def test_other_content_has_another_image() -> None:
    """Each of these differs from all others, and from the same in another place."""
    made = [image(job, **changes) for _, job, changes in OTHER]
    assert len({*made, image(CODE)}) == len(made) + 1
    assert (
        image(CODE).rpartition(":")[2]
        != image(CODE, replace(BUILDS, destination=f"{DESTINATION}-2")).rpartition(":")[2]
    )


def test_an_image_is_not_built() -> None:
    """Of an image job, and where no builder is set."""
    assert launched(IMAGE).recipe is None
    assert launched(CODE, replace(BUILDS, destination="")).recipe is None


@pytest.mark.parametrize("remote", ["git@Git.test:a/b.git", "ssh://git@git.test:22/a/b.git", "git@git.test:/a/b.git"])
def test_a_remote_by_ssh_is_fetched_by_https_with_the_hosts_credential(remote: str) -> None:
    """A build has no ssh key; without a credential of the host it is refused."""
    site = replace(BUILDS, git_credentials=(GitCredential("git.test:8443", "projects/p/secrets/s/versions/1"),))
    recipe = launched(replace(REPO, remote=remote), site).recipe
    assert recipe
    assert recipe.remote == "https://git.test:8443/a/b.git"
    with pytest.raises(Reject, match=r"a build has no ssh key\. Create the job again from an https:// remote"):
        launched(replace(REPO, remote=remote))


def test_nobody_can_build_in_advance_for_the_code_of_another_author() -> None:
    """An artifact's digest comes from its author's client, so the version's own name counts too."""
    forged = replace(CODE, code="team/cats/code-of-another:v0")
    assert (forged.digest, image(forged)) == (CODE.digest, image(forged))
    assert image(forged) != image(CODE)
    patched = replace(REPO, files={"diff.patch": "p"})
    assert image(patched) != image(replace(patched, path="team/cats/other:v1"))


@pytest.mark.parametrize(
    ("job", "overrides", "message"),
    [
        (CODE, {"dockerfile": "../D"}, "overrides.dockerfile: is '../D'"),
        (CODE, {"dockerfile": 5}, "overrides.dockerfile: should be a text"),
        (CODE, {"working_dir": "/x"}, "overrides.working_dir: is '/x'"),
        (CODE, {"working_dir": "$HOME"}, "overrides.working_dir: is '$HOME'"),
        (CODE, {"working_dir": "x\nRUN evil"}, "overrides.working_dir: is "),
        (
            replace(CODE, dockerfile="D"),
            {"working_dir": "x"},
            "which does not apply: the image has its own D. Set WORKDIR there",
        ),
        (replace(CODE, base_image="a\nRUN evil"), {}, "has the base image 'a\\nRUN evil'"),
    ],
)
def test_an_impossible_build_is_refused(job: JobSource, overrides: dict[str, Any], message: str) -> None:
    """With the field, the value and the fix."""
    with pytest.raises(Reject) as refused:
        launched(job, overrides=overrides)
    assert message in str(refused.value)


def test_without_a_base_image_only_a_dockerfile_of_its_own_is_built() -> None:
    """A Dockerfile brings its own base image."""
    bare = replace(BUILDS, base_image="")
    with pytest.raises(Reject, match="no base image is set for it"):
        launched(CODE, bare)
    assert launched(replace(CODE, dockerfile="D"), bare).recipe


def test_a_policy_of_images_holds_for_the_base_image_too() -> None:
    """It holds for the name of the built image, too."""
    call = launched(CODE)
    both = AdmissionPolicy(images=(DESTINATION, "docker.io/library/python"))
    admit(call, RUN, both)
    with pytest.raises(Reject, match=r"the base image: is 'python:3\.12'"):
        admit(call, RUN, AdmissionPolicy(images=(DESTINATION,)))
    with pytest.raises(Reject, match="image_uri"):
        admit(call, RUN, AdmissionPolicy(images=("docker.io",)))


@pytest.mark.parametrize(("name", "value"), [("dockerfile", "D"), ("build_context", "x")])
def test_without_a_builder_a_job_with_a_dockerfile_is_refused(name: str, value: str) -> None:
    """Rather than that its Dockerfile is ignored; the message says what to set."""
    job = replace(CODE, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(
        Reject, match=f"needs an image built from its {name}, and this deployment builds no images. Set LAUNCH_BUIL"
    ):
        launched(job, replace(BUILDS, destination=""))


@pytest.mark.parametrize(
    ("context", "command", "right"),
    [
        ("src", ["python3", "src/train.py"], ["python3", "./train.py"]),
        ("app/src", ["x", "y", "bash", "src/run.sh"], ["x", "y", "bash", "./run.sh"]),
        ("src", ["python3", "train.py"], ["python3", "train.py"]),
        ("src", ["python3", "other/train.py"], ["python3", "other/train.py"]),
        ("src", ["python3", "src/train.py", "--lr"], ["python3", "src/train.py", "--lr"]),
    ],
)
def test_a_script_has_another_path_in_the_image_of_its_folder(
    context: str, command: list[str], right: list[str]
) -> None:
    """As the agent changes it, whose context is the folder of Dockerfile.wandb."""
    assert Ensured("image", context=context).command(command) == right


@pytest.mark.parametrize(
    ("entry_point", "context", "folder"),
    [
        (("python", "src/train.py"), "", "src"),
        (("python.exe", r"src\train.py"), "", "src"),
        (("python", "src/train.py"), "app", "app/src"),
        (("python", "train.py"), "app", "app"),
        (("python", "train.py", "--data=/a/b"), "", ""),
        (("python", "../train.py"), "", ""),
        (("bash", "-c", "x\n/y"), "", ""),
    ],
)
def test_a_dockerfile_is_sought_in_the_folder_of_the_entry_point(
    entry_point: tuple[str, ...], context: str, folder: str
) -> None:
    """Within the job's build context, as the agent does."""
    recipe = launched(replace(CODE, entry_point=entry_point, build_context=context)).recipe
    assert recipe
    assert (recipe.context, recipe.dockerfile) == (folder, "")


@given(st.text(max_size=30))
def test_a_path_of_the_code_stays_within_it(written: str) -> None:
    """Or is none."""
    found = inside(written)
    assert found is None or (not found.startswith("/") and ".." not in found.split("/") and "\n" not in found)


def test_a_jobs_own_paths_are_read() -> None:
    """In their plain form."""
    written = source("artifact", dockerfile="./D", build_context="sub/")
    job = read_job(PATH, json.dumps(written).encode())
    assert (job.kind, job.dockerfile, job.build_context) == (Kind.ARTIFACT, "D", "sub")
