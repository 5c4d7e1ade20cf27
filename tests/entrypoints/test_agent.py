"""Poll's agent through the real entry, W&B's stand-in and the bucket: stopped, started, forgotten, half its queues."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from deploy.__main__ import main
from shared.adapters.gcs import GcsAgentBook
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM

NAME = "vertex-launch"  # as the functions name it where nothing else is set


def agent(*arguments: str) -> Result:
    """Run the command as an operator of the same deployment does: with the functions' own settings."""
    where = ["--project=p", "--region=us-central1", f"--agent-name={NAME}"]
    return CliRunner().invoke(main, ["agent", *arguments, *where])


def book() -> GcsAgentBook:
    """Return the agent's record."""
    return GcsAgentBook(os.environ["LEDGER_BUCKET"], NAME)


def poll(outside: Outside, **settings: str) -> Any:
    """Call poll once and return its answer."""
    outside.rewire("poll")
    return outside.client("poll", **settings).post("/")


def test_a_command_undoes_stop_agent(outside: Outside) -> None:
    """W&B has no way to take it back, so poll registers another agent; nobody deletes an object."""
    assert agent().output == "No agent: poll registers one at its next call.\n"
    poll(outside)
    [first] = outside.wandb.agents.by_id.values()
    assert f"agent:     {first.id}\n" in agent("show").output
    assert agent().output.endswith("state:     polls\n")
    first.stop_polling = True
    item = outside.wandb.push("team", "vertex", ITEM)
    assert not poll(outside).json["polled"]
    assert "state:     W&B asks this agent to stop polling" in agent().output
    assert agent("start").exit_code == 0
    answer = poll(outside)
    assert (answer.status_code, answer.json["launched"], item.state) == (200, {"vertex": 1}, "CLAIMED")
    assert len(outside.wandb.agents.by_id) == 2


def test_a_command_stops_popping_and_another_undoes_it(outside: Outside) -> None:
    """Poll answers why it pops nothing; stopping twice is no error."""
    assert [agent("stop").exit_code, agent("stop").exit_code] == [0, 0]
    item = outside.wandb.push("team", "vertex", ITEM)
    answer = poll(outside)
    assert (answer.status_code, answer.json["polled"], item.state) == (200, False, "PENDING")
    assert answer.json["why_not"] == "this agent is stopped; `vertex-launch agent start` lets it poll again"
    assert "state:     stopped" in agent().output
    agent("start")
    assert poll(outside).json["launched"] == {"vertex": 1}


def test_the_command_waits_for_a_poll_at_work(outside: Outside) -> None:
    """If that takes too long, the message says so; the poll's lease stays."""
    now = datetime.now(UTC)
    assert book().take("a poll", now, now + timedelta(seconds=150))
    result = agent("start", "--wait=0")
    assert result.exit_code == 4
    assert "a poll is running" in result.output
    note = book().read()
    assert note
    assert (note.holder, note.stopped) == ("a poll", False)


def test_a_bucket_that_is_not_there_is_named(outside: Outside) -> None:
    """With the setting that names it."""
    result = agent("start", "--bucket=not-there")
    assert result.exit_code == 1
    assert "LEDGER_BUCKET" in result.output
    assert "Traceback" not in result.output


def test_the_help_and_a_wrong_action() -> None:
    """As every command has them."""
    assert "start: undoes" in CliRunner().invoke(main, ["agent", "--help"]).output
    assert agent("restart").exit_code == click.UsageError.exit_code


@pytest.mark.parametrize("content", [b"{", b'{"holder": "x", "agent_id": "gone", "queues": ["vertex"]}'])
def test_an_odd_record_leads_to_a_new_agent(outside: Outside, content: bytes) -> None:
    """One that cannot be read, and one of older code."""
    from shared.adapters.gcs.bucket import Bucket

    Bucket(os.environ["LEDGER_BUCKET"]).write(f"agents/{NAME}.json", content, {}, 0)
    assert poll(outside).status_code == 200
    assert len(outside.wandb.agents.by_id) == 1


def test_an_agent_that_wandb_has_deleted_is_registered_anew(outside: Outside) -> None:
    """At the very next call, and then kept."""
    poll(outside)
    outside.wandb.agents.by_id.clear()
    assert [poll(outside).status_code for _ in range(2)] == [200, 200]
    assert len(outside.wandb.agents.by_id) == 1


def test_a_missing_queue_stops_only_itself(outside: Outside) -> None:
    """503 names it. It is served when it appears, and all the while there is one agent."""
    item = outside.wandb.push("team", "vertex", ITEM)
    for _ in range(2):
        answer = poll(outside, LAUNCH_QUEUES="later,vertex")
        assert answer.status_code == 503
        assert ["queue later: team has no queue of this name" in error for error in answer.json["errors"]] == [True]
    assert (item.state, len(outside.wandb.agents.by_id)) == ("CLAIMED", 1)
    outside.wandb.make_queue("team", "later", resource="gcp-vertex")
    item = outside.wandb.push("team", "later", ITEM)
    assert poll(outside).status_code == 200
    assert (item.state, len(outside.wandb.agents.by_id)) == ("CLAIMED", 2)
