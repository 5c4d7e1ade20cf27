"""The recipes of docs/how-to/follow-launches-with-events.md, exactly as they stand there, against Google's emulator."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from shared.core.announcement import announcement
from shared.core.intake import from_request
from shared.core.launch import Outcome
from shared.core.message import Request, decode, launch_key
from tests.cloud.warm import warm_gcloud
from tests.e2e.small_deployment import FAILS, PROJECT, SmallDeployment, small_deployment
from tests.unit.specs import run_spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = Path(__file__).parents[2] / "docs/how-to/follow-launches-with-events.md"
TEXT = PAGE.read_text(encoding="utf-8")
needs_gcloud = pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")


def block(heading: str, language: str) -> str:
    """Return the first block in a language below a heading of the page."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found, heading
    return found[1]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDeployment]:
    """Run one deployment for all recipes."""
    with small_deployment(tmp_path_factory.mktemp("recipes")) as deployment:
        user: Any = types.SimpleNamespace(path=os.environ["PATH"])
        with warm_gcloud(user):
            deployment.environment["PATH"] = user.path
            yield deployment


def request_file(folder: Path, name: str, *, project: str = "cats", source: str = "nightly-pipeline") -> Path:
    """Write the page's request with a whole run spec; its launch fails in the project FAILS."""
    request = json.loads(block("Find your answers", "json"))
    request |= {"idempotency_key": name, "source": source}
    request["run_spec"] = run_spec(project=project)
    decode(json.dumps(request).encode())
    path = folder / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    return path


def run(
    deployment: SmallDeployment, command: Sequence[str], folder: Path, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run a program as a user of the emulator does."""
    environment = {**os.environ, **deployment.environment, "CLOUDSDK_CONFIG": str(folder / "gcloud"), **more}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, timeout=120, check=False, env=environment
    )


@needs_gcloud
def test_the_commands_of_the_shell(deployment: SmallDeployment, tmp_path: Path) -> None:
    """Subscribe, publish, pull: all events of the launch, with the reply attributes."""
    request_file(tmp_path, "shell")
    *first, pull = block("From a shell", "bash").strip().splitlines()
    for line in first:
        done = run(deployment, ["bash", "-euc", line], tmp_path, PROJECT=PROJECT)
        assert done.returncode == 0, done.stderr
    key = launch_key("request:nightly-pipeline", "shell")
    kept: dict[str, dict[str, str]] = {}
    for _ in range(20):
        done = run(deployment, ["bash", "-euc", pull], tmp_path, PROJECT=PROJECT)
        assert done.returncode == 0, done.stderr
        for each in json.loads(done.stdout):
            if each["message"]["attributes"]["key"] == key:
                kept[each["message"]["attributes"]["ce-id"]] = each["message"]["attributes"]
        if any("outcome" in each for each in kept.values()):
            break
    assert [(kept[name]["event"], kept[name].get("outcome")) for name in sorted(kept)] == [
        ("queued", None),
        ("submitted", None),
        ("ended", "SUCCEEDED"),
    ]
    assert {each["reply_team"] for each in kept.values()} == {"vision"}
    assert {each["reply_ticket"] for each in kept.values()} == {"4711"}


@pytest.mark.parametrize(("project", "code"), [("cats", 0), (FAILS, 1)])
def test_the_python_client(deployment: SmallDeployment, tmp_path: Path, project: str, code: int) -> None:
    """Its exit code is the outcome's; its subscription is deleted."""
    script = tmp_path / "launch.py"
    script.write_text(block("From Python", "python"), encoding="utf-8")
    assert len(script.read_text().splitlines()) <= 24
    request = request_file(tmp_path, f"python-{project}", project=project)
    done = run(deployment, [sys.executable, str(script), PROJECT, str(request)], tmp_path)
    assert (done.returncode, done.stdout.split()[-1]) == (code, "FAILED" if code else "SUCCEEDED"), done.stderr
    assert not [name for name in subscriptions(deployment) if "/wait-" in name]


def subscriptions(deployment: SmallDeployment) -> list[str]:
    """Return the names of all subscriptions."""
    return [each.name for each in deployment.subscriber.list_subscriptions(project=f"projects/{PROJECT}")]


class Deferred(Exception):
    """A task gives its slot back; Airflow raises TaskDeferred."""


def airflow() -> dict[str, types.ModuleType]:
    """Return the four names of Airflow that the sensor imports, at their smallest: Airflow itself is not installed."""

    class Base:
        def __init__(self, **kwargs: Any) -> None:
            self.__dict__.update(kwargs)

        def defer(self, *, trigger: Any, method_name: str) -> None:
            raise Deferred(trigger, method_name)

    names: dict[str, dict[str, Any]] = {
        "airflow": {},
        "airflow.exceptions": {"AirflowException": type("AirflowException", (Exception,), {})},
        "airflow.sensors": {},
        "airflow.sensors.base": {"BaseSensorOperator": Base},
        "airflow.triggers": {},
        "airflow.triggers.base": {"BaseTrigger": Base, "TriggerEvent": lambda payload: payload},
    }
    modules = {name: types.ModuleType(name) for name in names}
    for name, members in names.items():
        modules[name].__dict__.update(members)
    return modules


@pytest.mark.parametrize("project", ["cats", FAILS])
def test_the_airflow_sensor(deployment: SmallDeployment, tmp_path: Path, project: str) -> None:
    """Its coroutine and its methods, on stand-ins of Airflow's base classes; a repeated task has the same launch."""
    request = json.loads(request_file(tmp_path, f"airflow-{project}", project=project).read_text())
    module = types.ModuleType("launch_sensor")
    with patch.dict(sys.modules, airflow()), patch.dict(os.environ, deployment.environment):
        exec(compile(block("From Airflow", "python"), "launch_sensor.py", "exec"), module.__dict__)  # noqa: S102
        sensor = module.LaunchSensor(project=PROJECT, request=request)
        for _ in range(2):
            with pytest.raises(Deferred) as deferred:
                sensor.execute({})
        trigger, method = deferred.value.args
        path, arguments = trigger.serialize()
        assert path == "launch_sensor.LaunchEnded"

        async def first() -> Any:
            return await anext(module.LaunchEnded(**arguments).run())

        event = asyncio.run(first())
        if project == FAILS:
            with pytest.raises(Exception, match="ended: FAILED"):
                getattr(sensor, method)({}, event)
        else:
            assert getattr(sensor, method)({}, event) == launch_key("request:nightly-pipeline", "airflow-cats")
    assert sensor.mine not in subscriptions(deployment)


@needs_gcloud
@pytest.mark.skipif(shutil.which("jq") is None, reason="jq, which GitHub's runners have, is not installed")
def test_the_github_action(deployment: SmallDeployment, tmp_path: Path) -> None:
    """Its steps in their order, with its inputs as GitHub passes them; hostile names stay names."""
    action = yaml.safe_load(block("From GitHub Actions", "yaml"))
    request = request_file(tmp_path, "github $(exit 9)", source="ci")
    inputs = {"project": PROJECT, "request": request.name}
    assert action["inputs"].keys() == inputs.keys()
    (tmp_path / "summary").touch()
    github = {"GITHUB_RUN_ID": "1", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    for step in action["runs"]["steps"]:
        given = {
            name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda m: inputs[m[1]], v) for name, v in step["env"].items()
        }
        assert "${{" not in step["run"]
        done = run(deployment, [step["shell"], "-e", "-c", step["run"]], tmp_path, **given, **github)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "summary").read_text() == "outcome=SUCCEEDED\n"
    assert not [name for name in subscriptions(deployment) if "github" in name]


def test_the_filters_name_attributes_that_events_have() -> None:
    """Google's emulator applies no filter, so that the recipes above do not show it."""
    filters = set(re.findall(r"attributes\.(\w+) = ", TEXT)) | set(re.findall(r"attributes\[(\w+)\]", TEXT))
    request = json.loads(block("Find your answers", "json"))
    launch = from_request(Request.model_validate({**request, "run_spec": {}}), NOW)
    ended = launch.end(Outcome.FAILED, "why", NOW)
    attributes = announcement(ended, ended.events[-1], "/").attributes
    assert filters == {"source", "idempotency_key", "event", "outcome"}
    assert filters <= attributes.keys()
    assert {name for name in attributes if name.startswith("reply_")} == {"reply_team", "reply_ticket"}


@pytest.mark.skipif(shutil.which("go") is None, reason="no Go toolchain is installed: this recipe was not run here")
def test_the_go_client(deployment: SmallDeployment, tmp_path: Path) -> None:
    """It prints the events until the end."""
    (tmp_path / "main.go").write_text(block("From Go", "go"), encoding="utf-8")
    request = request_file(tmp_path, "go")
    for words in (["mod", "init", "launch"], ["mod", "tidy"]):
        done = run(deployment, ["go", *words], tmp_path)
        assert done.returncode == 0, done.stderr
    done = run(deployment, ["go", "run", ".", PROJECT, "nightly-pipeline", "go", str(request)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "SUCCEEDED"
