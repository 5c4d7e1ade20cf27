"""Three in the morning: whatever a launch waits for, the first line of `why` names it.

Each case drives the functions through their doors into its state; the command then reads what they have left.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deploy.__main__ import main
from deploy.local.record import Record
from deploy.local.run_folder import held
from deploy.local.servers.vertex.refusals import job_error
from shared.adapters.gcs import GcsLedger
from shared.core.message import Ticket, encode
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import ITEM, REQUEST, eventarc

RUN = "run12345"
FOLDER = Path(".stack")
KEPT = "projects/p/subscriptions/launch-dead-letters"
SETTINGS = (
    "WANDB_BASE_URL", "WANDB_API_KEY", "VERTEX_ENDPOINT", "VERTEX_LOCATION", "GOOGLE_CLOUD_PROJECT", "LEDGER_BUCKET",
    "PUBSUB_EMULATOR_HOST", "STORAGE_EMULATOR_HOST", "LAUNCH_ENTITY", "LAUNCH_QUEUES", "LAUNCH_MAX_JOBS",
    "LAUNCH_AGENT_NAME", "WANDB_API_KEY_FILE",
)  # fmt: skip


@dataclass
class Night:
    """A deployment on this machine in which something goes wrong."""

    outside: Outside

    def push(self, **changes: Any) -> str:
        """Enqueue an item; return its id."""
        return str(self.outside.wandb.push("team", "vertex", {**ITEM, **changes}).id)

    def poll(self, **settings: str) -> int:
        """Call poll."""
        self.outside.rewire("poll")
        return int(self.outside.client("poll", **settings).post("/").status_code)

    def submit(self, key: str = "") -> None:
        """Deliver the ticket of a launch, or of all."""
        self.outside.rewire("submit")
        served = self.outside.client("submit", FIRST_RETRY_SECONDS="3600")
        for each in [key] if key else self.keys():
            assert served.post(**eventarc(encode(Ticket(launch_key=each)))).status_code == 200

    def status(self, **settings: str) -> None:
        """Make a tick of status."""
        self.outside.rewire("status")
        self.outside.client("status", **settings).post("/")

    def keys(self) -> list[str]:
        """Return the keys of the open launches."""
        return [entry.key for entry in GcsLedger(os.environ["LEDGER_BUCKET"]).list_open().entries]

    def launched(self, **changes: Any) -> str:
        """Bring an item as far as submit brings it; return its id."""
        item = self.push(**changes)
        self.poll()
        self.submit()
        return item

    def job(self, state: str, error: str = "") -> None:
        """Change the state of the newest job."""
        self.outside.vertex.force(self.outside.vertex.jobs()[0].name, state, error)

    def why(self, *arguments: str) -> Result:
        """Ask why."""
        return self.command("why", *arguments)

    def command(self, *arguments: str) -> Result:
        """Run a command as a person does, in the folder of `make up`."""
        environment = {name: os.environ[name] for name in SETTINGS if name in os.environ}
        record = dict.fromkeys((field.name for field in fields(Record)), "") | {
            "folder": str(FOLDER.resolve()),
            "project": "p",
            "environment": environment,
        }
        with held(FOLDER):
            (FOLDER / "stack.json").write_text(json.dumps(record), encoding="utf-8")
            return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture
def night(outside: Outside) -> Night:
    """Begin."""
    outside.monkeypatch.setenv("LAUNCH_AGENT_NAME", "vertex-launch")
    return Night(outside)


def no_capacity(night: Night) -> str:
    """Google has no such machines."""
    night.outside.vertex.faults.refuse_next_as("region-insufficient")
    return night.launched()


def quota_zero(night: Night) -> str:
    """The project has no quota at all."""
    night.outside.vertex.faults.refuse_next_as("quota-zero")
    return night.launched()


def quota_used(night: Night) -> str:
    """Other jobs use the quota."""
    night.outside.vertex.faults.refuse_next_as("quota-metrics")
    return night.launched()


def held_queue(night: Night) -> str:
    """A launch that waits for capacity holds the queue of the next item."""
    no_capacity(night)
    item = night.push(name="second")
    night.poll()
    return item


def key_revoked_before_the_pop(night: Night) -> str:
    """W&B does not accept the key any more, and so shows no item either."""
    night.poll()
    item = night.push()
    night.outside.wandb.api_keys = frozenset({"another-key-" * 4})
    night.poll()
    return item


def key_revoked_after_the_pop(night: Night) -> str:
    """Submit finds that W&B does not accept the key."""
    item = night.push()
    night.poll()
    night.outside.wandb.api_keys = frozenset({"another-key-" * 4})
    night.submit()
    return item


def key_file_revoked(night: Night) -> str:
    """The functions read the key from a file, as from a secret; the operator's own key is good."""
    file = Path("key").resolve()
    file.write_text(os.environ["WANDB_API_KEY"], encoding="utf-8")
    night.outside.monkeypatch.setenv("WANDB_API_KEY_FILE", str(file))
    item = night.push()
    file.write_text("revoked-key-" * 4, encoding="utf-8")
    night.outside.monkeypatch.setenv("LAUNCH_ENTITY", "team")
    return item


def max_jobs(night: Night) -> str:
    """The only slot is taken."""
    night.launched(name="the-first")
    item = night.push(name="second")
    night.outside.monkeypatch.setenv("LAUNCH_MAX_JOBS", "1")
    night.poll()
    return item


def stopped_agent(night: Night) -> str:
    """Somebody has stopped poll's agent, and forgot it."""
    night.poll()
    where = ["--project=p", "--region=us-central1", "--agent-name=vertex-launch"]
    CliRunner().invoke(main, ["agent", "stop", *where])
    item = night.push()
    night.poll()
    return item


def stopped_in_wandb(night: Night) -> str:
    """Somebody has pressed "stop agent" on W&B's page."""
    night.poll()
    [agent] = night.outside.wandb.agents.by_id.values()
    agent.stop_polling = True
    item = night.push()
    night.poll()
    return item


def pending(night: Night) -> str:
    """Vertex AI looks for machines."""
    item = night.launched()
    night.job("JOB_STATE_PENDING")
    return item


def image_pull(night: Night) -> str:
    """The image does not exist: Vertex AI fails the job."""
    item = night.launched()
    night.job("JOB_STATE_FAILED", "Failed to pull image local/x: not found")
    night.status()
    night.status()
    return item


def preempted(night: Night, resumes: int = 0) -> str:
    """Vertex AI took the machines of a job that ran."""
    item = night.launched(run_id=RUN, _resume_count=resumes)
    night.outside.wandb.upsert_run("team", "cats", RUN, {"state": "running"})
    night.job("JOB_STATE_RUNNING")
    [run] = night.outside.wandb.runs.all()
    run.state = "preempted"
    night.outside.vertex.preempt(night.outside.vertex.jobs()[0].name)
    night.status()
    return item


def exhausted_budget(night: Night) -> str:
    """Vertex AI took them too often."""
    return preempted(night, resumes=5)


def stopped(night: Night) -> str:
    """Its author has stopped the run in W&B."""
    item = night.launched(run_id=RUN)
    night.outside.wandb.upsert_run("team", "cats", RUN, {"state": "running"})
    night.job("JOB_STATE_RUNNING")
    [run] = night.outside.wandb.runs.all()
    run.stopped = True
    night.status()
    night.status(STOPPED_RUN_TIMEOUT_SECONDS="0")
    return item


def deleted_item(night: Night) -> str:
    """Its author has deleted the item of a launch that waits for capacity."""
    item = no_capacity(night)
    queue = next(iter(night.outside.wandb.queues.in_project("team", "model-registry")))
    assert night.outside.wandb.queues.remove(queue.id, item)
    night.status()
    return item


def refused_request(night: Night) -> str:
    """A request names no image."""
    spec = {name: value for name, value in REQUEST.run_spec.items() if name != "docker"}
    night.outside.client("submit").post(**eventarc(encode(REQUEST.model_copy(update={"run_spec": spec}))))
    night.status()
    return "ci/42"


def dead_letter(night: Night) -> str:
    """The ledger was unreachable in all deliveries of a request."""
    from google.cloud import pubsub_v1

    publisher = pubsub_v1.PublisherClient()
    dead = publisher.create_topic(name="projects/p/topics/launch-dead-letters").name
    pubsub_v1.SubscriberClient().create_subscription(name=KEPT, topic=dead)
    publisher.publish(dead, encode(REQUEST)).result(timeout=20)
    night.poll()
    return "ci/42"


def refused_item(night: Night) -> str:
    """An item names no image."""
    item = night.launched(docker=None)
    night.status()
    return item


def fails_at_once(night: Night) -> str:
    """The author's own code fails."""
    item = night.launched()
    night.job("JOB_STATE_FAILED", job_error("own-failure"))
    night.status()
    return item


CASES: list[tuple[Callable[[Night], str], int, str]] = [
    (no_capacity, 1, r"Google has no such machines free in the region \(STOCKOUT\): .*Resources are insufficient"),
    (quota_zero, 3, r"It ended as REJECTED .*Limit: 0\.0"),
    (quota_used, 1, r"The project's quota is used up \(AMOUNT\)"),
    (held_queue, 1, r"Queue vertex is held, because launch k\w+ \(one\) waits for capacity \(STOCKOUT\)"),
    (key_revoked_before_the_pop, 1, r"W&B refuses the API key of the functions"),
    (key_revoked_after_the_pop, 1, r"W&B refuses the API key of the functions"),
    (key_file_revoked, 1, r"W&B refuses the API key of the functions"),
    (max_jobs, 1, r"The limit max_jobs is reached, because 1 of 1 launches are open: k\w+ \(the-first\)"),
    (stopped_agent, 1, r"`vertex-launch agent stop` has stopped poll's agent"),
    (stopped_in_wandb, 1, r"Poll's last call, \d+s ago, popped nothing: W&B asks this agent to stop polling"),
    (pending, 1, r"Its job waits in Vertex AI for machines or for its image, since"),
    (image_pull, 1, r"It ended as FAILED .*Failed to pull image local/x"),
    (preempted, 1, r"Vertex AI preempted its job \(1 time\): it is launched again"),
    (exhausted_budget, 1, r"It ended as FAILED .*preempted after 5 resumes, and 5 are allowed"),
    (stopped, 1, r"Its (run was stopped in W&B|job is being cancelled: The run was stopped in W&B)"),
    (deleted_item, 1, r"It ended as CANCELLED .*The item was removed from its queue"),
    (refused_request, 3, r"It ended as REJECTED .*image"),
    (dead_letter, 1, r"The message of launch k\w+ is a dead letter \(\w+\) since .*: request of ci: 42"),
    (refused_item, 3, r"It ended as REJECTED .*image"),
    (fails_at_once, 1, r"It ended as FAILED .*exited with a non-zero status"),
]


@pytest.mark.parametrize(("make", "exit_code", "cause"), CASES, ids=[make.__name__ for make, *_ in CASES])
def test_three_in_the_morning(night: Night, make: Callable[[Night], str], exit_code: int, cause: str) -> None:
    """One command prints the line that names the cause, and how to change it."""
    result = night.why(make(night))
    assert re.match(cause, result.output.splitlines()[0])
    assert result.exit_code == exit_code
    blocking = result.output.index("✗")
    assert re.search("^    (vertex-launch|tail|printf|docs|http|Change)", result.output[blocking:], re.MULTILINE)


def test_the_whole_deployment_is_asked_without_an_id(night: Night) -> None:
    """What waits in each queue is counted; JSON has the same findings."""
    night.poll()
    night.push()
    night.push()
    result = night.why("--json")
    found = json.loads(result.output)
    checks = {each["check"]: each for each in found["checks"]}
    assert checks["queue vertex"]["message"].startswith("2 items wait in queue vertex; the first is ")
    assert checks["max_jobs"] == {
        "check": "max_jobs",
        "result": "ok",
        "message": "0 of 10 slots are taken",
        "fix": [],
    }
    assert found["cause"].startswith("Nothing stops launches. But these checks could not be made: dead letters")
    assert result.exit_code == 4  # this fixture has no dead-letter subscription
    assert not {"WANDB_API_KEY", os.environ["WANDB_API_KEY"]} & set(result.output.split())


def test_an_id_that_names_nothing_or_too_much_says_so(night: Night) -> None:
    """Where it searched; which launches it may mean; and which place could not be searched."""
    night.launched(name="first")
    night.launched(name="second")
    several = night.why("k")
    assert several.exit_code == 2
    assert "Error: 'k' names 2 launches; use the key of one:" in several.output
    assert re.search(r"^  k\w{26}  (queued|pending) .* second$", several.output, re.MULTILINE)
    nothing = night.why("no-such-id")
    assert nothing.exit_code == 4
    assert "no-such-id names no launch. Searched: gs://" in nothing.output
    assert "Not searched: dead letters: projects/p/subscriptions/launch-dead-letters does not exist" in nothing.output


def test_an_unreadable_ledger_is_a_line(night: Night) -> None:
    """The other places are still asked."""
    item = night.push()
    night.poll()
    night.outside.monkeypatch.setenv("LEDGER_BUCKET", "no-such-bucket")
    night.outside.monkeypatch.setenv("LAUNCH_ENTITY", "team")
    result = night.why(item)
    assert result.exit_code == 4
    assert re.search(r"^\? limits: .*no-such-bucket", result.output, re.MULTILINE)


def test_cost_counts_what_the_ledger_shows(night: Night, tmp_path: Path) -> None:
    """Running jobs until now, ended ones to their end; money by the operator's table."""
    night.launched(author="ann")
    night.job("JOB_STATE_RUNNING")
    [job] = night.outside.vertex.jobs()
    job.start_time = datetime.now(UTC) - timedelta(hours=2)
    night.status()
    prices = {"date": "2026-11-01", "currency": "USD", "machines": {"n1-standard-4": {"hour": 0.5}}}
    (tmp_path / "prices.yaml").write_text(json.dumps(prices), encoding="utf-8")  # in the current folder
    text = night.command("cost").output.splitlines()
    assert re.match(r"2\.00 machine-hours of 1 launches since .* UTC, 1\.00 USD, prices of 2026-11-01$", text[0])
    assert re.search(r"^ *vertex +1 +2\.00 +1\.00$", "\n".join(text), re.MULTILINE)
    found = json.loads(night.command("cost", "--json", "--since=1h", "--by=author").output)
    assert found["author"] == [{"name": "ann", "launches": 1, "machine_hours": 1.0, "cost": 0.5, "unpriced_hours": 0.0}]
    assert "queue" not in found


def test_doctor_works_on_this_machine(night: Night) -> None:
    """It checks what the stack has, counts the rest, asks Google nothing, and reports a refused key once."""
    from google.cloud import pubsub_v1

    dead = pubsub_v1.PublisherClient().create_topic(name="projects/p/topics/launch-dead-letters").name
    pubsub_v1.SubscriberClient().create_subscription(name=KEPT, topic=dead)
    night.outside.wandb.entity = "team"  # of the key's owner
    night.poll()
    good = night.command("doctor")
    last = good.output.splitlines()[-1]
    assert re.fullmatch(r"4 OK, \d\d checks not made on the local stack", last)
    assert {line[2:].partition(":")[0] for line in good.output.splitlines() if line.startswith("✓")} == {
        "key of the functions",
        "queue vertex",
        "dead letters",
        "agent",
    }
    assert good.exit_code == 0
    night.outside.wandb.api_keys = frozenset({"another-key-" * 4})
    found = json.loads(night.command("doctor", "--json").output)
    [fault] = [each for each in found["findings"] if each["result"] != "OK"]
    assert (fault["check"], fault["result"], fault["same_cause"]) == (
        "key of the functions",
        "failed",
        ["queue vertex", "agent"],
    )
    assert found["checks_not_made"] == 2
