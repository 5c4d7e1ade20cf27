"""The lifecycle rule of the ledger's bucket, which `bootstrap` creates."""

from collections.abc import Iterator

import click
from google.api_core import exceptions as google_errors
from google.cloud import storage

from deploy.cloud.buckets import foreign, refusal
from deploy.cloud.deployment import Deployment
from deploy.cloud.lifecycle import LEDGER, rule_of
from deploy.cloud.provision.parts import Change

RULE = rule_of(LEDGER)
"""Deletes closed launches after 30 days; no message lives as long, so duplicates find them."""


class LedgerRule:
    """The lifecycle rule that deletes closed launches; without it the bucket grows for ever."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._bucket = storage.Client(project=deployment.project).bucket(deployment.ledger_bucket)

    def changes(self) -> Iterator[Change]:
        """Yield the rule if it is missing or differs; keep the bucket's other rules.

        Raises:
            ClickException: no such bucket, or it belongs to another project.
        """
        name = f"gs://{self._bucket.name}"
        try:
            self._bucket.reload()
        except google_errors.NotFound as exc:
            raise click.ClickException(
                f"{name} does not exist: run `vertex-launch bootstrap` first"
            ) from exc
        owner = {"projectNumber": self._bucket.project_number}
        if number := foreign(owner, self._deployment):
            raise click.ClickException(refusal(self._bucket.name, number, self._deployment))
        rules = [dict(rule) for rule in self._bucket.lifecycle_rules]
        if RULE in rules:
            return
        prefixes = RULE["condition"]["matchesPrefix"]
        others = [r for r in rules if r.get("condition", {}).get("matchesPrefix") != prefixes]

        def patch() -> None:
            self._bucket.lifecycle_rules = [*others, RULE]
            self._bucket.patch()

        days = RULE["condition"]["age"]
        yield Change(name, f"lifecycle: closed/ is deleted after {days} days", patch)

    def removal(self) -> None:
        """Return None: the rule goes with the bucket."""
