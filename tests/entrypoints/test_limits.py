"""Authors and publishers cannot read the functions' environment, or exceed the policy."""

import json
import os
from typing import Any

import pytest

from shared.core.message import Queue, Ticket, encode
from tests.entrypoints.conftest import KEY, Outside
from tests.entrypoints.test_functions import ITEM, RENDERED, REQUEST, eventarc, events, polled
from tests.unit.specs import put

NAMES = ("WANDB_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "LEDGER_BUCKET", "PATH", "PLANTED")
SPELLINGS = (
    "${%s}", "$%s", "$(%s)", "${ %s }", "${%s:-x}", "${env.%s}", "${${%s}}", "{{%s}}", "${{%s}}", "$${%s}", "%%%s%%",
    "${TEAM}{%s}", "${${TEAM}%s}", "$\u200b{%s}", "${\u200b%s}", "\\${%s}", "${%s",
)  # fmt: skip


def test_no_spelling_of_a_macro_reaches_the_environment(outside: Outside, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even through another macro; listed macros are filled in."""
    planted = {"PLANTED": "planted-value", "GOOGLE_APPLICATION_CREDENTIALS": "planted-file", "PATH": "planted-path"}
    listed = {"TEAM": "cats", "CHAINED": "${PLANTED}${WANDB_API_KEY}"}
    for variable, value in (planted | listed).items():
        outside.monkeypatch.setenv(variable, value)
    words = [spelling % name for name in NAMES for spelling in SPELLINGS]
    words += ["${WANDB_${run_name}}", "${CHAINED}", "${${author}}", "${TEAM}"]
    env = [{"name": "E", "value": " ".join(words)}]
    container = {"image_uri": "${image_uri}", "command": ["echo", *words], "env": env}
    config = {"spec": put(RENDERED["spec"], ("worker_pool_specs", 0, "container_spec"), container)}
    spec = {**ITEM, "name": "API_KEY", "author": "PLANTED", "resource_args": {"gcp-vertex": config}}
    outside.wandb.push("team", "vertex", spec)
    outside.client("poll").post("/")
    submit = outside.client("submit", LAUNCH_MACROS="TEAM,CHAINED,NOT_SET")
    submit.post(**eventarc(encode(Ticket(launch_key=polled(capsys)))))
    [job] = outside.vertex.jobs()
    made = job.message.job_spec.worker_pool_specs[0].container_spec
    variables = {one.name: one.value for one in made.env}
    assert variables.pop("WANDB_API_KEY") == KEY
    assert made.command[-4:] == ["${WANDB_API_KEY}", "${PLANTED}${WANDB_API_KEY}", "${PLANTED}", "cats"]
    shown = json.dumps([list(made.command), variables, dict(job.labels)])
    assert not [value for value in (*planted.values(), KEY, os.environ["LEDGER_BUCKET"]) if value in shown]
    assert len(made.command) == 1 + len(words)


BOTH = {"queue": Queue(entity="team", name="vertex")}
WITHOUT = {name: value for name, value in REQUEST.run_spec.items() if name != "resource_args"}
PUBLISHERS: dict[str, dict[str, Any]] = {
    "no queue": {},
    "a named queue": {**BOTH, "run_spec": WITHOUT},
    "a queue and arguments of its own": BOTH,
}
RULES = {
    "images": ["us-docker.pkg.dev/p"],
    "machine_types": ["e2-standard-4"],
    "projects": ["another"],
    "regions": ["europe-west4"],
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_a_publisher_is_limited_whatever_it_names(
    outside: Outside, capsys: pytest.CaptureFixture[str], publisher: str, rule: str
) -> None:
    """A launch against the deployment's policy becomes no job, and the log names the rule."""
    message = encode(REQUEST.model_copy(update=PUBLISHERS[publisher]))
    submit = outside.client("submit", LAUNCH_POLICY=json.dumps({rule: RULES[rule]}))
    assert submit.post(**eventarc(message)).status_code == 200
    [why] = [e["why"] for e in events(capsys.readouterr().out) if e["message"] == "launch.rejected"]
    assert f"which the rule policy.{rule} does not allow" in why
    assert not outside.vertex.jobs()


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_a_publisher_gets_what_is_allowed(outside: Outside, publisher: str) -> None:
    """Under the same rules, of which each allows it."""
    allowed = {"images": ["docker.io/local"], "machine_types": ["n1-standard-4"], "projects": ["p"]}
    submit = outside.client("submit", LAUNCH_POLICY=json.dumps(allowed))
    assert submit.post(**eventarc(encode(REQUEST.model_copy(update=PUBLISHERS[publisher])))).status_code == 200
    assert len(outside.vertex.jobs()) == 1
