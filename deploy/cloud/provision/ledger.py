"""The ledger's bucket, which `bootstrap` made: its rule, and that it is where it should be."""

import json
from collections.abc import Iterator
from pathlib import Path

import click
from google.api_core import exceptions as google_errors
from google.cloud import storage

from deploy.cloud.deployment import Deployment
from deploy.cloud.provision.parts import Change

LIFECYCLE = Path(
    "deploy/cloud/ledger-lifecycle.json"
)  # relative to the source's root, as gcloud is given it
RULE = json.loads((Path(__file__).parent.parent / LIFECYCLE.name).read_text(encoding="utf-8"))[
    "rule"
][0]
"""What has been closed for 30 days is deleted: longer than Pub/Sub keeps a message; a late duplicate finds it."""


class LedgerRule:
    """The lifecycle rule that deletes what was closed; without it the bucket grows for ever."""

    def __init__(self, deployment: Deployment) -> None:
        self._bucket = storage.Client(project=deployment.project).bucket(deployment.ledger_bucket)

    def changes(self) -> Iterator[Change]:
        """Yield the rule where it is missing or differs; other rules of yours stay."""
        name = f"gs://{self._bucket.name}"
        try:
            self._bucket.reload()
        except google_errors.NotFound as exc:
            raise click.ClickException(
                f"{name} does not exist: run `python -m deploy bootstrap` first"
            ) from exc
        rules = [dict(rule) for rule in self._bucket.lifecycle_rules]
        if RULE in rules:
            return
        ours = [
            r
            for r in rules
            if r.get("condition", {}).get("matchesPrefix") == RULE["condition"]["matchesPrefix"]
        ]

        def patch() -> None:
            self._bucket.lifecycle_rules = [*(rule for rule in rules if rule not in ours), RULE]
            self._bucket.patch()

        yield Change(
            name, f"lifecycle: closed/ is deleted after {RULE['condition']['age']} days", patch
        )

    def removal(self) -> None:
        """It goes with the bucket."""
