"""`vertex-launch dead-letters` on every Pub/Sub that the project may run on: nothing is lost by looking."""

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import requests
from click.testing import CliRunner, Result
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from deploy.operate.dead_letters.command import dead_letters
from deploy.operate.dead_letters.queue import PAGE
from shared.adapters.gcs import GcsLedger
from shared.core.intake import from_request
from shared.core.launch import Launch, State
from shared.core.message import MAX_BYTES, Request, Ticket, encode, launch_key
from tests.contract.gcs import fresh_bucket, gcs_server
from tests.contract.launches import NOW, ended
from tests.contract.pubsub import PROJECT, Place, until

KEY = launch_key("wandb", "item")
TICKET = encode(Ticket(launch_key=KEY))
REQUEST = Request(source="nightly", idempotency_key="42", run_spec={"_wandb_api_key": "s3cret", "entity": "team"})
GARBAGE = b'{"kind": "s3cret"}'
SOURCE = "CloudPubSubDeadLetterSource"


class Letters:
    """A deployment's launch topic and dead letters, and the command."""

    def __init__(self, place: Place, bucket: str) -> None:
        self.bucket, self.ledger = bucket, GcsLedger(bucket)
        self.place, self.name = place, f"d{uuid.uuid4().hex[:10]}"
        topics = [f"{PROJECT}/topics/{self.name}-{kind}" for kind in ("requests", "dead-letters")]
        for topic in topics:
            place.publisher.create_topic(name=topic)
        self._requests, self._dead = topics
        self.requests = place.subscribe(self._requests)
        self.kept = f"{PROJECT}/subscriptions/{self.name}-dead-letters"
        place.subscriber.create_subscription(request={"name": self.kept, "topic": self._dead})

    def bury(self, *messages: bytes, **attributes: str) -> list[str]:
        """Let messages be given up, as Pub/Sub says it; return their ids."""
        attributes_of_google = {"DeliveryCount": "20", "Subscription": "trigger-1", "SubscriptionProject": "contract"}
        return self.place.publish(
            self._dead,
            *messages,
            **{f"{SOURCE}{name}": value for name, value in attributes_of_google.items()},
            **attributes,
        )

    def run(self, *arguments: str, answer: str = "", code: int = 0) -> Result:
        """Run the command; it ends with this exit code, and no run spec's key is ever in its words."""
        options = ["--project=contract", "--region=us-central1", f"--name={self.name}", "--wait=0.5", *arguments]
        options.append(f"--bucket={self.bucket}")
        environ = {"PUBSUB_EMULATOR_HOST": self.place.host, "COLUMNS": "200"}
        done = CliRunner().invoke(dead_letters, options, input=answer, env=environ)
        assert done.exit_code == code, done.output
        assert "s3cret" not in done.output
        return done

    def listed(self) -> list[dict[str, Any]]:
        """Return what the command lists."""
        found: list[dict[str, Any]] = json.loads(self.run("--json").stdout)
        return found

    def replayed(self) -> list[bytes]:
        """Take what is on the launch topic now."""
        return [received.message.data for received in self.place.pull(self.requests)]


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS."""
    with gcs_server(tmp_path_factory.mktemp("gcs")) as url:
        yield url


@pytest.fixture
def letters(place: Place, gcs: str) -> Letters:
    """Make them, and an empty ledger."""
    return Letters(place, fresh_bucket(gcs))


def test_an_empty_box_says_so(letters: Letters) -> None:
    """In words, and as JSON."""
    assert letters.run().stdout == "No dead letters.\n"
    assert letters.listed() == []


def test_waiting_letters_are_listed_and_stay(letters: Letters) -> None:
    """With its kind, its deliveries and its source; the second listing shows the same, and nothing is launched."""
    ids = letters.bury(TICKET, encode(REQUEST), GARBAGE)
    shown = letters.run().stdout
    for word in (*ids, "20 times by trigger-1", f"ticket of launch {KEY}", "request of nightly: 42", "3 dead letters."):
        assert word in shown
    assert "no message: message: kind must be one of 'ticket', 'request'" in shown
    for _ in range(2):
        assert {letter["message_id"] for letter in letters.listed()} == set(ids)
    by_id = {letter["message_id"]: letter for letter in letters.listed()}
    assert [by_id[one]["kind"] for one in ids] == ["ticket", "request", None]
    assert [by_id[one]["launch_key"] for one in ids] == [KEY, REQUEST.launch_key, None]
    assert [bool(by_id[one]["stays"]) for one in ids] == [False, False, True]
    assert by_id[ids[1]].items() >= {"source": "nightly", "idempotency_key": "42", "attempts": 20}.items()
    assert letters.replayed() == []


def test_more_than_one_pull_brings_are_listed(letters: Letters) -> None:
    """Each once."""
    ids = letters.bury(*(b"%d" % number for number in range(2 * PAGE + 1)))
    assert sorted(letter["message_id"] for letter in letters.listed()) == sorted(ids)


def test_all_are_replayed_but_what_is_no_message(letters: Letters) -> None:
    """The same bytes are on the launch topic again, and gone from here; garbage stays, with the reason."""
    _, _, garbage = letters.bury(TICKET, encode(REQUEST), GARBAGE)
    output = letters.run("--replay").stdout
    assert f"{garbage} stays, no message: message: kind must be one of" in output
    assert "submit would refuse it again" in output
    assert "2 dead letters replayed, 1 left." in output
    first = until(letters.replayed)
    received = first if len(first) == 2 else first + until(letters.replayed)
    assert sorted(received) == sorted([TICKET, encode(REQUEST)])
    assert [letter["message_id"] for letter in letters.listed()] == [garbage]
    assert "0 dead letters replayed, 1 left." in letters.run("--replay").stdout


def test_only_what_is_named_is_replayed(letters: Letters) -> None:
    """A name that is not there, and one that stays, make the exit code 1; what can be replayed is, all the same."""
    ticket, other, garbage = letters.bury(TICKET, TICKET, GARBAGE)
    assert (
        f"not found, or not replayed: none, {garbage}"
        in letters.run("--replay", ticket, "none", garbage, code=1).output
    )
    assert until(letters.replayed) == [TICKET]
    assert {letter["message_id"] for letter in letters.listed()} == {other, garbage}
    assert not re.search(rf"(?m)^ *{ticket}  ", letters.run(other).stdout)
    letters.run(ticket, code=1)


def test_a_letter_that_cannot_be_fixed_is_dropped_after_asking(letters: Letters) -> None:
    """No leaves it, yes takes it away for good; all at once is not offered."""
    garbage, other = letters.bury(GARBAGE, b"x")
    assert "Delete 1 dead letter for good?" in letters.run("--drop", garbage, answer="n\n", code=1).output
    assert len(letters.listed()) == 2
    assert f"{garbage} is dropped, no message" in letters.run("--drop", garbage, answer="y\n").output
    assert "needs the MESSAGE_ID" in letters.run("--drop", "--yes", code=2).output
    letters.run("--drop", "--yes", other)
    assert letters.listed() == []
    assert letters.replayed() == []


def test_a_request_of_any_age_is_replayed_if_the_ledger_has_no_record(letters: Letters) -> None:
    """Submit looks its job up by its label first; the output says what the ledger has."""
    old = (datetime.now(UTC) - timedelta(days=30, hours=1)).isoformat()
    [request] = letters.bury(encode(REQUEST), **{f"{SOURCE}TopicPublishTime": old})
    assert f"{request} is published again" in (output := letters.run("--replay").stdout)
    assert "the ledger has no such launch" in output
    assert until(letters.replayed) == [encode(REQUEST)]
    assert letters.listed() == []


LAUNCH = from_request(REQUEST, NOW)
CLAIMED = LAUNCH.move(State.SUBMITTING, attempt=1)
SUBMITTED = CLAIMED.move(State.SUBMITTED, job_name="projects/p/locations/l/customJobs/1")


@pytest.mark.parametrize(
    ("launch", "message", "replayed"),
    [
        (LAUNCH, "its launch is QUEUED", True),
        (CLAIMED, "its launch is SUBMITTING", True),
        (SUBMITTED, "its launch has a job: projects/p/locations/l/customJobs/1. Drop it.", False),
        (ended(LAUNCH), "its launch has ended: FAILED. Drop it.", False),
    ],
    ids=["queued", "submitting", "submitted", "ended"],
)
def test_a_replay_looks_at_the_launch(letters: Letters, launch: Launch, message: str, replayed: bool) -> None:
    """A letter that is already done stays, and the output says why; nothing is published for it."""
    letters.ledger.write(launch)
    [request] = letters.bury(encode(REQUEST))
    assert message in letters.run("--replay").stdout
    assert [letter["message_id"] for letter in letters.listed()] == ([] if replayed else [request])
    assert (until(letters.replayed) if replayed else letters.replayed()) == ([encode(REQUEST)] if replayed else [])


def test_a_letter_of_a_closed_launch_is_not_replayed(letters: Letters) -> None:
    """A request that was launched, ended and closed; named, it makes the exit code 1. Another goes on."""
    letters.ledger.close(ended(letters.ledger.write(LAUNCH)))
    request, ticket = letters.bury(encode(REQUEST), TICKET)
    done = letters.run("--replay", request, ticket, code=1)
    assert f"{request} stays, request of nightly: 42: its launch is closed: FAILED. Drop it." in done.output
    assert until(letters.replayed) == [TICKET]


def test_an_unreadable_record_counts_as_an_open_launch(letters: Letters, gcs: str) -> None:
    """Submit tries again until somebody has looked at it."""
    upload = f"{gcs}/upload/storage/v1/b/{letters.bucket}/o"
    query = {"uploadType": "media", "name": f"open/{REQUEST.launch_key}"}
    requests.post(upload, params=query, data=b"garbage", timeout=5).raise_for_status()
    letters.bury(encode(REQUEST))
    assert "its launch is open, and its record is unreadable" in letters.run("--replay").stdout
    assert until(letters.replayed) == [encode(REQUEST)]


@pytest.mark.parametrize("options", [["--replay", "--drop", "1"], ["--json", "--replay"], ["--wait=0"]])
def test_contradictory_options_are_refused(letters: Letters, options: list[str]) -> None:
    """As a wrong use of the command."""
    letters.run(*options, code=2)


def test_a_missing_subscription_or_topic_is_named_with_its_fix(letters: Letters) -> None:
    """The fix is a command to copy; a letter that could not be published stays, and is there at once."""
    letters.bury(TICKET)
    letters.place.publisher.delete_topic(topic=f"{PROJECT}/topics/{letters.name}-requests")
    fix = f"vertex-launch provision --project=contract --region=us-central1 --name={letters.name}"
    output = letters.run("--replay", code=1).output
    assert f"{letters.name}-requests does not exist" in output
    assert fix in output
    assert len(letters.listed()) == 1
    letters.place.subscriber.delete_subscription(subscription=letters.kept)
    assert fix in letters.run(code=1).output


def test_a_publisher_moves_no_cursor(letters: Letters) -> None:
    """Any content of a message is shown as plain text."""
    names = {"source": "\x1b[2J[red]ci", "idempotency_key": "a\nb"}
    letters.bury(encode(Request(**names, run_spec={})))
    assert "·[2J[red]ci: a b" in letters.run().stdout


def test_the_largest_message_is_replayed(letters: Letters) -> None:
    """As a publisher may send it."""
    spec = {"entity": "e", "x": ""}
    empty = len(encode(Request(source="ci", idempotency_key="1", run_spec=spec)))
    largest = encode(Request(source="ci", idempotency_key="1", run_spec={**spec, "x": "x" * (MAX_BYTES - empty)}))
    letters.bury(largest)
    assert "1 dead letter replayed." in letters.run("--replay").stdout
    channel = grpc.insecure_channel(letters.place.host, options=[("grpc.max_receive_message_length", -1)])
    subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
    [received] = subscriber.pull(subscription=letters.requests, max_messages=1, timeout=20).received_messages
    assert received.message.data == largest


def test_a_terminal_shows_every_word_whole(letters: Letters, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns, with names of any length."""
    from deploy.operate.terminal import Terminal

    key = " ".join(f"word{number}" for number in range(30))
    letters.bury(encode(Request(source="nightly", idempotency_key=key, run_spec={})), TICKET)
    monkeypatch.setattr(Terminal, "here", lambda: Terminal(live=True))
    shown = letters.run().stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert set(key.split()) | {KEY} <= set(shown.split())
