"""Records that earlier versions wrote, as they wrote them: `python -m tests.upgrade.golden COMMIT` keeps them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.adapters.gcs import GcsLedger
from shared.adapters.gcs.agents import GcsAgentBook
from tests.contract.gcs import fresh_bucket, limited_gcs, put

FILES = sorted(Path(__file__).parent.parent.glob("golden/*/*.json"))
VERSIONS = sorted({path.parent.name for path in FILES})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve GCS, with preconditions of deletes that hold."""
    with limited_gcs(tmp_path_factory.mktemp("gcs"), "--write-seconds=0") as url:
        yield url


def records(version: str) -> list[dict[str, Any]]:
    """Return what a version wrote."""
    return [json.loads(path.read_text(encoding="utf-8")) for path in FILES if path.parent.name == version]


def content(server: str, bucket: str, name: str) -> Any:
    """Return the content of an object."""
    address = f"{server}/storage/v1/b/{bucket}/o/{name.replace('/', '%2F')}?alt=media"
    return requests.get(address, timeout=5).json()


def test_every_landed_version_is_here() -> None:
    """Records in every state that an upgrade can meet."""
    assert len(VERSIONS) >= 5
    for version in VERSIONS:
        metadata = [record["metadata"] for record in records(version) if record["name"].startswith("open/")]
        assert {each["state"] for each in metadata} >= {"QUEUED", "SUBMITTING", "SUBMITTED"}, version


@pytest.mark.parametrize("version", VERSIONS)
def test_todays_code_reads_and_writes_old_records(server: str, version: str) -> None:
    """Each is listed as it says itself; a write keeps all that it had."""
    for record in records(version):
        bucket, name = fresh_bucket(server), record["name"]
        folder, _, key = name.partition("/")
        put(server, bucket, name, record["metadata"], json.dumps(record["content"]).encode())
        if folder == "agents":
            note = GcsAgentBook(bucket, key.removesuffix(".json")).read()
            assert note
            assert note.agent_id == record["content"]["agent_id"]
            continue
        ledger = GcsLedger(bucket)
        launch = ledger.read(key) if folder == "open" else ledger.read_closed(key)
        assert launch
        assert (launch.key, launch.entry.state) == (key, record["metadata"]["state"])
        if folder == "closed":
            continue
        listed = ledger.list_open()
        assert (list(listed.entries), dict(listed.unreadable)) == ([launch.entry], {}), "status acts if both are equal"
        ledger.write(launch)
        after = content(server, bucket, name)
        assert {each: after["entry"][each] for each in record["content"]["entry"]} == record["content"]["entry"]
        assert record["content"].keys() <= after.keys()
