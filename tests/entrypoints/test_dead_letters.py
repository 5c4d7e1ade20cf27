"""A message that submit refuses, from its delivery to the dead letters and back; a launch without attempts left."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import functions_framework
from google.cloud import pubsub_v1
from google.pubsub_v1.types import DeadLetterPolicy, PushConfig, Subscription
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from werkzeug.serving import make_server

from deploy.local.serving import serving
from shared.core.message import Ticket, encode, launch_key
from tests.contract.pubsub import QUICK
from tests.entrypoints.conftest import MAIN, TOPIC, Outside
from tests.entrypoints.test_functions import ITEM, REQUEST, eventarc
from tests.waiting import eventually

DEAD, KEPT = "projects/p/topics/launch-dead-letters", "projects/p/subscriptions/launch-dead-letters"
ATTEMPTS = 5


@dataclass
class Delivery:
    """Pub/Sub's way to submit."""

    publisher: pubsub_v1.PublisherClient
    answers: list[str] = field(default_factory=list)  # submit's own, such as "200 OK"

    def publish(self, topic: str, message: bytes) -> None:
        """Publish a message, and wait until Pub/Sub has it."""
        self.publisher.publish(topic, message).result(timeout=20)


@contextmanager
def delivering(outside: Outside) -> Iterator[Delivery]:
    """Let Pub/Sub push what is on the topic to submit, and give up after so many attempts."""
    outside.monkeypatch.setenv("FUNCTION_TARGET", "submit")
    submit = functions_framework.create_app("submit", str(MAIN))  # type: ignore[no-untyped-call]

    def app(environ: Any, start_response: Any) -> Any:
        def answered(status: str, *rest: Any) -> Any:
            delivery.answers.append(status)
            return start_response(status, *rest)

        return submit(environ, answered)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    delivery = Delivery(publisher)
    with closing(publisher.transport), subscriber:
        publisher.create_topic(name=DEAD)
        subscriber.create_subscription(request=Subscription(name=KEPT, topic=DEAD))
        trigger = Subscription(
            name="projects/p/subscriptions/trigger",
            topic=TOPIC,
            push_config=PushConfig(push_endpoint=f"http://127.0.0.1:{server.server_port}/{TOPIC}"),
            retry_policy=QUICK,
            dead_letter_policy=DeadLetterPolicy(dead_letter_topic=DEAD, max_delivery_attempts=ATTEMPTS),
        )
        subscriber.create_subscription(request=trigger)
        try:
            yield delivery
        finally:
            subscriber.delete_subscription(subscription=trigger.name)  # so that nothing is pushed into nowhere
            publisher.stop()
            server.shutdown()
            thread.join()


@contextmanager
def refusing() -> Iterator[str]:
    """Serve a GCS that lets nobody in: the function has lost its role on the ledger's bucket."""

    async def refuse(_: Any) -> Response:
        return JSONResponse({"error": {"code": 403, "message": "no storage.objects.get"}}, 403)

    everything = Route("/{path:path}", refuse, methods=["GET", "POST", "PUT", "DELETE"])
    with serving(Starlette(routes=[everything])) as url:
        yield url


def run(*arguments: str) -> str:
    """Run the command as an operator does, and return what it prints."""
    options = ["--project=p", "--region=us-central1", "--wait=0.5", *arguments]
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "dead-letters", *options],
        cwd=MAIN.parent, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def waiting() -> list[dict[str, Any]]:
    """Return the dead letters."""
    found: list[dict[str, Any]] = json.loads(run("--json"))
    return found


def test_garbage_ends_there_after_all_its_attempts(outside: Outside) -> None:
    """It is listed as garbage, and the letters after it are served."""
    with delivering(outside) as delivery:
        delivery.publish(TOPIC, b"\xff garbage")
        delivery.publish(TOPIC, encode(REQUEST))
        eventually(outside.vertex.jobs, "the request is launched")
        [letter] = eventually(waiting, "the garbage is a dead letter")
        assert (letter["kind"], letter["attempts"], letter["subscription"]) == (None, ATTEMPTS, "trigger")
        assert letter["problem"].startswith("message: Invalid JSON")
        assert "is dropped" in run("--drop", "--yes", letter["message_id"])
        assert waiting() == []


def test_a_message_that_could_not_be_recorded_is_launched_once_after_a_replay(outside: Outside) -> None:
    """A ticket and a request while the ledger refuses submit; then once each, though they come twice."""
    real = os.environ["STORAGE_EMULATOR_HOST"]
    with delivering(outside) as delivery:
        with refusing() as url:
            outside.monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
            delivery.publish(TOPIC, encode(REQUEST))
            eventually(waiting, "the request is a dead letter")
            outside.monkeypatch.setenv("STORAGE_EMULATOR_HOST", real)  # for poll; submit has its connection
            item = outside.wandb.push("team", "vertex", ITEM)
            assert outside.client("poll").post("/").json["launched"] == {"vertex": 1}
            letters = eventually(lambda: len(found := waiting()) == 2 and found, "the ticket is a dead letter, too")
        keys = {letter["kind"]: letter["launch_key"] for letter in letters}
        assert keys == {"request": REQUEST.launch_key, "ticket": launch_key("wandb", item.id)}
        assert {letter["attempts"] for letter in letters} == {ATTEMPTS}
        assert outside.vertex.jobs() == []
        outside.rewire("submit")
        assert "2 dead letters replayed." in run("--replay")
        eventually(lambda: len(outside.vertex.jobs()) == 2, "both are launched")
        for message in (REQUEST, Ticket(launch_key=keys["ticket"])):  # as if the command had died before it took it out
            delivery.publish(DEAD, encode(message))
            delivery.publish(TOPIC, encode(message))
        eventually(lambda: delivery.answers.count("200 OK") == 4, "submit has taken each twice")
        output = run("--replay")
        assert output.count("stays, ") == output.count("its launch has a job: ") == 2
        assert "0 dead letters replayed, 2 left." in output
        run("--drop", "--yes", *(letter["message_id"] for letter in waiting()))
        assert {job.labels["launch_key"] for job in outside.vertex.jobs()} == set(keys.values())
        assert len(outside.vertex.jobs()) == 2
        assert waiting() == []


def test_a_launch_that_used_up_its_attempts_fails_its_item(outside: Outside, capsys: Any) -> None:
    """Its author reads how often it was tried, and what the last attempt tripped over; nothing is a dead letter."""
    outside.vertex.faults.refuse_next(403, "PERMISSION_DENIED", "no aiplatform.customJobs.create", times=9)
    item = outside.wandb.push("team", "vertex", ITEM)
    outside.client("poll").post("/")
    submit = outside.client("submit", LAUNCH_MAX_FAILURES="2", FIRST_RETRY_SECONDS="0.01")
    ticket = encode(Ticket(launch_key=launch_key("wandb", item.id)))
    eventually(
        lambda: submit.post(**eventarc(ticket)).status_code == 200 and "launch.gave_up" in capsys.readouterr().out,
        "submit gives up",
    )
    assert outside.client("status").post("/").json["done"] == {"Finish": 1}
    assert item.state == "FAILED"
    assert "not launched after 2 attempts; the last error: " in str(item.error)
    assert "no aiplatform.customJobs.create" in str(item.error)
    assert outside.vertex.jobs() == []
