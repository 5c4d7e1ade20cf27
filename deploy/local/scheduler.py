"""Call URLs as Cloud Scheduler does: python -m deploy.local.scheduler --every 2 URL URL...

Each URL has its own thread: a long call delays no other URL and never overlaps with the next call
of its own. As with Cloud Scheduler, calls that were due meanwhile are skipped.
"""

import argparse
import logging
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

import urllib3

log = logging.getLogger(__name__)


@dataclass
class Scheduler:
    """Posts to each URL every `every` seconds from start to stop; a failure is only logged."""

    urls: Sequence[str]
    every: float
    timeout: float = 180.0  # Cloud Scheduler's attempt deadline by default
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start the calls, the first to each URL immediately."""
        for url in self.urls:
            threading.Thread(target=self._run, args=(url,), name=url, daemon=True).start()

    def stop(self) -> None:
        """Make no further call; a running call goes on."""
        self._stopped.set()

    def _run(self, url: str) -> None:
        http = urllib3.PoolManager(retries=False)
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            self._call(http, url)
            missed = max(0, int((time.monotonic() - due) / self.every))
            due += self.every * (missed + 1)

    def _call(self, http: urllib3.PoolManager, url: str) -> None:
        headers = {
            "User-Agent": "Google-Cloud-Scheduler",
            "X-CloudScheduler": "true",
            "X-CloudScheduler-JobName": job_name(url),
            "X-CloudScheduler-ScheduleTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "Connection": "close",  # a server may close an idle connection during a call
        }
        try:
            answer = http.request(
                "POST", url, headers=headers, timeout=self.timeout, redirect=False
            )
        except urllib3.exceptions.HTTPError as exc:
            log.warning("%s: %s", url, exc)
            return
        if answer.status >= 300:
            log.warning(
                "%s: HTTP %d %s",
                url,
                answer.status,
                answer.data[:200].decode(errors="replace").strip(),
            )


def job_name(url: str) -> str:
    """Return a job's name for a URL: its path, or its host and port."""
    parts = urlsplit(url)
    return (parts.path.strip("/") or parts.netloc).replace("/", "-").replace(":", "-")


def main() -> None:
    """Call until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.scheduler", description=__doc__)
    parser.add_argument(
        "--every",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="seconds from one call to the next",
    )
    parser.add_argument("urls", nargs="+", metavar="URL", help="target of the POST requests")
    options = parser.parse_args()
    if options.every <= 0:
        parser.error("--every must be positive")
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.WARNING)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    scheduler = Scheduler(options.urls, options.every)
    scheduler.start()
    ended.wait()
    scheduler.stop()


if __name__ == "__main__":
    main()
