"""The names that find a launch: everything that a person can copy from a page, a log or a label."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from shared.core.entry import Entry
from shared.core.message import launch_key

KEY = re.compile(r"k[a-z2-7]{26}")
# in a resource name, a page of Google's console, or a query for logs
_JOB = re.compile(r"(?:customJobs/|/training/|job_id\W{1,3})(\d+)")
_LOCATION = re.compile(r"/locations/([a-z0-9-]+)/")


@dataclass(frozen=True, slots=True)
class Names:
    """What a text can mean. `whole` are entire names, `start` can be the beginning of one.

    `run` is (entity, project, run id), in lower case, of a page of W&B or of a run's path.
    """

    whole: frozenset[str] = frozenset()
    start: str = ""
    run: tuple[str, str, str] | None = None
    location: str = ""

    def name(self, entry: Entry) -> bool:
        """Tell whether they name this launch."""
        if self.run and self.run == _run_of(entry):
            return True
        if self.location and f"/locations/{self.location}/" not in entry.job_name:
            return False
        return not self.whole.isdisjoint(ids(entry))

    def begin(self, entry: Entry) -> bool:
        """Tell whether one of the launch's names begins with the text."""
        return bool(self.start) and any(name.startswith(self.start) for name in ids(entry))


def names(text: str) -> Names:
    """Return what a text can mean: see the help of `show` for what an ID can be."""
    bare = text.strip()
    address = "://" in bare
    if job := _JOB.search(unquote(unquote(bare))):
        location = _LOCATION.search(bare)
        return Names(frozenset({job[1]}), location=location[1] if location else "")
    whole = {bare, *_of_requests(text), *_of_requests(bare)}
    run = _run(bare)
    if address and not run:
        whole.add(unquote(urlsplit(bare).path.rstrip("/").rpartition("/")[2]))
    return Names(frozenset(whole - {""}), "" if address else bare, run)


def ids(entry: Entry) -> Iterator[str]:
    """Yield the names of a launch that a text is compared with."""
    number = entry.job_name.rpartition("/")[2]
    yield from (name for name in (entry.key, entry.run.run_id, entry.item_id, number) if name)


def _of_requests(text: str) -> Iterator[str]:
    """Yield the launch keys of `source/idempotency_key`; either can contain slashes."""
    parts = text.split("/")
    for cut in range(1, len(parts)):
        source, key = "/".join(parts[:cut]), "/".join(parts[cut:])
        if source and key:
            yield launch_key(f"request:{source}", key)


def _run(text: str) -> tuple[str, str, str] | None:
    """Return the run of W&B's page (…/ENTITY/PROJECT/runs/ID/…), or of a path ENTITY/PROJECT/ID."""
    path = urlsplit(text).path if "://" in text else text.partition("?")[0].partition("#")[0]
    parts = [unquote(part) for part in path.strip("/").split("/")]
    for place in range(len(parts) - 2, 1, -1):
        if parts[place] == "runs":
            return _lower(parts[place - 2], parts[place - 1], parts[place + 1])
    return _lower(*parts) if len(parts) == 3 and "://" not in text else None


def _run_of(entry: Entry) -> tuple[str, str, str]:
    return _lower(entry.run.entity, entry.run.project, entry.run.run_id)


def _lower(entity: str, project: str, run_id: str) -> tuple[str, str, str]:
    """Return a run's names for a comparison: W&B's pages ignore the case of the first two."""
    return entity.lower(), project.lower(), run_id
