"""One deployment in a project, and the options that identify it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click

from deploy.cloud.inputs import check_folder, problems
from deploy.cloud.names import Names
from deploy.local.record import find
from shared.config.launch_config import CONFIG_FILE, LaunchConfig, read_launch_config
from shared.core.building import repository_of
from shared.core.errors import SettingsError
from shared.core.reserved import FIX, HOLDS, ReservedPlaces

FUNCTIONS = ("poll", "submit", "status")
SCHEDULED = ("poll", "status")
# without the launch-config, both would miss accounts of jobs
IN_THE_CLONE = ("bootstrap", "doctor")
ON_THE_STACK = ("doctor",)  # without --project, these look at the stack of `make up`
ACCOUNTS = (*FUNCTIONS, "scheduler", "build", "test", "images")  # "images" only with a builder


@dataclass(frozen=True)
class Deployment(Names):
    """A deployment: its place, its options and its launch-config.

    `other_scheduler_region` and `other_build_region` are empty if the region serves both.
    """

    staging: str = ""
    kms_key: str = ""
    ladder_keys: tuple[str, ...] = ()
    other_scheduler_region: str = ""
    other_build_region: str = ""
    config: LaunchConfig = field(default_factory=LaunchConfig)

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

    def key_of(self, region: str) -> str:
        """Return the KMS key of the buckets in a region, or nothing: a key serves one region."""
        if region == self.region:
            return self.kms_key
        keys = (key for key in self.ladder_keys if f"/locations/{region}/" in key)
        return next(keys, "")

    @property
    def scheduler_region(self) -> str:
        """Return the location of the Scheduler jobs; Cloud Scheduler does not serve all regions."""
        return self.other_scheduler_region or self.region

    @property
    def scheduler_parent(self) -> str:
        """Return that location as a resource name."""
        return f"projects/{self.project}/locations/{self.scheduler_region}"

    @property
    def build_region(self) -> str:
        """Return the region of our builds; some projects can build in a few regions only."""
        return self.other_build_region or self.region

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

    def problems(self) -> Iterator[str]:
        """Yield what Google would refuse, each bucket with another purpose, each useless key."""
        yield from problems(self.project, self.region, self.name, self.staging_bucket, self.kms_key)
        if problem := self.reserved.problem(self.staging_bucket):
            yield f"--staging-bucket {problem}. {FIX}"
        for number, region in enumerate(self.config.ladder.regions):
            if problem := self.reserved.problem(region.staging_bucket):
                yield f"ladder.regions.{number}.staging_bucket {problem}. {FIX}"
        for key in self.ladder_keys:
            if key not in map(self.key_of, self.ladder_buckets.values()):
                yield f"--ladder-kms-key {key} is in no region of the ladder: name another key"
        store = self.config.builder.build_context_store
        own = self.contexts_bucket == self.own_contexts_bucket
        if not own and (problem := self.reserved.problem(store)):
            yield f"builder.build-context-store {problem}. Leave it out, or write another bucket"


def _of_stack() -> str | None:
    """Return the project of the running stack of `make up`, for a command that can examine it."""
    context = click.get_current_context(silent=True)
    record = find() if context and context.info_name in ON_THE_STACK else None
    return record.project if record else None


def deployment_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that identify a deployment; the command receives a `Deployment`."""

    @click.option(
        "--project",
        envvar=["GOOGLE_CLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT"],
        required=True,
        default=_of_stack,
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
        "--ladder-kms-key",
        "ladder_keys",
        multiple=True,
        help="Encrypt the ladder's bucket in the key's region with this key; repeatable.",
    )
    @click.option(
        "--scheduler-region",
        default="",
        help="Location of the Scheduler jobs, if Cloud Scheduler does not serve the region.",
    )
    @click.option(
        "--build-region",
        default="",
        help="Region of the builds, if the project cannot build in the region.",
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
        ladder_keys: tuple[str, ...],
        scheduler_region: str,
        build_region: str,
        config: Path,
        **others: Any,
    ) -> None:
        stack = find() if project == _of_stack() else None
        if click.get_current_context().info_name in IN_THE_CLONE and not stack:
            check_folder(config)
        try:
            launch_config = read_launch_config(config) if config.exists() else LaunchConfig()
        except SettingsError as exc:
            raise click.ClickException(str(exc)) from exc
        where = region or launch_config.environment.region or (stack.region if stack else "")
        if not where:
            raise click.UsageError(
                f"--region is missing, and {config} has no environment.region: add --region=REGION"
            )
        deployment = Deployment(
            project,
            where,
            name,
            staging=staging_bucket,
            kms_key=kms_key,
            ladder_keys=ladder_keys,
            other_scheduler_region=scheduler_region,
            other_build_region=build_region,
            config=launch_config,
        )
        if not stack and (problems := list(deployment.problems())):
            raise click.ClickException("; ".join(problems))
        for unusable in launch_config.unusable(where, project):
            click.echo(f"Warning: {config}: {unusable}.", err=True)
        command(deployment, **others)

    return with_deployment
