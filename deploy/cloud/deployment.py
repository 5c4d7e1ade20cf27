"""One deployment in a project: its place, and the names of its parts.

Every name consists of the project and one prefix. Thus a project can have several deployments,
and cloudbuild.yaml, which spells the same names in shell, needs no other input.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click

from shared.config.launch_config import (
    CONFIG_FILE,
    LaunchConfig,
    builder_problem,
    read_launch_config,
)
from shared.core.building import repository_of
from shared.core.errors import SettingsError

FUNCTIONS = ("poll", "submit", "status")
SCHEDULED = ("poll", "status")
ACCOUNTS = (*FUNCTIONS, "scheduler", "build", "test", "images")  # "images" only with a builder
# The prefix of service accounts' ids, which have at most 30 characters.
_NAME = re.compile(r"[a-z][a-z0-9-]{1,18}[a-z0-9]")


@dataclass(frozen=True)
class Deployment:
    """A deployment. `number` is the project's number: service agents and URLs contain it."""

    project: str
    region: str
    name: str = "launch"
    number: str = ""
    staging: str = ""
    kms_key: str = ""
    config: LaunchConfig = field(default_factory=LaunchConfig)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise click.UsageError(
                f"--name is {self.name!r}; write 3 to 20 lower-case letters, digits and dashes, "
                "a letter first: every function, service account and topic begins with it"
            )

    @property
    def ledger_bucket(self) -> str:
        """Return the name of the functions' own bucket."""
        return f"{self._bucket_prefix}-ledger"

    @property
    def staging_bucket(self) -> str:
        """Return the name of the bucket to which jobs write."""
        return self.staging.removeprefix("gs://").strip("/") or f"{self._bucket_prefix}-staging"

    @property
    def ladder_buckets(self) -> dict[str, str]:
        """Return the ladder's buckets with their regions, without the staging bucket."""
        named = {
            each.staging_bucket.split("/")[2]: each.region for each in self.config.ladder.regions
        }
        return {bucket: region for bucket, region in named.items() if bucket != self.staging_bucket}

    @property
    def secret(self) -> str:
        """Return the id of the secret that holds W&B's API key."""
        return f"{self.name}-wandb-api-key"

    @property
    def topic(self) -> str:
        """Return the id of the topic of requests and tickets."""
        return f"{self.name}-requests"

    @property
    def dead_letters(self) -> str:
        """Return the id of the dead-letter topic, which is also the id of its subscription."""
        return f"{self.name}-dead-letters"

    @property
    def parent(self) -> str:
        """Return the region as a resource name."""
        return f"projects/{self.project}/locations/{self.region}"

    @property
    def repository(self) -> str:
        """Return the Artifact Registry repository of the functions' images."""
        return f"{self.parent}/repositories/{self.name}"

    @property
    def images(self) -> str:
        """Return the Artifact Registry repository of code jobs' images; empty without a builder."""
        return repository_of(self.config.destination)[0] if self.config.destination else ""

    @property
    def contexts_bucket(self) -> str:
        """Return the name of the bucket from which builds of these images read the code."""
        return (
            self.config.builder.build_context_store.removeprefix("gs://").partition("/")[0]
            or self.staging_bucket
        )

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return the roles for which this deployment has a service account."""
        return tuple(role for role in ACCOUNTS if role != "images" or self.images)

    @property
    def run_as(self) -> tuple[str, ...]:
        """Return `policy.service_accounts`: the accounts that jobs may run as."""
        return self.config.policy.service_accounts or ()

    @property
    def key_secret(self) -> str:
        """Return `key_secret` without its version: projects/P/secrets/S, or empty."""
        return self.config.key_secret.partition("/versions/")[0]

    def function(self, verb: str) -> str:
        """Return the name of a deployed function."""
        return f"{self.name}-{verb}"

    def url(self, verb: str) -> str:
        """Return the URL of a function, which is also the audience of its callers' tokens."""
        return f"https://{self.function(verb)}-{self.number}.{self.region}.run.app"

    def account(self, role: str) -> str:
        """Return the e-mail address of one of our service accounts."""
        return f"{self.name}-{role}@{self.project}.iam.gserviceaccount.com"

    def custom_role(self, role: str) -> str:
        """Return the id of one of our custom roles; Google allows no dash in it."""
        return f"{self.name.replace('-', '_')}_{role}"

    def agent(self, service: str) -> str:
        """Return the e-mail address of one of Google's service agents in this project."""
        if service == "storage":
            return f"service-{self.number}@gs-project-accounts.iam.gserviceaccount.com"
        return f"service-{self.number}@{service}.iam.gserviceaccount.com"

    @property
    def _bucket_prefix(self) -> str:
        return f"{re.sub('[.:]', '-', self.project)}-{self.name}"


def deployment_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that identify a deployment; the command receives a `Deployment`."""

    @click.option(
        "--project",
        envvar=["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"],
        required=True,
        help="Id of the Google Cloud project.",
    )
    @click.option(
        "--region",
        envvar="VERTEX_LOCATION",
        help="Region of the deployment.  [default: environment.region of the launch-config]",
    )
    @click.option(
        "--name",
        default="launch",
        show_default=True,
        help="Prefix of all names; one for each deployment.",
    )
    @click.option(
        "--staging-bucket", default="", help="The queues' bucket.  [default: PROJECT-NAME-staging]"
    )
    @click.option(
        "--kms-key",
        default="",
        help="Encrypt with this key: projects/P/locations/R/keyRings/K/cryptoKeys/N.",
    )
    @click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=Path(CONFIG_FILE),
        show_default=True,
        help="The launch-config.",
    )
    @wraps(command)
    def with_deployment(
        project: str,
        region: str | None,
        name: str,
        staging_bucket: str,
        kms_key: str,
        config: Path,
        **others: Any,
    ) -> None:
        try:
            launch_config = read_launch_config(config) if config.exists() else LaunchConfig()
        except SettingsError as exc:
            raise click.ClickException(str(exc)) from exc
        if problem := builder_problem(launch_config.builder.type, launch_config.destination):
            raise click.ClickException(f"{config}: builder.type: {problem}")
        where = region or launch_config.environment.region
        if not where:
            raise click.UsageError(
                f"--region is missing, and {config} has no environment.region: add --region=REGION"
            )
        deployment = Deployment(
            project, where, name, staging=staging_bucket, kms_key=kms_key, config=launch_config
        )
        command(deployment, **others)

    return with_deployment
