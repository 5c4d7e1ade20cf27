"""How a dead letter's launch stands in the ledger: whether publishing the letter again can still do something."""

from dataclasses import dataclass

import click

from deploy.cloud import gcloud
from shared.adapters.gcs import GcsLedger
from shared.adapters.gcs.ledger import UnreadableRecord
from shared.core.errors import Denied, LaunchError
from shared.core.launch import State

VIEWER = "roles/storage.objectViewer"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger says of a launch, in words; `done` if no message can change anything any more."""

    words: str
    done: bool = False


class Launches:
    """The launches of one ledger."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._ledger = GcsLedger(bucket)

    def standing(self, key: str) -> Standing:
        """Look at one launch: `closed/<key>` first, for a launch that is being closed is in both places."""
        try:
            if closed := self._ledger.read_closed(key):
                return Standing(
                    f"its launch is closed: {closed.entry.outcome or 'without an outcome'}",
                    done=True,
                )
            launch = self._ledger.read(key)
        except UnreadableRecord as exc:
            done = str(exc).startswith("closed/")
            return Standing(
                f"its launch is {'closed' if done else 'open'}, and its record is unreadable", done
            )
        except LaunchError as exc:
            raise click.ClickException(self._problem(exc)) from exc
        if launch is None:
            return Standing("the ledger has no such launch")
        entry = launch.entry
        match entry.state:
            case State.SUBMITTED:
                return Standing(f"its launch has a job: {entry.job_name}", done=True)
            case State.ENDED:
                return Standing(f"its launch has ended: {entry.outcome}", done=True)
        return Standing(f"its launch is {entry.state}")

    def _problem(self, exc: LaunchError) -> str:
        problem = f"the ledger cannot be read: {exc}"
        if not isinstance(exc, Denied):
            return problem
        bind = (
            "storage",
            "buckets",
            "add-iam-policy-binding",
            f"gs://{self._bucket}",
            f"--role={VIEWER}",
        )
        give = gcloud.shown((*bind, "--member=user:YOU"))
        return (
            f"{problem}\nTo read it, {VIEWER} is enough. For an owner, to give it to you:\n{give}"
        )
