"""All builds, and their states: QUEUED → WORKING → SUCCESS, FAILURE, TIMEOUT or CANCELLED."""

import hashlib
import itertools
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.cloud.devtools.cloudbuild_v1 import Build

from deploy.local.image_store import ImageStore
from deploy.local.servers.build.dockerfile import BuildError
from deploy.local.servers.build.rules import check, not_found
from deploy.local.servers.build.worker import CancelledError, Worker
from deploy.local.servers.vertex.errors import ApiError, invalid_argument

STATUSES = {status.name: int(status) for status in list[Any](Build.Status)}
ENDED = frozenset(
    STATUSES[name]
    for name in ("SUCCESS", "FAILURE", "INTERNAL_ERROR", "TIMEOUT", "CANCELLED", "EXPIRED")
)
MOST = 50  # builds per page, by default
_TERM = re.compile(
    r"""(tags|status|build_trigger_id|images)\s*=\s*(?:"([^"]*)"|'([^']*)'|([\w.:/-]+))"""
)


@dataclass
class Kept:
    """A build: its message as the service shows it, its stop event and its log."""

    message: Any
    stop: threading.Event = field(default_factory=threading.Event)
    log: Path | None = None


class BuildState:
    """All builds of all projects and regions, newest last.

    With a `store` a worker runs each build; without one a test ends them.
    """

    def __init__(
        self,
        folder: Path,
        store: ImageStore | None = None,
        gcs: str = "",
        log_url: str = "https://logs.test",
        secrets: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.requests = dict.fromkeys(("create", "get", "list", "cancel", "tag"), 0)
        # by call: the errors of the next answers, and whether the call has its effect
        self.faults: dict[str, list[tuple[ApiError, bool]]] = {}
        self.images: set[str] = set()  # pushed images, if there is no store
        self.log_url = log_url
        self.at_once: int | None = None  # the quota of concurrent builds; None: no limit
        self.folder, self._store, self._gcs = folder, store, gcs
        self.secrets, self.env = dict(secrets or {}), dict(env or {})  # see Worker
        self._builds: dict[str, Kept] = {}
        self._threads: list[threading.Thread] = []
        self._working = 0
        self._lock = threading.RLock()

    def create(self, parent: str, message: Any) -> Any:
        """Accept and start a build, or raise ApiError; return its message."""
        check(message)
        project = parent.split("/")[1]
        with self._lock:
            message.id = str(uuid.uuid4())
            message.name, message.project_id = f"{parent}/builds/{message.id}", project
            message.status = STATUSES["QUEUED"]
            message.create_time.FromDatetime(datetime.now(UTC))
            message.log_url = f"{self.log_url}/standin/builds/{message.id}/log"
            if not message.timeout.seconds:
                message.timeout.seconds = 3600
            kept = self._builds[message.name] = Kept(message)
        if self._store:
            thread = threading.Thread(
                target=self._live, args=(kept, self._store), name=message.id, daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return message

    def get(self, name: str) -> Kept:
        """Return a build or raise ApiError (404)."""
        with self._lock:
            if name not in self._builds:
                raise not_found(name)
            return self._builds[name]

    def builds(self) -> list[Any]:
        """Return all builds, newest first."""
        with self._lock:
            return [kept.message for kept in self._builds.values()][::-1]

    def page(self, parent: str, wanted: str, size: int, token: str) -> tuple[list[Any], str]:
        """Return one page of a listing, newest first, and the token of the next page."""
        matches = compile_filter(wanted)
        start = int(token) if token.isdecimal() else 0
        found = (one for one in self.builds() if one.name.startswith(f"{parent}/") and matches(one))
        page = list(itertools.islice(found, start, start + (size or MOST) + 1))
        more = len(page) > (size or MOST)
        return page[: size or MOST], str(start + (size or MOST)) if more else ""

    def cancel(self, name: str) -> Any:
        """Cancel a build; raise ApiError if it has ended."""
        kept = self.get(name)
        if kept.message.status in ENDED:
            raise ApiError(
                400, "FAILED_PRECONDITION", f"the build has ended and cannot be cancelled: {name}"
            )
        kept.stop.set()
        if not self._store:
            self.end(name, "CANCELLED")
        return kept.message

    def forget(self, name: str) -> None:
        """Remove a build, as Cloud Build does with old ones."""
        with self._lock:
            del self._builds[name]

    def end(self, name: str, status: str, detail: str = "") -> None:
        """Set a build's status; an ended build never changes."""
        kept = self.get(name)
        with self._lock:
            if kept.message.status in ENDED:
                return
            kept.message.status = STATUSES[status]
            moment = (
                kept.message.finish_time if STATUSES[status] in ENDED else kept.message.start_time
            )
            moment.FromDatetime(datetime.now(UTC))
            if detail:
                kept.message.failure_info.detail = kept.message.status_detail = detail
            if status == "SUCCESS" and not self._store:
                self.images.update(kept.message.images)

    def digest(self, image: str) -> str:
        """Return the digest of an image; empty if it was never pushed."""
        if self._store:
            try:
                return self._store.digest(image)
            except ValueError:
                return ""
        pushed = image in self.images
        return f"sha256:{hashlib.sha256(image.encode()).hexdigest()}" if pushed else ""

    def close(self) -> None:
        """Stop every running build, and wait for its worker."""
        for kept in list(self._builds.values()):
            kept.stop.set()
        for thread in self._threads:
            thread.join(10)

    def _live(self, kept: Kept, store: ImageStore) -> None:
        name = kept.message.name
        folder = self.folder / kept.message.id
        given = (self._gcs, kept.stop, self.secrets, self.env)
        worker = Worker(kept.message, folder, store, *given)
        kept.log = worker.log
        if not self._begins(kept, worker):
            self.end(name, "CANCELLED" if kept.stop.is_set() else "EXPIRED")
            return
        self.end(name, "WORKING")
        try:
            worker.work()
        except CancelledError:
            over = time.monotonic() > worker.deadline and not kept.stop.is_set()
            self.end(name, "TIMEOUT" if over else "CANCELLED")
        except BuildError as exc:
            self.end(name, "FAILURE", str(exc))
        except Exception as exc:  # noqa: BLE001 - the build shows it, as Google's would
            self.end(name, "INTERNAL_ERROR", f"{type(exc).__name__}: {exc}")
        else:
            self.end(name, "SUCCESS")
        finally:
            with self._lock:
                self._working -= 1

    def _begins(self, kept: Kept, worker: Worker) -> bool:
        """Wait in QUEUED for the quota; return False if the build is cancelled or expires first."""
        while not kept.stop.is_set() and time.monotonic() < worker.deadline:
            with self._lock:
                if self.at_once is None or self._working < self.at_once:
                    self._working += 1
                    return True
            kept.stop.wait(0.05)
        return False


def compile_filter(text: str) -> Callable[[Any], bool]:
    """Compile a filter such as `tags="X" AND status="SUCCESS"`; raise ApiError (400) for others."""
    terms = (
        [_TERM.fullmatch(term.strip()) for term in re.split(r"\s+AND\s+", text.strip())]
        if text.strip()
        else []
    )
    if not all(terms):
        raise invalid_argument(f"invalid filter: {text}")
    wanted = [(term[1], term[2] or term[3] or term[4]) for term in terms if term]

    def matches(build: Any) -> bool:
        for name, value in wanted:
            held = getattr(build, name)
            if name == "status" and held != STATUSES.get(value):
                return False
            if name != "status" and (
                value not in held if name in ("tags", "images") else value != held
            ):
                return False
        return True

    return matches
