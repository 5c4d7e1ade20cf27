"""A stored or sent format changes only together with a line in docs/reference/formats.md."""

import enum
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from shared.adapters.gcs import bucket, index
from shared.core import announcement, message, record
from shared.core.launch import Launch, Outcome, State
from shared.core.ports import AgentNote, LearnedPace
from shared.core.shortage import Shortage
from shared.runspec.labels import job_labels
from tests.contract.launches import a_launch

PAGE = Path("docs/reference/formats.md")
LINE = re.compile(
    r"^\| (\d{4}-\d\d-\d\d) \| (\w[\w ]*) \| `([0-9a-f]{12})` \| (\d+|version \d+) \| (.+) \|$", re.MULTILINE
)


def values(*kinds: type[enum.StrEnum]) -> dict[str, list[str]]:
    """Return the values of enums."""
    return {kind.__name__: [member.value for member in kind] for kind in kinds}


def shape(schema: Any) -> Any:
    """Return a JSON schema without texts for people."""
    if isinstance(schema, dict):
        texts = {"description", "title", "examples"}
        return {name: shape(one) for name, one in schema.items() if not (name in texts and isinstance(one, str | list))}
    return [shape(one) for one in schema] if isinstance(schema, list) else schema


FORMATS: dict[str, Any] = {
    "launch": shape(TypeAdapter(Launch).json_schema()),
    "index": [index.ESCAPED, index.IN_RECORD, index.PACKED, bucket.WRITER, record.NEEDS],
    "enums": values(State, Outcome, Shortage),
    "pace": shape(TypeAdapter(LearnedPace).json_schema()),
    "note": shape(TypeAdapter(AgentNote).json_schema()),
    "message": shape(json.loads(message.schema())),
    "event": shape(json.loads(announcement.schema())),
    "labels": sorted(job_labels(a_launch(), "agent")),
}


def fingerprint(content: Any) -> str:
    """Return a hash of what a format looks like."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_changes_only_with_a_line_on_its_page(name: str) -> None:
    """The newest line of each format has its fingerprint, and says what older revisions do."""
    lines = [line for line in LINE.findall(PAGE.read_text(encoding="utf-8")) if line[1] == name]
    now = fingerprint(FORMATS[name])
    assert lines, f"{PAGE} has no line for the format {name}, whose fingerprint is {now}"
    assert lines[0][2] == now, (
        f"the format {name} has changed. Write a new line above the others in {PAGE}: its fingerprint {now}, what "
        f"changed, and what an older revision does with it. Raise shared.core.record.READS (or a message's version) "
        f"if an older revision would do harm."
    )


def test_the_newest_lines_come_first() -> None:
    """So that the first line of a format is the one that holds."""
    dates = [line[0] for line in LINE.findall(PAGE.read_text(encoding="utf-8"))]
    assert dates == sorted(dates, reverse=True)


def test_no_line_needs_more_than_this_version_reads() -> None:
    """Readers come before writers."""
    needs = [line[3] for line in LINE.findall(PAGE.read_text(encoding="utf-8"))]
    assert max(int(each) for each in needs if each.isdecimal()) == record.READS
