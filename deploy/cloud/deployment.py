"""One deployment in a project: its place, and the names of its parts.

Every name consists of the project and one prefix. Thus a project can have several deployments,
and cloudbuild.yaml, which spells the same names in shell, needs no other input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click

from deploy.cloud.inputs import check_folder, problems
from shared.config.launch_config import CONFIG_FILE, LaunchConfig, read_launch_config
from shared.core.accounts import service_account
from shared.core.building import repository_of
from shared.core.errors import SettingsError
from shared.core.reserved import DEPLOYMENT, FIX, HOLDS, ReservedPlaces, bucket_name

FUNCTIONS = ("poll", "submit", "status")
SCHEDULED = ("poll", "status")
# without the launch-config, both would miss accounts of jobs
IN_THE_CLONE = ("bootstrap", "doctor")
ACCOUNTS = (*FUNCTIONS, "scheduler", "build", "test", "images")  # "images" only with a builder


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
        if not re.fullmatch(DEPLOYMENT, self.name):
            raise click.UsageError(
                f"--name is {self.name!r}; write 3 to 20 lower-case letters, digits and dashes, "
                "a letter first: every function, service account and topic begins with it"
            )

    @property
    def ledger_bucket(self) -> str:
        """Return the name of the functions' own bucket."""
        return self._bucket("ledger")

    @property
    def sources_bucket(self) -> str:
        """Return the name of the bucket to which `gcloud builds submit` uploads the source."""
        return self._bucket("sources")

    @property
    def own_contexts_bucket(self) -> str:
        """Return the name of the bucket for contexts that bootstrap creates."""
        return self._bucket("contexts")

    @property
    def staging_bucket(self) -> str:
        """Return the name of the bucket to which jobs write."""
        return self.staging.removeprefix("gs://").strip("/") or self._bucket("staging")

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
        destination = self.config.building(self.region, self.project).destination
        return repository_of(destination)[0] if destination else ""

    @property
    def contexts_bucket(self) -> str:
        """Return the name of the bucket from which builds of these images read the code."""
        return (
            self.config.builder.build_context_store.removeprefix("gs://").partition("/")[0]
            or self.own_contexts_bucket
        )

    @property
    def git_secrets(self) -> tuple[str, ...]:
        """Return the secrets of `builder.git_credentials`: projects/P/secrets/S, no version."""
        named = (each.secret for each in self.config.builder.git_credentials if self.images)
        return tuple(dict.fromkeys(secret.partition("/versions/")[0] for secret in named))

    @property
    def reserved(self) -> ReservedPlaces:
        """Return the buckets that jobs may not use."""
        own = {self._bucket(role): holds for role, holds in HOLDS.items()}
        return ReservedPlaces(self.project, own)

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
        return service_account(f"{self.name}-{role}", self.project)

    def custom_role(self, role: str) -> str:
        """Return the id of one of our custom roles; Google allows no dash in it."""
        return f"{self.name.replace('-', '_')}_{role}"

    def agent(self, service: str) -> str:
        """Return the e-mail address of one of Google's service agents in this project."""
        if service == "storage":
            return f"service-{self.number}@gs-project-accounts.iam.gserviceaccount.com"
        return f"service-{self.number}@{service}.iam.gserviceaccount.com"

    def problems(self) -> Iterator[str]:
        """Yield each option that Google would refuse, and each bucket with another purpose."""
        yield from problems(self.project, self.region, self.name, self.staging_bucket, self.kms_key)
        if problem := self.reserved.problem(self.staging_bucket):
            yield f"--staging-bucket {problem}. {FIX}"
        for number, region in enumerate(self.config.ladder.regions):
            if problem := self.reserved.problem(region.staging_bucket):
                yield f"ladder.regions.{number}.staging_bucket {problem}. {FIX}"
        store = self.config.builder.build_context_store
        own = self.contexts_bucket == self.own_contexts_bucket
        if not own and (problem := self.reserved.problem(store)):
            yield f"builder.build-context-store {problem}. Leave it out, or write another bucket"

    def _bucket(self, role: str) -> str:
        return bucket_name(self.project, self.name, role)


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
        if click.get_current_context().info_name in IN_THE_CLONE:
            check_folder(config)
        try:
            launch_config = read_launch_config(config) if config.exists() else LaunchConfig()
        except SettingsError as exc:
            raise click.ClickException(str(exc)) from exc
        where = region or launch_config.environment.region
        if not where:
            raise click.UsageError(
                f"--region is missing, and {config} has no environment.region: add --region=REGION"
            )
        deployment = Deployment(
            project, where, name, staging=staging_bucket, kms_key=kms_key, config=launch_config
        )
        if problems := list(deployment.problems()):
            raise click.ClickException("; ".join(problems))
        for unusable in launch_config.unusable(where, project):
            click.echo(f"Warning: {config}: {unusable}.", err=True)
        command(deployment, **others)

    return with_deployment
