"""A real `wandb launch-agent` on the same queue, while a team moves over: each item goes to one of the two."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.servers.vertex.app import create_app as vertex_app
from deploy.local.servers.vertex.state import VertexState
from deploy.local.servers.wandb.app import create_app as wandb_app
from deploy.local.servers.wandb.state import State
from deploy.local.stack import ENTITY, QUEUE
from shared.core.message import launch_key
from tests.e2e.test_crashes import SPEC, ledger, stack
from tests.waiting import eventually

OURS = 3


@pytest.mark.long
def test_each_item_goes_to_one_of_two_agents(tmp_path: Path) -> None:
    """We take as many as we may have open; the agent takes the rest, and no launch of ours is left behind for them."""
    wandb, vertex = State(), VertexState()
    with stack(tmp_path, wandb_app(wandb), vertex_app(vertex), settings={"LAUNCH_MAX_JOBS": str(OURS)}) as running:
        home = {"HOME": str(tmp_path), "WANDB_DIR": str(tmp_path)}
        agent = subprocess.Popen(
            [sys.executable, "-m", "wandb", "launch-agent", "--queue", QUEUE, "--entity", ENTITY],
            env={**os.environ, **running.user_settings(), **home},
            stdout=(tmp_path / "agent.log").open("w"),
            stderr=subprocess.STDOUT,
            cwd=tmp_path,
            start_new_session=True,
        )
        try:
            eventually(lambda: len(wandb.agents.by_id) == 2, "the other agent is registered")
            items = [wandb.push(ENTITY, QUEUE, {**SPEC, "name": f"item-{n}"}) for n in range(6)]
            run_ids = {item.id: launch_key("wandb", item.id)[1:13] for item in items}
            eventually(lambda: all(item.associated_run_id for item in items), "all items are acked", 120)
            ours = [item for item in items if item.associated_run_id == run_ids[item.id]]
            assert len(ours) <= OURS
            assert len(ours) < len(items), "the agent took none, so this shows nothing"
            eventually(lambda: len(vertex.jobs()) == len(ours), "our jobs are created")
            assert {job.labels["wandb-run-id"] for job in vertex.jobs()} == {run_ids[item.id] for item in ours}
            eventually(lambda: len(ledger(running, "open/")) == len(ours), "nothing is left of the agent's items")
            assert ledger(running, "closed/") == []
        finally:
            os.killpg(agent.pid, 9)
            agent.wait()
