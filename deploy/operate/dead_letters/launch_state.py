"""The launch of a dead letter in the ledger: can another delivery still change anything?"""

from dataclasses import dataclass

import click

from deploy.cloud import gcloud
from deploy.exit_codes import CouldNotSee
from shared.adapters.gcs import GcsLedger
from shared.core.errors import Denied, LaunchError, Retry, UnreadableRecord
from shared.core.launch import State

VIEWER = "roles/storage.objectViewer"


@dataclass(frozen=True, slots=True)
class LaunchState:
    """The state of a launch, as text; `done` means that no message can change it any more."""

    text: str
    done: bool = False


class Launches:
    """The launches of one ledger."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket
        self._ledger = GcsLedger(bucket)

    def state(self, key: str) -> LaunchState:
        """Read a launch: `closed/<key>` first, because a launch that is being closed has both."""
        try:
            if closed := self._ledger.read_closed(key):
                outcome = closed.entry.outcome or "without an outcome"
                return LaunchState(f"its launch is closed: {outcome}", done=True)
            launch = self._ledger.read(key)
        except UnreadableRecord as exc:
            done = str(exc).startswith("closed/")
            place = "closed" if done else "open"
            return LaunchState(f"its launch is {place}, and its record is unreadable", done)
        except LaunchError as exc:
            raise self._failure(exc) from exc
        if launch is None:
            return LaunchState("the ledger has no such launch")
        entry = launch.entry
        match entry.state:
            case State.SUBMITTED:
                return LaunchState(f"its launch has a job: {entry.job_name}", done=True)
            case State.ENDED:
                return LaunchState(f"its launch has ended: {entry.outcome}", done=True)
        return LaunchState(f"its launch is {entry.state}")

    def _failure(self, exc: LaunchError) -> click.ClickException:
        message = f"the ledger cannot be read: {exc}"
        if isinstance(exc, Retry):
            return CouldNotSee(message)
        if not isinstance(exc, Denied):
            return click.ClickException(message)
        bucket = f"gs://{self._bucket}"
        bind = ("storage", "buckets", "add-iam-policy-binding", bucket, f"--role={VIEWER}")
        grant = gcloud.shown((*bind, "--member=user:YOU"))
        return click.ClickException(
            f"{message}\nYou need {VIEWER}. An owner grants it with:\n{grant}"
        )
