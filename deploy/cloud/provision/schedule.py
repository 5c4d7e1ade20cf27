"""Cloud Scheduler's part: poll and status are called every minute, by an account that may do nothing else."""

from collections.abc import Iterator
from typing import Any

from google.api_core import exceptions as google_errors
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.types import HttpMethod, HttpTarget, Job, OidcToken
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from deploy.cloud.deployment import SCHEDULED, Deployment
from deploy.cloud.provision.parts import Change, Part

EVERY_MINUTE = "* * * * *"
DEADLINE = 120  # seconds: the functions' own timeout


def parts(deployment: Deployment) -> list[Part]:
    """Return the two jobs."""
    client = CloudSchedulerClient(transport="rest")
    return [ScheduledCall(deployment, verb, client) for verb in SCHEDULED]


def job_name(deployment: Deployment, verb: str) -> str:
    """Return a Scheduler job's resource name; it is called as the function is."""
    return f"{deployment.parent}/jobs/{deployment.function(verb)}"


class ScheduledCall:
    """A Scheduler job. One that an operator has paused stays paused."""

    def __init__(self, deployment: Deployment, verb: str, client: Any) -> None:
        url = deployment.url(verb)
        self._client = client
        self._parent = deployment.parent
        self.wanted = Job(
            name=job_name(deployment, verb),
            description=f"vertex-launch {deployment.name}: {verb}",
            schedule=EVERY_MINUTE,
            time_zone="Etc/UTC",
            attempt_deadline=Duration(seconds=DEADLINE),  # no retries: the next minute comes anyway
            http_target=HttpTarget(
                uri=url,
                http_method=HttpMethod.POST,
                oidc_token=OidcToken(
                    service_account_email=deployment.account("scheduler"), audience=url
                ),
            ),
        )

    def changes(self) -> Iterator[Change]:
        """Yield its making, or what differs."""
        wanted = self.wanted
        there = self._there()
        if there is None:
            request = {"parent": self._parent, "job": wanted}
            yield Change(wanted.name, "is made", lambda: self._client.create_job(request=request))
            return
        fields = ("description", "schedule", "time_zone", "attempt_deadline")
        target = ("uri", "http_method", "oidc_token")
        differing = [name for name in fields if getattr(there, name) != getattr(wanted, name)]
        if any(
            getattr(there.http_target, name) != getattr(wanted.http_target, name) for name in target
        ):
            differing.append("http_target")
        if differing:
            request = {"job": wanted, "update_mask": FieldMask(paths=differing)}
            said = "; ".join(
                f"{name}: {_said(there, name)} → {_said(wanted, name)}" for name in differing
            )
            yield Change(wanted.name, said, lambda: self._client.update_job(request=request))

    def removal(self) -> Change | None:
        """Delete it, where its description says that it is ours."""
        there = self._there()
        if there is None or there.description != self.wanted.description:
            return None
        return Change(there.name, "is deleted", lambda: self._client.delete_job(name=there.name))

    def _there(self) -> Any:
        try:
            return self._client.get_job(name=self.wanted.name)
        except google_errors.NotFound:
            return None


def _said(job: Job, name: str) -> str:
    return " ".join(str(getattr(job, name)).split())
