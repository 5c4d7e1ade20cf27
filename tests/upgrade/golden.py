"""Keep records as the code of their time wrote them: `python -m tests.upgrade.golden COMMIT`."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from deploy.local.environment import begin_again
from deploy.local.project import BUCKET, FUNCTIONS, QUEUE
from deploy.local.stack import Stack
from tests.chaos.items import queue_config
from tests.chaos.outside import Outside
from tests.upgrade.fleet import Upgrade, checked_out
from tests.upgrade.items import batch
from tests.upgrade.players import Players

FOLDER = Path("tests/golden")
SECONDS = 90.0
# fields of the index that make a record another kind
TELLING = ("state", "outcome", "resumes", "short_of", "climbs", "cancel_reason", "retry_at", "unanswered", "build")


def objects(stack: Stack) -> Iterator[dict[str, Any]]:
    """Yield the name, metadata and content of each object in the ledger's bucket."""
    listing = f"{stack.ports.url('gcs')}/storage/v1/b/{BUCKET}/o"
    for found in requests.get(listing, timeout=10).json().get("items", []):
        address = f"{listing}/{found['name'].replace('/', '%2F')}"
        content = requests.get(f"{address}?alt=media", timeout=10)
        after = requests.get(address, timeout=10)
        # it may have been closed or written meanwhile
        if content.ok and after.ok and after.json()["generation"] == found["generation"]:
            yield {"name": found["name"], "metadata": found.get("metadata", {}), "content": content.json()}


def kind_of(record: dict[str, Any]) -> str:
    """Return what makes a record another kind: its folder, its state, and the telling fields that it has."""
    metadata = record["metadata"]
    fields = [name for name in TELLING if name in metadata]
    return f"{record['name'].partition('/')[0]} {metadata.get('state')} {metadata.get('outcome')} {fields}"


def keep(commit: str, folder: Path) -> None:
    """Run the functions of a commit, and write one record of each kind into tests/golden/COMMIT."""
    old = checked_out(commit, folder / "old")
    target, seen = FOLDER / commit, set[str]()
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    upgrade = Upgrade(folder / "stack", old, FUNCTIONS)
    with upgrade.stack() as stack:
        stack.make_queue(QUEUE, queue_config(2))
        outside = Outside(stack, stack.ports.url("gcs"))
        players, items = Players(stack, outside), batch("golden")
        players.make_jobs(items)
        players.enqueue(items)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            players.play(items)
            for record in objects(stack):
                if (kind := kind_of(record)) not in seen:
                    seen.add(kind)
                    name = f"{len(seen):02}-{record['name'].partition('/')[0]}.json"
                    (target / name).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            time.sleep(0.1)


if __name__ == "__main__":
    begin_again("tests.upgrade.golden")
    shutil.rmtree(".upgrade/golden", ignore_errors=True)
    keep(sys.argv[1], Path(".upgrade/golden"))
