"""The commands that steer, with the functions that act on them: cancel, retry, pause, resume, publish."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deploy.__main__ import main
from deploy.exit_codes import CANCELLED, CouldNotSee
from shared.adapters.gcs import GcsAgentBook, GcsLedger
from shared.core.launch import Launch, Outcome, State, Wish
from shared.core.message import Request, Ticket, encode
from shared.core.pause import Pause
from shared.core.retry import retry_key
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, RENDERED, REQUEST, emulator_push

NAME = "vertex-launch"
SPEC = {**ITEM, "resource_args": {"vertex": RENDERED}}


def run(*arguments: str, code: int = 0, stdin: str = "") -> Result:
    """Run a command as an operator with the functions' settings; it ends with this exit code."""
    environ = {"VERTEX_LAUNCH_AS": "ana@example.com", "WANDB_API_KEY": os.environ["WANDB_API_KEY"]}
    done = CliRunner().invoke(main, [*arguments, "--project=p", f"--agent-name={NAME}"], env=environ, input=stdin)
    assert done.exit_code == code, done.output
    assert "planted-key" not in done.output
    return done


class Deployment:
    """The functions, called as Cloud Scheduler and Pub/Sub call them."""

    def __init__(self, outside: Outside) -> None:
        self.outside, self.ledger = outside, GcsLedger(os.environ["LEDGER_BUCKET"])

    def poll(self) -> Any:
        """Call poll once."""
        answer = self.outside.client("poll").post("/")
        assert answer.status_code == 200, answer.json
        return answer.json

    def status(self, **settings: str) -> Any:
        """Call status once."""
        self.outside.rewire("status")
        answer = self.outside.client("status", **settings).post("/")
        assert answer.status_code == 200, answer.json
        return answer.json["done"]

    def submit(self, message: Ticket | Request) -> None:
        """Deliver a message."""
        assert self.outside.client("submit").post(**emulator_push(encode(message))).status_code == 200

    def popped(self, **changes: Any) -> tuple[Any, Launch]:
        """Push an item, pop it, and return it with its launch."""
        before = {entry.key for entry in self.ledger.list_open().entries}
        item = self.outside.wandb.push("team", "vertex", {**ITEM, **changes})
        self.poll()
        [key] = {entry.key for entry in self.ledger.list_open().entries} - before
        launch = self.ledger.read(key)
        assert launch
        return item, launch

    def launched(self, **changes: Any) -> tuple[Any, Launch]:
        """Push an item and launch it."""
        item, launch = self.popped(**changes)
        self.submit(Ticket(launch_key=launch.key))
        return item, self.read(launch.key)

    def failed(self) -> tuple[Any, Launch]:
        """Launch an item whose job fails, and close it."""
        item, launch = self.launched()
        self.outside.vertex.force(launch.entry.job_name, "JOB_STATE_FAILED", "exit code 1")
        assert self.status() == {"Finish": 1}
        return item, self.closed(launch.key)

    def read(self, key: str) -> Launch:
        """Return an open launch."""
        launch = self.ledger.read(key)
        assert launch
        return launch

    def closed(self, key: str) -> Launch:
        """Return a closed launch."""
        launch = self.ledger.read_closed(key)
        assert launch
        return launch


@pytest.fixture
def deployed(outside: Outside) -> Deployment:
    """Serve the functions with an empty ledger."""
    return Deployment(outside)


def test_a_waiting_launch_ends_and_gets_no_job(deployed: Deployment) -> None:
    """The item shows who cancelled; the ticket that was under way changes nothing."""
    item, launch = deployed.popped()
    assert "is recorded" in run("cancel", launch.key[:12], "--yes").output
    deployed.submit(Ticket(launch_key=launch.key))
    assert deployed.status() == {"Finish": 1}
    assert deployed.outside.vertex.jobs() == []
    closed = deployed.closed(launch.key).entry
    assert (closed.outcome, item.state) == (Outcome.CANCELLED, "FAILED")
    assert "Cancelled by ana@example.com with `vertex-launch cancel`." in str(item.error)
    assert "is over: CANCELLED" in run("cancel", launch.key, "--yes").output


def test_a_running_job_is_cancelled(deployed: Deployment) -> None:
    """By its run id; a second command says who was first, and nothing is written."""
    item, launch = deployed.launched()
    run("cancel", launch.entry.run.run_id, "--yes")
    again = run("cancel", launch.key, "--yes", "--as=\x1b[2Jbob\n")
    assert "\x1b" not in again.output
    assert "is being cancelled already, by ana@example.com since" in again.output
    assert deployed.status() == {"Cancel": 1}
    [job] = deployed.outside.vertex.jobs()
    deployed.outside.vertex.force(job.name, "JOB_STATE_CANCELLED", "")
    assert deployed.status() == {"Finish": 1}
    assert deployed.closed(launch.key).entry.outcome is Outcome.CANCELLED
    assert "Cancelled by ana@example.com" in str(item.error)


def test_a_job_that_succeeds_first_stays_so(deployed: Deployment) -> None:
    """The wish comes too late; its author loses nothing."""
    _, launch = deployed.launched()
    run("cancel", launch.key, "--yes")
    deployed.outside.vertex.force(launch.entry.job_name, "JOB_STATE_SUCCEEDED", "")
    path = launch.entry.run
    created, _ = deployed.outside.wandb.runs.upsert(path.entity, path.project, path.run_id, "ana", {})
    created.state = "finished"
    deployed.status()
    assert deployed.closed(launch.key).entry.outcome is Outcome.SUCCEEDED


def test_a_claim_is_not_broken(deployed: Deployment) -> None:
    """While a submit works, the command waits; after its time, it has recorded nothing."""
    _, launch = deployed.popped()
    claim = launch.move(State.SUBMITTING, attempt=1, lease_until=deployed.ledger.now() + timedelta(minutes=9))
    claimed = deployed.ledger.write(claim)
    late = run("cancel", launch.key, "--yes", "--timeout=0", code=CouldNotSee.exit_code)
    assert "a submit is working on it, until" in late.output
    assert deployed.read(launch.key) == claimed
    done = threading.Timer(
        1.5, lambda: deployed.ledger.write(replace(claimed, entry=replace(claimed.entry, unanswered=True)))
    )
    done.start()
    assert "is recorded" in run("cancel", launch.key, "--yes").output
    done.join()
    entry = deployed.read(launch.key).entry
    assert (entry.wish and entry.wish.by, entry.unanswered) == ("ana@example.com", True)


def test_a_hundred_commands_at_once(deployed: Deployment) -> None:
    """For the same launches: each wish is recorded once, by one of them, and no command fails."""
    keys = [deployed.ledger.write(_a_request(f"{number}")).key for number in range(5)]
    with ThreadPoolExecutor(100) as pool:
        target = _target()
        found = list(pool.map(lambda number: _wish(target, keys[number % 5], f"p{number}"), range(100)))
    assert sum(one.new for one in found) == 5
    wishes = [deployed.read(key).entry.wish for key in keys]
    assert all(wish and wish.by.startswith("p") for wish in wishes)
    assert deployed.status() == {"Finish": 5}


def test_an_unknown_id_cancels_nothing(deployed: Deployment) -> None:
    """The others stay as they are; an ambiguous one is listed."""
    first, second = (deployed.ledger.write(_a_request(name)) for name in "ab")
    assert "no launch has the ID 'nothing'" in run("cancel", first.key, "nothing", "--yes", code=1).output
    assert first.key in run("cancel", "k", "--yes", code=2).output
    assert [deployed.read(each.key).entry.wish for each in (first, second)] == [None, None]
    assert run("cancel", first.key, stdin="n\n", code=1).output.endswith("Aborted!\n")
    assert deployed.read(first.key).entry.wish is None


def test_a_newer_record_is_left_alone(deployed: Deployment) -> None:
    """With the reason; the other launch is cancelled all the same."""
    from shared.adapters.gcs.bucket import Bucket

    first = deployed.ledger.write(_a_request("a"))
    content = b'{"needs": 99}'
    Bucket(os.environ["LEDGER_BUCKET"]).write("open/k" + "a" * 26, content, {"needs": "99"}, 0)
    done = run("cancel", "k" + "a" * 26, "--yes", code=1)
    assert "needs version 99" in done.output
    assert run("cancel", first.key, "--yes", "--json").exit_code == 0
    assert deployed.read(first.key).entry.wish


def test_wait_follows_the_launch_to_its_end(deployed: Deployment) -> None:
    """And prints JSON for a program."""
    launch = deployed.ledger.write(_a_request("a"))

    def end() -> None:
        wished = deployed.read(launch.key)
        deployed.ledger.write(wished.end(Outcome.CANCELLED, "as asked", deployed.ledger.now()))

    ends = threading.Timer(1, end)
    ends.start()
    done = run("cancel", launch.key, "--yes", "--wait", "--json", "--timeout=60")
    ends.join()
    [shown] = json.loads(done.stdout)["launches"]
    assert (shown["state"], shown["outcome"], shown["by"]) == ("ENDED", "CANCELLED", "ana@example.com")


def test_a_failed_item_is_launched_again(deployed: Deployment) -> None:
    """As a launch of its own, with another run; the limits for requests do not refuse it."""
    item, old = deployed.failed()
    done = run("retry", old.key)
    key = retry_key(old.key, 1)
    assert done.stdout == f"{key}  retries {old.key}: status starts it within a minute\n"
    assert run("retry", old.key).stdout == f"{key}  retries {old.key} already: queued\n"
    assert deployed.status(LAUNCH_REQUESTS='{"sources": []}') == {"Publish": 1}
    deployed.outside.client("submit", LAUNCH_REQUESTS='{"sources": []}', LAUNCH_MAX_REQUESTS="0")
    deployed.outside.rewire("submit")
    deployed.submit(Ticket(launch_key=key))
    entry = deployed.read(key).entry
    assert (entry.state, entry.retries, entry.item_id, entry.name) == (State.SUBMITTED, old.key, "", "one")
    assert entry.run.run_id != old.entry.run.run_id
    [_, job] = sorted(deployed.outside.vertex.jobs(), key=lambda one: str(one.labels["launch_key"] == key))
    assert job.labels["launch_key"] == key
    assert json.loads(run("show", old.key, "--json").stdout)["retried_as"] == [key]
    assert f"retries   {old.key}" in run("show", key).stdout
    deployed.outside.vertex.force(entry.job_name, "JOB_STATE_FAILED", "exit code 1")
    deployed.status()
    assert "add --again" in run("retry", old.key, code=1).output
    assert retry_key(old.key, 2) in run("retry", old.key, "--again").output
    assert item.state == "FAILED"


def test_only_an_ended_launch_is_retried(deployed: Deployment) -> None:
    """One that is open can be cancelled first."""
    launch = deployed.ledger.write(_a_request("a"))
    assert f"vertex-launch cancel {launch.key}" in run("retry", launch.key, code=1).output


def test_a_retry_of_a_request_keeps_its_limits(deployed: Deployment) -> None:
    """Its source is refused now; --wait ends with the code for that."""
    deployed.submit(REQUEST)
    [entry] = deployed.ledger.list_open().entries
    deployed.outside.vertex.force(entry.job_name, "JOB_STATE_FAILED", "exit code 1")
    deployed.status()
    key = retry_key(entry.key, 1)
    run("retry", "ci/42")
    deployed.outside.rewire("submit")
    deployed.outside.client("submit", LAUNCH_REQUESTS='{"sources": ["other"]}')
    deployed.submit(Ticket(launch_key=key))
    retried = deployed.read(key)
    assert retried.entry.outcome is Outcome.REJECTED
    assert "requests.sources" in retried.reason


def test_a_paused_queue_waits(deployed: Deployment) -> None:
    """Poll pops nothing, status publishes nothing, and the items say so; afterwards all goes on."""
    item, launch = deployed.popped()
    opened_at = launch.entry.opened_at - timedelta(minutes=5)  # its ticket was lost
    deployed.ledger.write(replace(launch, entry=replace(launch.entry, opened_at=opened_at)))
    waits = deployed.outside.wandb.push("team", "vertex", ITEM)
    assert "vertex: paused" in run("pause", "--queue=vertex").output
    assert "paused by ana@example.com since" in deployed.poll()["held"]["vertex"]
    assert waits.state == "PENDING"
    assert deployed.status() == {"Note": 1}
    assert "Paused by ana@example.com since" in str(item.warning)
    assert deployed.status() == {}
    assert "vertex: paused already, by ana@example.com" in run("pause", "--queue=vertex", "--as=bob").output
    assert "paused:    vertex, by ana@example.com" in run("agent").output
    assert "vertex: goes on" in run("resume").output
    assert deployed.status() == {"Publish": 1}
    assert deployed.poll()["launched"] == {"vertex": 1}
    deployed.submit(Ticket(launch_key=launch.key))
    assert "Launched after" in deployed.read(launch.key).entry.notice


def test_all_queues_are_paused_together(deployed: Deployment) -> None:
    """A single one of them cannot go on alone; a queue that poll does not serve is refused."""
    deployed.poll()
    assert "poll serves no queue named other. Its queues: vertex" in run("pause", "--queue=other", code=1).output
    assert json.loads(run("pause", "--json").stdout)["paused"][0]["queue"] is None
    assert "paused by" in deployed.poll()["held"]["vertex"]
    assert "all queues are paused together" in run("resume", "--queue=vertex", code=1).output
    assert json.loads(run("resume", "--json").stdout) == {"paused": []}
    assert run("resume").stdout == "all queues: was not paused\n"
    assert deployed.poll()["held"] == {}


def test_a_poll_at_work_keeps_its_lease(deployed: Deployment) -> None:
    """A pause is recorded beside it, although others write the note too; the poll's next round heeds it."""
    now = deployed.ledger.now()
    book = GcsAgentBook(os.environ["LEDGER_BUCKET"], NAME)
    assert book.take("a poll", now, now + timedelta(seconds=150))
    with ThreadPoolExecutor(8) as pool:
        target = _target()
        list(pool.map(lambda number: _pause(target, f"q{number}"), range(8)))
    note = book.read()
    assert note
    assert note.holder == "a poll"
    assert note.lease_until
    assert {pause.queue for pause in note.paused} == {f"q{number}" for number in range(8)}


def test_a_run_spec_is_published_once(deployed: Deployment, tmp_path: Path) -> None:
    """In YAML, with the queue's configuration; the same command again is the same launch."""
    file = tmp_path / "train.yaml"
    file.write_text("entity: team\nproject: cats\nname: from-yaml\ndocker: {docker_image: local/x}\n")
    options = ("publish", str(file), "--queue=team/vertex")
    first = json.loads(run(*options, "--json").stdout)
    second = json.loads(run(*options, "--json").stdout)
    assert first["launch_key"] == second["launch_key"]
    assert first["topic"] == "projects/p/topics/launch-requests"
    key = first["launch_key"]
    fields = {"source": first["source"], "idempotency_key": first["idempotency_key"]}
    queue = {"entity": "team", "name": "vertex"}
    spec = {"entity": "team", "project": "cats", "name": "from-yaml", "docker": {"docker_image": "local/x"}}
    for _ in range(2):
        deployed.submit(Request(**fields, queue=queue, run_spec=spec))
    assert deployed.read(key).entry.state is State.SUBMITTED
    assert len(deployed.outside.vertex.jobs()) == 1


def test_publish_waits_for_the_outcome(deployed: Deployment) -> None:
    """From the standard input; the exit code tells how it ended."""
    document = json.dumps({"source": "ci", "idempotency_key": "7", "run_spec": SPEC})

    def live() -> None:
        deployed.submit(Request(source="ci", idempotency_key="7", run_spec=SPEC))
        [entry] = deployed.ledger.list_open().entries
        deployed.ledger.write(deployed.read(entry.key).asked(Wish("cancel", "bob", deployed.ledger.now())))
        deployed.outside.vertex.force(entry.job_name, "JOB_STATE_CANCELLED", "")
        deployed.status()

    lives = threading.Timer(0.2, live)
    lives.start()
    done = run("publish", "-", "--wait", "--timeout=60", stdin=document, code=CANCELLED)
    lives.join()
    assert "has ended: CANCELLED. Cancelled by bob" in done.stdout


def test_what_submit_would_refuse_is_not_published(deployed: Deployment) -> None:
    """Exit code 3, with the field; hostile text moves no cursor."""
    done = run("publish", "-", stdin='{"run_spec": {}, "sourcee\\u001b[2J": "x"}', code=3)
    assert "Did you mean source?" in done.output or "is not known here" in done.output
    assert "\x1b" not in done.output
    assert "is published" not in done.output


def test_a_dry_run_shows_the_job_or_the_refusal(deployed: Deployment) -> None:
    """With submit's settings, and without a key."""
    shown = run("publish", "-", "--dry-run", stdin=json.dumps(SPEC)).output
    assert "outcome: would be launched" in shown
    assert "Nothing was published." in shown
    assert "would be refused" in run("publish", "-", "--dry-run", stdin='{"project": "cats"}', code=3).output


def test_a_missing_topic_is_named(deployed: Deployment) -> None:
    """With the command that creates it."""
    done = run("publish", "-", "--topic=nowhere", stdin=json.dumps(SPEC), code=1)
    assert "projects/p/topics/nowhere does not exist" in done.output


def _a_request(name: str) -> Launch:
    from datetime import UTC, datetime

    from shared.core.intake import from_request

    return from_request(Request(source="ci", idempotency_key=name, run_spec=SPEC), datetime.now(UTC))


def _target() -> Any:
    from deploy.operate.fleet.target import Target

    return Target("p", "", "launch", os.environ["LEDGER_BUCKET"], NAME)


def _pause(target: Any, queue: str) -> None:
    from deploy.operate.steering.agent_note import change_note

    pause = Pause(queue, "ana", target.now())
    change_note(target, lambda note: replace(note, paused=(*note.paused, pause)))


def _wish(target: Any, key: str, by: str) -> Any:
    from deploy.operate.steering.wish import Wishing

    wish = Wish("cancel", by, target.now())
    return Wishing(target, wish, timedelta(minutes=1), lambda _: None).record(key)
