"""A rendered job, whole: its variables, its arguments and its warnings."""

from dataclasses import replace
from typing import Any

import pytest

from shared.core.building import GitCredential
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind
from shared.core.launch import Entry, RunPath
from shared.core.message import Queue
from shared.core.ports import CustomJobCall
from shared.core.reserved import ReservedPlaces
from shared.runspec.environment import MAX_VALUE, launch_variables
from shared.runspec.model import Overrides, RunSpec
from shared.runspec.render import render
from tests.unit.specs import NAMES, SITE, draft_of, environment, put, rendered, run_spec

SPEC, RUN = ("resource_args", "gcp-vertex", "spec"), ("resource_args", "gcp-vertex", "run")
CONTAINER = (*SPEC, "worker_pool_specs", 0, "container_spec")
CODE = JobSource("team/cats/train:v1", Kind.ARTIFACT, ("python", "train.py"), code="team/cats/code:v3")


def entry() -> Entry:
    """Return the entry of a launch."""
    launch = draft_of(run_spec(run_id="r1")).launch
    return replace(launch.entry, run=RunPath("Team", "Cats", "r1"), item_id="item-7")


def test_a_run_finds_all_that_wandb_tells_it() -> None:
    """In this order: a name, which may be any text, comes first and cannot refer to the others."""
    spec = RunSpec(
        *("team", "Cats"),
        name="$(WANDB_API_KEY)",
        author="ann",
        sweep_id="sw1",
        job="a/b/c:v1",
        overrides=Overrides(run_config={"a": "$x"}, files={"f": 1}, artifacts={"d": "it's"}),
    )
    made = launch_variables(spec, entry(), "https://w.test", "key", "i:1")
    assert list(made.items()) == [
        ("WANDB_NAME", "$(WANDB_API_KEY)"),
        ("WANDB_BASE_URL", "https://w.test"),
        ("WANDB_API_KEY", "key"),
        ("WANDB_PROJECT", "Cats"),
        ("WANDB_ENTITY", "Team"),
        ("WANDB_LAUNCH", "True"),
        ("WANDB_RUN_ID", "r1"),
        ("WANDB_DOCKER", "i:1"),
        ("WANDB_USERNAME", "ann"),
        ("WANDB_SWEEP_ID", "sw1"),
        ("WANDB_RESUME", "allow"),
        ("WANDB_LAUNCH_QUEUE_NAME", "vertex"),
        ("WANDB_LAUNCH_QUEUE_ENTITY", "team"),
        ("WANDB_LAUNCH_TRACE_ID", "item-7"),
        ("WANDB_CONFIG", '{"a": "\\u0024x"}'),
        ("WANDB_LAUNCH_FILE_OVERRIDES", '{"f": 1}'),
        ("WANDB_ARTIFACTS", '{"_wandb_job": "a/b/c:v1", "d": "it\\u0027s"}'),
    ]
    assert entry().queue == Queue(entity="team", name="vertex")


def test_a_run_with_its_own_key_is_its_owners() -> None:
    """An empty value is no variable; without a job only the artifacts are named."""
    made = launch_variables(RunSpec("team", "Cats", author="ann", own_key="own"), entry(), "https://w.test", "key", "")
    assert made["WANDB_API_KEY"] == "own"
    assert {"WANDB_USERNAME", "WANDB_DOCKER", "WANDB_NAME", "WANDB_SWEEP_ID"}.isdisjoint(made)
    assert (made["WANDB_CONFIG"], made["WANDB_ARTIFACTS"]) == ("{}", "{}")


@pytest.mark.parametrize(
    ("size", "parts"), [(MAX_VALUE, 1), (MAX_VALUE + 1, 2), (2 * MAX_VALUE, 2), (2 * MAX_VALUE + 1, 3)]
)
def test_a_long_configuration_is_cut_into_parts(size: int, parts: int) -> None:
    """Which W&B's SDK joins again."""
    written = '{"a": "' + "x" * (size - 9) + '"}'
    spec = RunSpec("team", "Cats", overrides=Overrides(run_config={"a": "x" * (size - 9)}))
    made = launch_variables(spec, entry(), "https://w.test", "key", "")
    names = ["WANDB_CONFIG"] if parts == 1 else [f"WANDB_CONFIG_{number}" for number in range(parts)]
    assert [name for name in made if name.startswith("WANDB_CONFIG")] == names
    assert "".join(made[name] for name in names) == written


@pytest.mark.parametrize(
    ("spec", "run", "account", "warnings"),
    [
        ({"service_account": "a"}, {}, "a", ("service_account belongs under run, not under spec; it was used anyway",)),
        (
            {"service_account": "a"},
            {"service_account": "b"},
            "b",
            ("service_account belongs under run, not under spec; it was ignored",),
        ),
        ({"service_account": ""}, {"sync": True}, None, ("sync was ignored: a launch never waits for its job",)),
        ({"credentials": None}, {"sync": False}, None, ()),
    ],
)
def test_each_misplaced_argument_has_a_warning(
    spec: dict[str, Any], run: dict[str, Any], account: str | None, warnings: tuple[str, ...]
) -> None:
    """An empty one has none."""
    asked = run_spec()
    asked["resource_args"]["gcp-vertex"]["spec"].update(spec)
    asked["resource_args"]["gcp-vertex"]["run"].update(run)
    call = rendered(asked)
    assert (call.submit.get("service_account"), call.warnings) == (account, warnings)
    assert {"service_account", "credentials"}.isdisjoint(call.constructor)
    assert "sync" not in call.submit


def test_all_warnings_of_a_job_are_kept() -> None:
    """Of the run spec, of its arguments, of its variables and of its labels, in this order."""
    spec = run_spec(cuda=True)
    spec = put(put(spec, (*RUN, "sync"), True), (*SPEC, "labels"), {"launch_key": "x"})
    call = rendered(put(spec, (*CONTAINER, "env"), [{"name": "WANDB_PROJECT", "value": "x"}]))
    assert call.warnings == (
        "cuda was ignored: the image decides whether it has CUDA",
        "sync was ignored: a launch never waits for its job",
        "the variable WANDB_PROJECT is W&B's; its value was replaced",
        "the label launch_key is reserved; its value was replaced",
    )
    assert call.own_variables == set(environment(call))


AT = "resource_args.vertex.spec"


@pytest.mark.parametrize(
    ("spec", "run", "why"),
    [
        ({"project": 5}, {}, f"{AT}.project: should be a text, but is a number."),
        ({"location": "US"}, {}, f"{AT}.location: is 'US', which is not a region of Vertex AI."),
        ({"worker_pool_specs": None}, {}, f"{AT}.worker_pool_specs: is empty: Vertex AI needs at least one"),
        ({"staging_bucket": "ab"}, {}, f"{AT}.staging_bucket: is 'ab', and no bucket can have this name."),
        ({"labels": {"A": 1}}, {}, f"{AT}.labels.A: is not a valid label"),
        ({"display_name": 5}, {}, f"{AT}.display_name: should be a text"),
        ({"base_output_dir": "ab"}, {}, f"{AT}.base_output_dir: is 'ab', not in a bucket."),
        ({"base_output_dir": "gs://own/x"}, {}, f"{AT}.base_output_dir: is 'gs://own/x', a bucket that holds the led"),
        (
            {"staging_bucket": "gs://gcp-project-a-launch-ledger"},
            {},
            f"{AT}.staging_bucket: is 'gs://gcp-project-a-lau",
        ),
        (
            {"credentials": 5},
            {},
            f"{AT}.credentials: cannot be set in a queue. Leave it out: the job runs as run.service",
        ),
        ({}, {"timeout": -1}, "resource_args.vertex.run.timeout: is -1 seconds."),
    ],
    ids=str,
)
def test_an_argument_is_refused_by_its_path(spec: dict[str, Any], run: dict[str, Any], why: str) -> None:
    """In the part of the run spec that counts."""
    vertex = run_spec()["resource_args"]["gcp-vertex"]
    asked = run_spec(resource_args={"vertex": {"spec": {**vertex["spec"], **spec}, "run": run}})
    with pytest.raises(Reject) as refused:
        rendered(asked, replace(SITE, reserved=ReservedPlaces(own={"own": "the ledger"})))
    assert str(refused.value).startswith(why)


def of_job(spec: dict[str, Any], site: Any, job: JobSource = CODE) -> CustomJobCall:
    """Render a launch of a job."""
    return render(draft_of({**spec, "docker": None, "job": job.path}), site, NAMES, job)


def test_an_image_is_built_with_the_deployments_settings() -> None:
    """Its store, its credentials, and the problem of its builder."""
    site = replace(SITE, base_image="python:3.12", destination="us-docker.pkg.dev/p/r/jobs", context_store="gs://c",
                   git_credentials=(GitCredential("git.test", "s"),))  # fmt: skip
    recipe = of_job(run_spec(), site).recipe
    assert recipe
    assert (recipe.store, recipe.base_image) == ("gs://c/launch-builds", "python:3.12")
    repo = replace(CODE, kind=Kind.REPO, code="", remote="git@git.test:a/b", commit="c0ffee")
    fetched = of_job(run_spec(), site, repo).recipe
    assert fetched
    assert fetched.remote == "https://git.test/a/b"
    with pytest.raises(Reject, match="cannot build: it is off"):
        of_job(run_spec(), replace(site, builder_problem="it is off"))
    with pytest.raises(
        Reject, match=r"Set builder\.base_image in the queue's configuration or LAUNCH_BASE_IMAGE to an"
    ):
        of_job(run_spec(), SITE)


@pytest.mark.parametrize(
    ("spec", "job", "site", "why"),
    [
        (
            run_spec(overrides={"entry_point": ["a", "$(DB_PASSWORD)"]}),
            None,
            SITE,
            "overrides.entry_point[1]: contains $(",
        ),
        (run_spec(overrides={"args": ["$(DB_PASSWORD)"]}), None, SITE, "overrides.args[0]: contains $(DB_PASSWORD)"),
        (run_spec(), replace(CODE, entry_point=("x", "$(DB_PASSWORD)"), base_image="i"), SITE, "job[1]: contains $("),
        (run_spec(entity=" "), None, SITE, "entity: is empty. Write the W&B entity of the run."),
        (run_spec(project=" "), None, SITE, "project: is empty. Write the W&B project of the run."),
        (
            run_spec(_wandb_api_key="own"),
            None,
            replace(SITE, key_secret="projects/p/secrets/s"),
            "_wandb_api_key: is rea",
        ),
        (run_spec(overrides={"args": ["x"]}), None, replace(SITE, secure_mode=True), "overrides.args: is refused"),
        (
            put(run_spec(), (*CONTAINER, "command"), ["x"]),
            None,
            replace(SITE, secure_mode=True),
            "resource_args.gcp-vertex.spec.worker_pool_specs[0].container_spec.command: is refused",
        ),
        (
            run_spec(resource="", resource_args=None),
            None,
            SITE,
            "resource_args: has no part for Vertex AI. Write the que",
        ),
        (
            run_spec(resource="r" * 50, resource_args={}),
            None,
            SITE,
            f"resource_args: has no part for Vertex AI; the item's resource is '{'r' * 20}…{'r' * 20}'. "
            f"Write the queue's",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_launch_that_may_not_run_is_refused(spec: dict[str, Any], job: JobSource | None, site: Any, why: str) -> None:
    """By the field that its author wrote."""
    with pytest.raises(Reject) as refused:
        of_job(spec, site, job) if job else rendered(spec, site)
    assert str(refused.value).startswith(why)
