"""How long our buckets and repositories keep things, in the files that gcloud reads."""

import json
from pathlib import Path
from typing import Any

LEDGER = Path("deploy/cloud/ledger-lifecycle.json")  # from the source's root, as CONTEXTS
CONTEXTS = Path("deploy/cloud/contexts-lifecycle.json")
SOURCES = Path("deploy/cloud/sources-lifecycle.json")  # a build can be repeated for 30 days
# Keeps the last ten images of each function, so that each of these revisions can serve again.
IMAGES = Path("deploy/cloud/images-cleanup.json")

WEEK = 7 * 24 * 3600
# Seconds for which Google keeps deleted and replaced objects, at the price of live ones. A bucket
# that does not say otherwise has a week. Allowed: 0, or a week to 90 days.
RESTORE_RECORDS = WEEK  # the ledger: records are small, and an operator can delete one by mistake
RESTORE_NOTHING = 0  # staging: jobs replace large checkpoints; sources: git has them;
# contexts: they are other people's code, and a deletion has to be one


def rule_of(file: Path) -> dict[str, Any]:
    """Return the rule of one of these files."""
    content = (Path(__file__).parent / file.name).read_text(encoding="utf-8")
    rule: dict[str, Any] = json.loads(content)["rule"][0]
    return rule
