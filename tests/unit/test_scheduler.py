"""The ticker in Cloud Scheduler's place, seen by a server that it calls."""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploy.local.scheduler import Scheduler


class Called(ThreadingHTTPServer):
    """Remember the calls; /fail answers 500, and /slow waits for leave."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.leave = threading.Event()
        self.running: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return f"http://127.0.0.1:{self.server_port}{path}"

    def times(self, path: str) -> int:
        """Count the calls of a path."""
        return sum(called == path for _, called, _ in list(self.calls))


class Handler(BaseHTTPRequestHandler):
    """Answer one call."""

    server: Called

    def do_POST(self) -> None:
        """Remember, then answer by the path."""
        called = self.server
        called.running[self.path] += 1
        called.most[self.path] = max(called.most[self.path], called.running[self.path])
        called.calls.append(("POST", self.path, dict(self.headers)))
        if self.path == "/slow":
            called.leave.wait(timeout=20)
        called.running[self.path] -= 1
        self.send_response(500 if self.path == "/fail" else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def called() -> Iterator[Called]:
    """Serve in a thread."""
    with Called() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.leave.set()
        server.shutdown()
        thread.join()


@contextmanager
def scheduling(*urls: str) -> Iterator[None]:
    """Call these as quickly as a test wants."""
    scheduler = Scheduler(urls, every=0.02)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.stop()


def until(holds: Callable[[], Any]) -> None:
    """Wait until something is so, or fail."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


def test_each_url_is_called_again_and_again_with_the_headers_of_cloud_scheduler(called: Called) -> None:
    """A function can tell by the headers that Cloud Scheduler calls, which job, and when it was due."""
    with scheduling(called.url("/poll"), called.url("/status")):
        until(lambda: called.times("/poll") >= 3 and called.times("/status") >= 3)
    _, _, headers = next(call for call in called.calls if call[1] == "/poll")
    assert headers["User-Agent"] == "Google-Cloud-Scheduler"
    assert headers["X-CloudScheduler"] == "true"
    assert headers["X-CloudScheduler-JobName"] == "poll"
    assert headers["X-CloudScheduler-ScheduleTime"].endswith("Z")


def test_a_failure_is_logged_and_the_calls_go_on(called: Called, caplog: pytest.LogCaptureFixture) -> None:
    """An answer of 500, and no answer at all, end nothing."""
    with Called() as gone:
        away = gone.url("/away")
    with scheduling(called.url("/fail"), away):
        until(lambda: called.times("/fail") >= 3 and caplog.text.count("/away") >= 3)
    assert "/fail: HTTP 500" in caplog.text


def test_a_slow_call_neither_overlaps_with_itself_nor_holds_up_another(called: Called) -> None:
    """While one URL takes its time it is not called again, and the others are."""
    with scheduling(called.url("/slow"), called.url("/quick")):
        until(lambda: called.times("/slow") == 1 and called.times("/quick") >= 10)
        called.leave.set()
        until(lambda: called.times("/slow") >= 3)
    assert called.most["/slow"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_calls_until_it_is_asked_to_end(called: Called, number: signal.Signals) -> None:
    """`python -m deploy.local.scheduler` ends cleanly, even while a call is under way."""
    command = [
        sys.executable,
        "-m",
        "deploy.local.scheduler",
        "--every",
        "0.05",
        called.url("/poll"),
        called.url("/slow"),
    ]
    with subprocess.Popen(command) as ticker:
        try:
            until(lambda: called.times("/poll") >= 2 and called.times("/slow") == 1)
            ticker.send_signal(number)
            assert ticker.wait(timeout=10) == 0
        finally:
            ticker.kill()


def test_the_command_refuses_an_interval_that_is_none() -> None:
    """Every zero seconds is refused with a message."""
    command = [sys.executable, "-m", "deploy.local.scheduler", "--every", "0", "http://127.0.0.1:1/"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "--every must be positive" in refused.stderr
