"""One deployment in a project: where it is, and what all its parts are called.

Every name is made from the project and one prefix, so that several deployments live side by side in a project, and so
that cloudbuild.yaml, which spells the same names in shell, needs to be told nothing else.
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
ACCOUNTS = (
    *FUNCTIONS,
    "scheduler",
    "build",
    "images",
)  # the last only where images of jobs' code are built
_NAME = re.compile(
    r"[a-z][a-z0-9-]{1,18}[a-z0-9]"
)  # a service account's id has at most 30 characters


@dataclass(frozen=True)
class Deployment:
    """What is deployed where. `number` is the project's, in which Google names its service agents."""

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
                f"--name {self.name!r}: 3 to 20 lower-case letters, digits and dashes, a letter first: it begins the "
                "name of every function, service account and topic"
            )

    @property
    def ledger_bucket(self) -> str:
        """Return the name of the functions' own bucket."""
        return f"{self._bucket_prefix}-ledger"

    @property
    def staging_bucket(self) -> str:
        """Return the name of the bucket that jobs write to."""
        return self.staging.removeprefix("gs://").strip("/") or f"{self._bucket_prefix}-staging"

    @property
    def ladder_buckets(self) -> dict[str, str]:
        """Return, by name, the region of each further bucket that jobs write to where the ladder has brought them."""
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
        """Return the id of the dead-letter topic, and of the subscription that keeps what arrives there."""
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
        """Return the Artifact Registry repository of the images of jobs' code; empty where none are built."""
        return repository_of(self.config.destination)[0] if self.config.destination else ""

    @property
    def contexts_bucket(self) -> str:
        """Return the name of the bucket in which builds of these images find the code."""
        return (
            self.config.builder.build_context_store.removeprefix("gs://").partition("/")[0]
            or self.staging_bucket
        )

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return which of our service accounts this deployment has."""
        return tuple(role for role in ACCOUNTS if role != "images" or self.images)

    @property
    def run_as(self) -> tuple[str, ...]:
        """Return the service accounts that jobs may run as: the launch-config's `policy.service_accounts`."""
        return self.config.policy.service_accounts or ()

    @property
    def key_secret(self) -> str:
        """Return the secret that jobs read W&B's key from, where the launch-config names one: projects/P/secrets/S."""
        return self.config.key_secret.partition("/versions/")[0]

    def function(self, verb: str) -> str:
        """Return the name of a deployed function."""
        return f"{self.name}-{verb}"

    def url(self, verb: str) -> str:
        """Return the address of a function, which is also the audience of whoever calls it."""
        return f"https://{self.function(verb)}-{self.number}.{self.region}.run.app"

    def account(self, role: str) -> str:
        """Return the e-mail address of one of our service accounts."""
        return f"{self.name}-{role}@{self.project}.iam.gserviceaccount.com"

    def custom_role(self, role: str) -> str:
        """Return the id of one of our custom roles, in which Google allows no dash."""
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
    """Give a command the options that say which deployment is meant."""

    @click.option(
        "--project",
        envvar=["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"],
        required=True,
        help="Its id.",
    )
    @click.option(
        "--region",
        envvar="VERTEX_LOCATION",
        help="Default: environment.region of the launch-config.",
    )
    @click.option(
        "--name",
        default="launch",
        show_default=True,
        help="Begins every name; one for each deployment.",
    )
    @click.option(
        "--staging-bucket", default="", help="The queues' own.  [default: PROJECT-NAME-staging]"
    )
    @click.option(
        "--kms-key",
        default="",
        help="Encrypt with this key: projects/P/locations/R/keyRings/K/cryptoKeys/N.",
    )
    @click.option(
        "--config", type=click.Path(path_type=Path), default=Path(CONFIG_FILE), show_default=True
    )
    @wraps(command)
    def told(
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
            raise click.UsageError(f"--region is missing, and {config} has no environment.region")
        deployment = Deployment(
            project, where, name, staging=staging_bucket, kms_key=kms_key, config=launch_config
        )
        command(deployment, **others)

    return told
