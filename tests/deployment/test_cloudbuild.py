"""cloudbuild.yaml: it is what Cloud Build takes, each of its steps is complete, and its tests are the README's."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud.devtools.cloudbuild_v1 import Build
from google.protobuf import json_format

from deploy.cloud.bootstrap import submit_command
from deploy.cloud.deployment import Deployment
from deploy.cloud.provision.schedule import DEADLINE
from deploy.cloud.provision.trigger import ACK_DEADLINE
from deploy.local.stack import TIMEOUTS
from shared.adapters.vertex.submit import CREATE_TIMEOUT
from shared.config.settings import PollSettings, Settings, StatusSettings, SubmitSettings
from tests.deployment.completeness import BUILT_IN, problems
from tests.deployment.rehearsal import CONFIG, ROOT, Recorder

Document = dict[str, Any]


@pytest.fixture
def build() -> Document:
    """Give what stands in the file."""
    return loaded()


def loaded() -> Document:
    """Read the file."""
    document: Document = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    return document


def step(build: Document, step_id: str) -> Document:
    """Find a step."""
    found: Document = next(step for step in build["steps"] if step["id"] == step_id)
    return found


# --- what Cloud Build takes


def test_the_published_schema_allows_it(build: Document, tmp_path: Path) -> None:
    """Cloud Build's JSON schema has nothing against it, but would have against a misspelt key."""
    step(build, "smoke")["waitfor"] = step(build, "smoke").pop("waitFor")
    misspelt = tmp_path / "misspelt.yaml"
    misspelt.write_text(yaml.safe_dump(build), encoding="utf-8")

    def check(file: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild", str(file)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    good, bad = check(CONFIG), check(misspelt)
    assert good.returncode == 0, good.stdout
    assert bad.returncode == 1
    assert "'waitfor' was unexpected" in bad.stdout


def test_it_is_a_build_of_cloud_builds_own_type(build: Document) -> None:
    """Each key is a field of the API's message, and each value is of its type, durations included."""
    message = parsed(build)
    assert message.timeout.total_seconds() == float(build["timeout"].removesuffix("s"))
    assert [s.id for s in message.steps] == [s["id"] for s in build["steps"]]
    assert [s.id for s in message.steps if s.allow_failure] == ["smoke"]
    assert message.options.automap_substitutions


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda build: build.update(timeOut="3000s"), "timeOut"),
        (lambda build: build.update(timeout="50m"), "timeout"),
        (lambda build: build["options"].update(machineType="E2_HIGHCPU_7"), "E2_HIGHCPU_7"),
        (lambda build: step(build, "smoke").update(waitFor="provision"), "waitFor"),
        (lambda build: build["substitutions"].update(_REGION=None), "substitutions"),
    ],
    ids=["unknown key", "duration", "enum", "list", "no string"],
)
def test_an_invalid_build_is_refused(build: Document, mistake: Callable[[Document], None], message: str) -> None:
    """The API's own type refuses, and names, what does not fit."""
    mistake(build)
    with pytest.raises(json_format.ParseError, match=message):
        parsed(build)


def parsed(build: Document) -> Any:
    """Read a build as the API does."""
    return Build.wrap(json_format.ParseDict(build, Build.pb(Build()), ignore_unknown_fields=False))


# --- each step is complete


def test_every_step_is_complete(build: Document) -> None:
    """Our own rules find nothing."""
    assert problems(build) == []


def test_a_function_has_as_long_on_a_laptop(build: Document) -> None:
    """The local stack ends a handler when the cloud does."""
    stated = {verb: re.search(r"--timeout=(\d+)s", step(build, f"deploy-{verb}")["script"]) for verb in TIMEOUTS}
    assert {verb: int(found[1]) for verb, found in stated.items() if found} == TIMEOUTS


def in_step(step_id: str, **changes: Any) -> Callable[[Document], None]:
    """Change keys of a step; None takes a key away."""

    def change(build: Document) -> None:
        found = step(build, step_id)
        found.update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            del found[key]

    return change


def in_script(step_id: str, old: str, new: str) -> Callable[[Document], None]:
    """Replace something in a step's script, once."""

    def change(build: Document) -> None:
        found = step(build, step_id)
        assert found["script"].count(old) == 1, f"{step_id} has no single {old!r}"
        found["script"] = found["script"].replace(old, new)

    return change


def flag(verb: str, name: str, value: str | None) -> Callable[[Document], None]:
    """Give a function's flag another value; None takes the flag away."""

    def change(build: Document) -> None:
        found = step(build, f"deploy-{verb}")
        new = "" if value is None else f"--{name}={value}"
        found["script"], count = re.subn(rf"--{name}(=\S+)?", new, found["script"])
        assert count == 1, f"deploy-{verb} has not exactly one --{name}"

    return change


def seconds(settings: type[Settings], name: str) -> int:
    """Return a setting's default."""
    return int(settings.model_fields[name].default)


POLL_BUDGET, POLL_LEASE = (seconds(PollSettings, f"poll_{name}_seconds") for name in ("budget", "lease"))
STATUS_BUDGET = seconds(StatusSettings, "status_budget_seconds")
LONGEST_CALL = seconds(SubmitSettings, "submit_budget_seconds") + seconds(SubmitSettings, "submit_create_seconds")
LONGEST_CLAIM = seconds(SubmitSettings, "submit_lease_seconds") - int(CREATE_TIMEOUT)


def without(step_id: str) -> Callable[[Document], None]:
    """Leave a step out, and let nobody wait for it."""

    def change(build: Document) -> None:
        build["steps"].remove(step(build, step_id))
        for other in build["steps"]:
            other["waitFor"] = [waited for waited in other.get("waitFor", []) if waited != step_id]

    return change


MISTAKES: dict[str, tuple[Callable[[Document], None], str]] = {
    "no timeout": (lambda build: build.pop("timeout"), "timeout: is None"),
    "no logging": (lambda build: build["options"].pop("logging"), "options.logging: is missing"),
    "no id": (in_step("provision", id=None), "step 2: has no id"),
    "an id twice": (in_step("deploy-submit", id="deploy-poll"), "deploy-poll: two steps have this id"),
    "latest": (in_step("smoke", name="python:latest"), "smoke: its image 'python:latest' is not pinned"),
    "no tag": (
        in_step("deploy-poll", name="localhost:5000/google-cloud-cli"),
        "deploy-poll: its image 'localhost:5000/google-cloud-cli' is not pinned",
    ),
    "another image": (
        in_step("smoke", name="python:3.11"),
        "smoke: uses .venv, which was made in the image python:3.12@",
    ),
    "no shebang": (in_script("smoke", "#!/usr/bin/env bash\n", ""), "smoke: its script does not begin with bash's"),
    "an open bracket": (in_script("deploy-submit", "\n)\n", "\n"), "deploy-submit: its script is no bash"),
    "args beside a script": (in_step("install", args=["-c"]), "install: has args, which"),
    "a script that is not there": (
        in_script("roll-back-unless-good", "deploy/cloud/roll_back.sh", "deploy/rollback.sh"),
        "roll-back-unless-good: runs deploy/rollback.sh, which does not exist",
    ),
    "waits for a later step": (in_step("provision", waitFor=["smoke"]), "provision: waits for 'smoke', which is no"),
    "waits for nothing": (in_step("deploy-status", waitFor=["-"]), "deploy-status: does not wait for install"),
    "unused substitution": (
        lambda build: build["substitutions"].update(_SPARE="x"),
        "_SPARE: is declared, but nothing uses it",
    ),
    "undeclared substitution": (
        lambda build: build["substitutions"].pop("_VPC_CONNECTOR"),
        "_VPC_CONNECTOR: deploy/cloud/function.sh uses it, but it is not declared",
    ),
    "misspelt substitution": (
        in_script("smoke", "${PROJECT_ID}", "${PROJECT}"),
        "PROJECT: the step smoke uses it, but it is not declared",
    ),
    "no automapping": (
        lambda build: build["options"].pop("automapSubstitutions"),
        "options.automapSubstitutions: is not set",
    ),
    "strict substitutions": (
        lambda build: build["options"].pop("substitutionOption"),
        "Cloud Build refuses what no step spells: ['COMMIT_SHA', '_BINARY_AUTHORIZATION', '_EGRESS', "
        "'_FUNCTION_FLAGS', '_SETTINGS', '_VPC_CONNECTOR', '_WANDB_BASE_URL', '_WORKER_POOL']",
    ),
    "no digest": (in_step("smoke", name="python:3.12"), "smoke: its image 'python:3.12' is not pinned by a digest"),
    "tests as the deployer": (
        in_script("install", "exec .venv", ".ci/run\nexec .venv"),
        "install: runs .ci/run, whose",
    ),
    "packages without hashes": (
        in_script("install", "--require-hashes", "--upgrade"),
        "install: pip has to check hashes, and install requirements-deploy.txt only",
    ),
    "test packages": (
        in_script("install", "requirements-deploy", "requirements-dev"),
        "install: pip has to check hashes, and install requirements-deploy.txt only",
    ),
    "a function left out": (without("deploy-status"), "status: no step deploys this function"),
    "let nobody in": (
        in_script("deploy-poll", "poll scheduler", "poll poll"),
        "deploy-poll: does not let launch-scheduler@p1.iam.gserviceaccount.com in",
    ),
    "another topic": (
        in_script("deploy-submit", "${_NAME}-requests", "${_NAME}"),
        "deploy-submit: --trigger-topic is launch, but requests are published to launch-requests",
    ),
    "no retry": (flag("submit", "retry", None), "deploy-submit: --retry is missing"),
    "a trigger of nobody": (
        in_script("deploy-submit", "-submit@", "-trigger@"),
        "deploy-submit: --trigger-service-account is launch-trigger@p1.iam.gserviceaccount.com, not launch-submit@",
    ),
    "no trigger": (flag("status", "trigger-http", None), "deploy-status: --trigger-http is missing"),
    "a flag without a value": (flag("poll", "memory", ""), "deploy-poll: --memory has no value"),
    "a flag left out": (flag("submit", "cpu", None), "deploy-submit: --cpu is None: say how much"),
    "costs when idle": (flag("status", "min-instances", "1"), "deploy-status: --min-instances is not 0"),
    "half a CPU for four": (flag("submit", "cpu", "0.5"), "deploy-submit: --cpu is less than 1"),
    "two polls": (flag("poll", "max-instances", "2"), "deploy-poll: --max-instances is not 1"),
    "poll is cut short": (
        flag("poll", "timeout", f"{POLL_BUDGET}s"),
        f"deploy-poll: --timeout is {POLL_BUDGET} s: not longer than POLL_BUDGET_SECONDS",
    ),
    "poll outlives its lease": (
        flag("poll", "timeout", f"{POLL_LEASE}s"),
        f"deploy-poll: --timeout is {POLL_LEASE} s: not shorter than POLL_LEASE_SECONDS",
    ),
    "status is cut short": (
        flag("status", "timeout", f"{STATUS_BUDGET}s"),
        f"deploy-status: --timeout is {STATUS_BUDGET} s: not longer than STATUS_BUDGET_SECONDS",
    ),
    "Scheduler gives up first": (
        flag("status", "timeout", f"{DEADLINE + 1}s"),
        f"deploy-status: --timeout is {DEADLINE + 1} s: longer than Cloud Scheduler's attempt deadline",
    ),
    "longer than an event may": (
        flag("submit", "timeout", "541s"),
        "deploy-submit: --timeout is 541 s: longer than what an event's function may have, 540",
    ),
    "a create is cut off": (
        flag("submit", "timeout", f"{LONGEST_CALL - 1}s"),
        f"deploy-submit: --timeout is {LONGEST_CALL - 1} s: shorter than SUBMIT_BUDGET_SECONDS and a create",
    ),
    "submit outlives its claim": (
        flag("submit", "timeout", f"{LONGEST_CLAIM + 1}s"),
        f"deploy-submit: --timeout is {LONGEST_CLAIM + 1} s: longer than SUBMIT_LEASE_SECONDS less a create",
    ),
    "delivered while it works": (
        flag("submit", "timeout", f"{ACK_DEADLINE + 1}s"),
        f"deploy-submit: --timeout is {ACK_DEADLINE + 1} s: longer than the trigger's ACK_DEADLINE",
    ),
    "smoke does not wait": (
        in_step("provision-trigger", waitFor=["deploy-poll"]),
        "smoke: does not wait for deploy-sub",
    ),
    "deployed before the traffic is held": (
        in_step("deploy-status", waitFor=["provision"]),
        "deploy-status: does not wait for hold",
    ),
    "nothing is held": (without("hold"), "no step runs deploy/cloud/hold_traffic.sh"),
    "nothing is routed": (without("route"), "no step runs deploy/cloud/route.sh"),
    "routed before the last function": (
        in_step("provision-trigger", waitFor=["deploy-poll", "deploy-submit"]),
        "route: does not wait for deploy-status",
    ),
    "tests what served before": (in_step("smoke", waitFor=["provision-trigger"]), "smoke: does not wait for route"),
    "takes the traffic at once": (
        in_script("deploy-poll", "--trigger-http", "--trigger-http --serve-all-traffic-latest-revision"),
        "deploy-poll: --serve-all-traffic-latest-revision takes the traffic before",
    ),
    "no smoke": (without("smoke"), "smoke: there is no step of this id"),
    "smoke ends the build": (in_step("smoke", allowFailure=None), "smoke: has no allowFailure"),
    "smoke always passes": (in_script("smoke", "&&", ";"), "smoke: no step after it fails the build"),
    "nobody looks at smoke": (without("roll-back-unless-good"), "smoke: no step after it fails the build"),
    "looks elsewhere": (
        in_script("smoke", ".previous/smoke-passed", ".previous/passed"),
        "smoke: a step after it fails the build though it has passed",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_named(build: Document, mistake: str) -> None:
    """A mistake planted in the file is found, and named by the step and what is wrong."""
    plant, message = MISTAKES[mistake]
    plant(build)
    assert build != loaded()
    assert any(message in problem for problem in problems(build)), problems(build)


def test_a_mistake_is_not_taken_for_another(build: Document) -> None:
    """One mistake gives one sentence."""
    changed = deepcopy(build)
    flag("submit", "retry", None)(changed)
    assert len(problems(changed)) == 1


def test_substitutions_that_bootstrap_prints_are_declared(build: Document) -> None:
    """The command that bootstrap prints sets only what the build knows."""
    command = submit_command(Deployment("p1", "us-central1", kms_key="projects/p1/k", other_scheduler_region="r"))
    given = re.findall(r"(\w+)=", command.partition("--substitutions=")[2])
    assert given == ["_REGION", "_NAME", "_KMS_KEY", "_SCHEDULER_REGION", "COMMIT_SHA"]
    assert set(given) <= {*build["substitutions"], *BUILT_IN}


def test_the_command_names_the_other_regions() -> None:
    """Builds and schedule can be in other regions than the functions; the build has to know the schedule's."""
    made = Deployment("p1", "me-west1", other_build_region="europe-west1", other_scheduler_region="europe-west4")
    command = submit_command(made)
    check, submit = command.split(" &&\n  ")
    assert check == "deploy/cloud/check_sources.sh p1"
    assert submit.startswith("gcloud beta builds submit --project=p1 --region=europe-west1 ")
    assert "_REGION=me-west1,_NAME=launch,_SCHEDULER_REGION=europe-west4," in command


def test_each_substitution_is_in_a_guide(build: Document) -> None:
    """A setting that no page names is one that nobody finds."""
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs/how-to").glob("*.md"))
    assert [name for name in build["substitutions"] if name not in pages] == []


@pytest.mark.parametrize("mirror", ["", "https://mirror.example.com/simple"])
@pytest.mark.parametrize(("file", "step_id"), [("cloudbuild.yaml", "install"), ("deploy/cloud/test.yaml", "test")])
def test_packages_come_from_a_mirror(file: str, step_id: str, mirror: str, tmp_path: Path) -> None:
    """If the build names one: pip reads it from the environment, also where `.ci/run` calls it."""
    recorder = Recorder(tmp_path)
    workspace = tmp_path / "workspace"
    note = f'echo "${{PIP_INDEX_URL-unset}}" >{tmp_path}/index'
    for name, folder in (("python", recorder.bin), ("pip", workspace / ".venv/bin"), ("run", workspace / ".ci")):
        recorder.program(name, note, where=folder)
    document = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))
    assert document["options"]["automapSubstitutions"]
    assert "machineType" not in document["options"]  # a private pool has its own
    environ = {**document["substitutions"], "_PIP_INDEX_URL": mirror, "PATH": recorder.path}
    command = ["bash", "-c", step(document, step_id)["script"]]
    subprocess.run(command, cwd=workspace, env=environ, check=True, timeout=60)
    assert (tmp_path / "index").read_text(encoding="utf-8").strip() == (mirror or "unset")


# --- the tests that a build runs


def test_ci_runs_the_tests_as_the_readme_says(tmp_path: Path) -> None:
    """`.ci/run` is `make test` in the source's root, whose exit code is the build's."""
    command = "make test"
    block = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Two commands")[2].partition("\n## ")[0]
    assert re.search(rf"^{command}\b.*run the tests", block, re.MULTILINE), "the README names another test command"
    assert re.search(r"^test:.*Run the tests", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    recorder = Recorder(tmp_path)
    recorder.program("make", 'pwd >"${0%/*}/../where"; exit 3')
    checkout = tmp_path / "checkout"
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/run", checkout / ".ci")
    assert os.access(ROOT / ".ci/run", os.X_OK)
    done = subprocess.run([checkout / ".ci/run"], cwd="/", env={"PATH": recorder.path}, check=False, timeout=60)
    assert done.returncode == 3
    assert recorder.calls() == [command.split()]
    assert (tmp_path / "where").read_text(encoding="utf-8").strip() == str(checkout)
