"""Cloud Scheduler calls poll and status every minute; its account can do nothing else."""

from collections.abc import Iterator
from typing import Any

from google.api_core import exceptions as google_errors
from google.cloud.scheduler_v1 import CloudSchedulerClient
from google.cloud.scheduler_v1.types import HttpMethod, HttpTarget, Job, OidcToken, RetryConfig
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from deploy.cloud.deployment import SCHEDULED, Deployment
from deploy.cloud.provision.parts import CREATED, DELETED, Change, Part

EVERY_MINUTE = "* * * * *"
DEADLINE = 120  # seconds, as the functions' timeout


def parts(deployment: Deployment) -> list[Part]:
    """Return the two jobs."""
    client = CloudSchedulerClient(transport="rest")
    return [ScheduledCall(deployment, verb, client) for verb in SCHEDULED]


def job_name(deployment: Deployment, verb: str) -> str:
    """Return the resource name of a Scheduler job; its id is the function's name."""
    return f"{deployment.scheduler_parent}/jobs/{deployment.function(verb)}"


class ScheduledCall:
    """A Scheduler job. A paused job stays paused."""

    def __init__(self, deployment: Deployment, verb: str, client: Any) -> None:
        url = deployment.url(verb)
        self._client = client
        self._parent = deployment.scheduler_parent
        self.wanted = Job(
            name=job_name(deployment, verb),
            description=f"vertex-launch {deployment.name}: {verb}",
            schedule=EVERY_MINUTE,
            time_zone="Etc/UTC",
            attempt_deadline=Duration(seconds=DEADLINE),
            retry_config=RetryConfig(retry_count=0),  # the next call comes in a minute
            http_target=HttpTarget(
                uri=url,
                http_method=HttpMethod.POST,
                oidc_token=OidcToken(
                    service_account_email=deployment.account("scheduler"), audience=url
                ),
            ),
        )

    def changes(self) -> Iterator[Change]:
        """Yield its creation, or its differences."""
        wanted = self.wanted
        there = self._there()
        if there is None:
            request = {"parent": self._parent, "job": wanted}
            yield Change(wanted.name, CREATED, lambda: self._client.create_job(request=request))
            return
        fields = ("description", "schedule", "time_zone", "attempt_deadline")
        target = ("uri", "http_method", "oidc_token", "oauth_token", "body")
        differing = [name for name in fields if getattr(there, name) != getattr(wanted, name)]
        if there.retry_config.retry_count:  # Cloud Scheduler fills in the other fields
            differing.append("retry_config")
        if any(
            getattr(there.http_target, name) != getattr(wanted.http_target, name) for name in target
        ):
            differing.append("http_target")
        if differing:
            request = {"job": wanted, "update_mask": FieldMask(paths=differing)}
            text = "; ".join(
                f"{name}: {_text(there, name)} → {_text(wanted, name)}" for name in differing
            )
            yield Change(wanted.name, text, lambda: self._client.update_job(request=request))

    def removal(self) -> Change | None:
        """Delete the job if its description says that it is ours."""
        there = self._there()
        if there is None or there.description != self.wanted.description:
            return None
        return Change(there.name, DELETED, lambda: self._client.delete_job(name=there.name))

    def _there(self) -> Any:
        try:
            return self._client.get_job(name=self.wanted.name)
        except google_errors.NotFound:
            return None


def _text(job: Job, name: str) -> str:
    return " ".join(str(getattr(job, name)).split())
