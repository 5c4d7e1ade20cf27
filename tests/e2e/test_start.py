"""Start-up: every wait is bounded, and what did not come up is named in one line, with its log."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from deploy.local.cases import CASES
from deploy.local.demo import Demo, Row
from deploy.local.enqueue import Job, enqueue
from deploy.local.ports import Ports
from deploy.local.processes import NotStartedError
from deploy.local.serving import listener
from deploy.local.stack import Stack


@pytest.fixture
def ports() -> Iterator[Ports]:
    """Give ports at which somebody listens who never answers."""
    made = Ports.free()
    with ExitStack() as all_:
        for port in made.by_name().values():
            all_.enter_context(closing(listener(port)))
        yield made


def test_a_server_that_never_answers_is_named(tmp_path: Path, ports: Ports) -> None:
    """In one line; START_SECONDS bound the calls of start-up, too, whose own time limits are ten minutes."""
    order = ("gcs", "pubsub", "wandb")

    def message(silent: str) -> str:
        before = order[: order.index(silent)]
        free = Ports.free()
        here = Ports(**{name: getattr(free if name in before else ports, name) for name in ports.by_name()})
        others = frozenset({"gcs", "pubsub", "wandb", "vertex"} - set(before))
        folder = tmp_path / silent
        stack = Stack(folder, here, emulator=False, without=others, functions=(), start_seconds=5, every=0)
        with pytest.raises(NotStartedError) as failure, stack:
            pass
        return str(failure.value)

    with ThreadPoolExecutor() as pool:  # they wait more than they compute
        for silent, named in zip(order, pool.map(message, order), strict=True):
            assert named.startswith(f"{silent} does not answer (")
            assert named.endswith(f"): see {tmp_path / silent / f'{silent}.log'}")
            assert "\n" not in named


def test_an_error_while_enqueueing_ends_the_demo(tmp_path: Path, ports: Ports) -> None:
    """A disk that is full, or a folder that is gone: the wait ends at once, with the reason."""
    run = Demo(Stack(tmp_path / "gone", ports, functions=()))
    for path in sorted((tmp_path / "gone").rglob("*"), reverse=True):
        path.rmdir()
    (tmp_path / "gone").rmdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "_publish", lambda _: None)
        run.enqueue_all()
    [error] = run.errors
    assert error.startswith("the jobs could not be enqueued: ")
    assert run.settled


def test_a_command_of_wandb_that_fails_is_one_line(tmp_path: Path) -> None:
    """Its log names the command, and has wandb's own words; no server has ended."""
    stack = Stack(tmp_path, Ports.free(), functions=())
    with pytest.raises(NotStartedError, match=r"a command of wandb ended with exit code 1: see .*enqueue\.log"):
        enqueue(stack, [Job("odd", made_of=("nonsense", "path"))], "cats")
    log = stack.processes.tail("enqueue", 100)
    assert "wandb job create --entity local-team --project cats --name odd nonsense path" in log
    assert "'nonsense' is not one of" in log
    assert stack.processes.ended() is None


@pytest.mark.parametrize(
    ("state", "error", "right"),
    [
        ("JOB_STATE_CANCELLED", "The job was cancelled.", True),
        ("JOB_STATE_FAILED", "exited with a non-zero status of 130. To find out", True),
        ("JOB_STATE_FAILED", "exited with a non-zero status of 1. To find out", False),
        ("JOB_STATE_SUCCEEDED", "", False),
    ],
)
def test_a_stopped_job_ends_in_two_right_ways(state: str, error: str, right: bool) -> None:
    """We cancel it, or W&B's SDK interrupts its script first; the summary says which."""
    [case] = [case for case in CASES if case.stop]
    row = Row(case, item={"state": "CLAIMED"}, jobs=[{"state": state, "error": error}], run={"state": "killed"})
    assert row.right is right
    if right:
        assert state.removeprefix("JOB_STATE_") in row.wanted
