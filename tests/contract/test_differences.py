"""Differences from the agent that no request to Vertex AI shows: each row against the code of the installed wandb."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from wandb.sdk.launch import loader
from wandb.sdk.launch._project_spec import LaunchProject
from wandb.sdk.launch.agent.agent import construct_agent_configs
from wandb.sdk.launch.environment.local_environment import LocalEnvironment
from wandb.sdk.launch.errors import LaunchError
from wandb.sdk.launch.inputs.files import FileOverrides
from wandb.sdk.launch.runner.local_container import LocalContainerRunner
from wandb.sdk.launch.utils import MAX_ENV_LENGTHS

from functions.status.decide import decide
from functions.status.decisions import Finish, NoAction, Note, Observed, StatusTimings
from shared.config.launch_config import read_launch_config
from shared.core.errors import Reject
from shared.core.jobstate import Phase, phase_of
from shared.core.launch import Outcome
from tests.contract.sending import agents_state
from tests.unit.specs import SITE, rendered, run_spec
from tests.unit.test_decide import NOW, RUNNING, SUBMITTED, ago, job

API: Any = SimpleNamespace(settings={"base_url": SITE.base_url}, api_key=SITE.api_key)
ENVIRONMENT: Any = LocalEnvironment()
NOTHING: Any = None


def agents_project(**changes: Any) -> LaunchProject:
    """Return what the agent makes of an item."""
    return LaunchProject.from_spec(run_spec(**changes), API)


def agents_variables(**changes: Any) -> dict[str, str]:
    """Return the variables that the agent gives to a job."""
    return agents_project(**changes).get_env_vars_dict(API, MAX_ENV_LENGTHS["VertexRunner"])


@pytest.mark.parametrize("resource", ["local-container", "gcp-cloudrun", "kubernetes", "", None, 5, ["x"]])
def test_the_resource_of_an_item_is_ignored(resource: Any) -> None:
    """The agent starts another runner, or refuses the name; here the part for Vertex AI decides."""
    if resource == "local-container":
        runner = loader.runner_from_config(resource, API, {}, ENVIRONMENT, NOTHING)
        assert isinstance(runner, LocalContainerRunner)
    if resource == "gcp-cloudrun":
        with pytest.raises(LaunchError, match="Invalid runner name"):
            loader.runner_from_config(resource, API, {}, ENVIRONMENT, NOTHING)
    assert rendered(run_spec(resource=resource)) == rendered(run_spec())


@pytest.mark.parametrize("builder", [{"type": "noop"}, {"type": "unknown"}, None, "x", []])
def test_the_builder_of_an_item_is_ignored(builder: Any) -> None:
    """An agent without a launch-config builds with it; here only the operator chooses how images are built."""
    if isinstance(builder, dict):
        with patch.object(os.path, "exists", return_value=False):
            assert construct_agent_configs(None, builder)[1] == builder
            assert construct_agent_configs({}, builder)[1] != builder
    call = rendered(run_spec(builder=builder))
    assert all(warning.startswith("builder was ignored") for warning in call.warnings)
    assert replace(call, warnings=()) == rendered(run_spec())


@pytest.mark.parametrize("name", ["entity", "project"])
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_entity_or_project_is_refused(name: str, value: str) -> None:
    """The agent starts a job whose run goes wherever the key's default is."""
    assert agents_variables(**{name: value}).get(f"WANDB_{name.upper()}", "") == value
    with pytest.raises(Reject, match=rf"^{name}: is empty\. Write the W&B {name} of the run\."):
        rendered(run_spec(**{name: value}))


@pytest.mark.parametrize("overrides", [None, {"args": None, "entry_point": None, "run_config": None, "files": None}])
def test_overrides_may_be_null(overrides: Any) -> None:
    """The agent fails, whole or in part."""
    with pytest.raises((AttributeError, TypeError)):
        len(agents_project(overrides=overrides).override_args)
    assert rendered(run_spec(overrides=overrides)) == rendered(run_spec())


@pytest.mark.parametrize("files", [[], [{"path": "a.yaml"}], "a.yaml", 5])
def test_file_overrides_that_are_no_object_are_refused(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent sends them; then the job's own code fails, at `manage_config_file`."""
    sent = agents_variables(overrides={"files": files})["WANDB_LAUNCH_FILE_OVERRIDES"]
    monkeypatch.setenv("WANDB_LAUNCH_FILE_OVERRIDES", sent)
    reader = object.__new__(FileOverrides)
    with pytest.raises(LaunchError, match="Invalid JSON in WANDB_LAUNCH_FILE_OVERRIDES"):
        reader.load()
    with pytest.raises(Reject, match=r"overrides\.files: should be an object"):
        rendered(run_spec(overrides={"files": files}))


ENDS = ("stopped", "failed", "finished", "preempted")  # at which the agent frees its slot


def test_a_paused_job_continues() -> None:
    """The agent keeps its slot without a word; here an operator reads it after a day."""
    assert agents_state("PAUSED") not in ENDS
    assert not phase_of("JOB_STATE_PAUSED").ended
    decision = decide(SUBMITTED, Observed(job=job("PAUSED"), run=RUNNING), NOW, StatusTimings())
    assert isinstance(decision, Note | NoAction)
    stuck = replace(SUBMITTED, stuck_since=ago(days=1))
    decision = decide(stuck, Observed(job=job("PAUSED"), run=RUNNING), NOW, StatusTimings())
    assert isinstance(decision, Note)
    assert "has been PAUSED in Vertex AI for more than 24h00m" in decision.alarm


def test_a_job_that_partially_succeeded_is_a_success() -> None:
    """The agent never sees its end."""
    assert agents_state("PARTIALLY_SUCCEEDED") not in ENDS
    assert phase_of("JOB_STATE_PARTIALLY_SUCCEEDED") is Phase.SUCCEEDED
    ended = Observed(job=job("PARTIALLY_SUCCEEDED", ended_at=ago(hours=1)), run=RUNNING)
    decision = decide(SUBMITTED, ended, NOW, StatusTimings())
    assert decision == Finish(Outcome.SUCCEEDED, "", report=False)


def test_an_expired_job_is_a_failure_that_says_so() -> None:
    """The agent never sees its end."""
    assert agents_state("EXPIRED") not in ENDS
    decision = decide(SUBMITTED, Observed(job=job("EXPIRED", ended_at=ago(hours=1))), NOW, StatusTimings())
    assert isinstance(decision, Finish)
    assert (decision.outcome, decision.report) == (Outcome.FAILED, True)
    assert decision.reason.startswith("The job expired in Vertex AI before it called wandb.init.")


@pytest.mark.parametrize("kind", ["nexus", "docker-hub", "gcp-artifact-registry", ""])
def test_an_unknown_type_of_registry_does_not_stop_the_start(tmp_path: Path, kind: str) -> None:
    """The agent fails each item; here it matters only for images that are built, by their destination."""
    with pytest.raises(LaunchError, match="Invalid registry type"):
        loader.registry_from_config({"type": kind}, ENVIRONMENT)
    config = tmp_path / "launch-config.yaml"
    config.write_text(json.dumps({"entity": "team", "queues": ["vertex"], "registry": {"type": kind}}))
    assert read_launch_config(config).queues == ("vertex",)


def test_numbers_in_a_command_become_texts() -> None:
    """The agent sends them to the SDK, which raises an exception."""
    overrides = {"entry_point": ["python", 3], "args": ["--lr", 0.1]}
    [pool] = rendered(run_spec(overrides=overrides)).constructor["worker_pool_specs"]
    assert (pool["container_spec"]["command"], pool["container_spec"]["args"]) == (["python", "3"], ["--lr", "0.1"])
