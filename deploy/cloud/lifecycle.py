"""The lifecycle rules of our buckets, in the files that gcloud reads."""

import json
from pathlib import Path
from typing import Any

LEDGER = Path("deploy/cloud/ledger-lifecycle.json")  # from the source's root, as CONTEXTS
CONTEXTS = Path("deploy/cloud/contexts-lifecycle.json")


def rule_of(file: Path) -> dict[str, Any]:
    """Return the rule of one of these files."""
    content = (Path(__file__).parent / file.name).read_text(encoding="utf-8")
    rule: dict[str, Any] = json.loads(content)["rule"][0]
    return rule
