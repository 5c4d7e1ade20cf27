"""The deployment under examination, and its sources: Google, W&B, the functions' settings."""

import base64
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.api_core import exceptions as google_errors

from deploy.cloud import gcloud
from deploy.cloud.deployment import FUNCTIONS, Deployment
from deploy.cloud.doctor.explained import NO_FUNCTION, UNSEEN, explained
from deploy.cloud.doctor.finding import Check, Finding, Unusable
from deploy.cloud.doctor.revisions import Revision, serving
from deploy.cloud.google import Google, words
from deploy.cloud.once import Once
from deploy.cloud.provision.command import with_number
from deploy.local.record import FOLDER
from deploy.wandb_queues import QueueView, read_queue
from shared.adapters.wandb import Graphql
from shared.config.base_url import CLOUD, base_url
from shared.config.certificates import certificates
from shared.config.launch_config import CONFIG_FILE
from shared.config.settings import KEY_FILE, split_names
from shared.core.errors import SettingsError
from shared.runspec.fields import mapping
from shared.runspec.macros import OF_A_LAUNCH, substitute
from shared.runspec.model import RESOURCES

SECRET = "secret"  # noqa: S105 - the title of a check
SECRETS_KEY, SHELLS_KEY = "key in the secret", "key of this shell"
STACKS_KEY = "key of the functions"
NUMBER = "resourcemanager.projects.get"  # the permission that `Case.numbered` needs


@dataclass(frozen=True)
class Case:
    """A deployment as the options describe it; `config` is the path of its launch-config.

    `stack` is the environment of the functions on this machine, for the stack of `make up`: then
    nothing is asked of Google.
    """

    deployment: Deployment
    config: str = CONFIG_FILE
    google: Google = field(default_factory=Google)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    once: Once = field(default_factory=Once)
    stack: Mapping[str, str] = field(default_factory=dict)

    @property
    def numbered(self) -> Deployment:
        """Return the deployment with its project's number; raises Google's errors."""
        numbered: Deployment = self.once("number", lambda: with_number(self.deployment))
        return numbered

    def command(self, name: str) -> str:
        """Return the command line of another of our commands, for this deployment."""
        if self.stack:
            return f"vertex-launch {name}"
        options = {
            "project": self.deployment.project,
            "region": self.deployment.region,
            "name": self.deployment.name,
            "staging-bucket": self.deployment.staging,
            "kms-key": self.deployment.kms_key,
            "scheduler-region": self.deployment.other_scheduler_region,
            "build-region": self.deployment.other_build_region,
            "config": self.config if self.config != CONFIG_FILE else "",
        }
        given = [f"--{option}={value}" for option, value in options.items() if value]
        given += [f"--ladder-kms-key={key}" for key in self.deployment.ladder_keys]
        return shlex.join(["vertex-launch", *name.split(), *given])

    def log(self, verb: str) -> str:
        """Return the command that shows a function's last log lines."""
        if self.stack:
            return f"tail -n 20 {self.stack[FOLDER]}/{verb}.log"
        lines = f'resource.labels.service_name="{self.deployment.function(verb)}"'
        project = f"--project={self.deployment.project}"
        return gcloud.shown(("logging", "read", lines, project, "--limit=20", "--freshness=10m"))

    def settings(self) -> Mapping[str, str]:
        """Return the variables of submit's revision that serves; empty if it cannot be seen.

        The check of its traffic reports that case.
        """
        try:
            return self.variables("submit")
        except UNSEEN:
            return {}

    def variables(self, verb: str) -> Mapping[str, str]:
        """Return the variables of a function as it serves; raises Google's errors.

        Empty if it is not deployed. If several revisions serve, the one with most traffic counts.
        """
        if self.stack:
            return self.stack
        found = self.serving(verb) or ()
        most = max(found, key=lambda revision: revision.percent, default=None)
        return most.variables if most else {}

    def serving(self, verb: str) -> tuple[Revision, ...] | None:
        """Return the revisions of a function that serve, or None if it is not deployed.

        Raises Google's other errors.
        """
        try:
            found: tuple[Revision, ...] = self.once(
                f"traffic {verb}", lambda: serving(self.google, self.service(verb))
            )
        except google_errors.NotFound:
            return None
        return found

    def service(self, verb: str) -> str:
        """Return the resource name of a function's Cloud Run service."""
        return f"{self.deployment.parent}/services/{self.deployment.function(verb)}"

    def function(self, verb: str) -> Any:
        """Return the description of a function; raises Google's errors."""
        name = f"{self.deployment.parent}/functions/{self.deployment.function(verb)}"
        url = f"https://cloudfunctions.googleapis.com/v2/{name}"
        return self.once(f"function {verb}", lambda: self.google.get(url))

    def project_policy(self) -> Any:
        """Return the IAM policy of the project; raises Google's errors."""
        project = f"projects/{self.deployment.project}"
        url = f"https://cloudresourcemanager.googleapis.com/v3/{project}:getIamPolicy"
        asked = {"options": {"requestedPolicyVersion": 3}}
        return self.once("policy", lambda: self.google.post(url, asked))

    @property
    def entity(self) -> str:
        """Return the entity that owns the queues."""
        return self.settings().get("LAUNCH_ENTITY") or self.deployment.config.entity

    @property
    def queues(self) -> tuple[str, ...]:
        """Return the names of the queues."""
        setting = split_names(self.settings().get("LAUNCH_QUEUES", ""))
        return tuple(setting) or self.deployment.config.queues

    @property
    def base_url(self) -> str:
        """Return W&B's address. Raises SettingsError."""
        address = self.environ.get("WANDB_BASE_URL") or self.settings().get("WANDB_BASE_URL")
        try:
            return base_url(address or CLOUD)
        except ValueError as exc:
            raise SettingsError(f"WANDB_BASE_URL {exc}") from exc

    def secret_key(self) -> str:
        """Return the API key that the functions read; raises Google's errors, or OSError."""
        if file := self.stack.get(KEY_FILE):  # the other variable has the key of the person
            return Path(file).read_text(encoding="utf-8").strip()
        if self.stack:
            return self.stack["WANDB_API_KEY"]

        def read() -> str:
            secret = f"projects/{self.deployment.project}/secrets/{self.deployment.secret}"
            url = f"https://secretmanager.googleapis.com/v1/{secret}/versions/latest:access"
            try:
                answer = self.google.get(url)
            except (google_errors.NotFound, google_errors.BadRequest) as exc:
                raise Unusable(f"the key cannot be read: {words(exc)}", SECRET) from exc
            return base64.b64decode(answer["payload"]["data"]).decode().strip()

        key: str = self.once("secret", read)
        return key

    @property
    def key_title(self) -> str:
        """Return the title of the check of the key that `api_key` returns."""
        ours = self.environ.get("WANDB_API_KEY", "").strip() and not self.stack
        return SHELLS_KEY if ours else self.functions_key

    @property
    def functions_key(self) -> str:
        """Return the title of the check of the functions' key."""
        return STACKS_KEY if self.stack else SECRETS_KEY

    def missing(self, verb: str) -> tuple[str, ...]:
        """Return the cause of a function that is not deployed; one cause if none is."""
        try:
            none = not any(self.serving(each) for each in FUNCTIONS)
        except UNSEEN:
            none = False
        return (NO_FUNCTION if none else f"function {self.deployment.function(verb)}",)

    def api_key(self) -> str:
        """Return the API key for our queries: WANDB_API_KEY, else the key of the functions."""
        return self.environ.get("WANDB_API_KEY", "").strip() or self.secret_key()

    @property
    def ca_file(self) -> str:
        """Return the path of W&B's certificate authority; empty for the public ones."""
        file = self.environ.get("WANDB_CA_FILE") or self.settings().get("WANDB_CA_FILE", "")
        try:
            return certificates(file)
        except ValueError as exc:
            raise SettingsError(f"WANDB_CA_FILE: {exc}") from exc

    def wandb(self, key: str | None = None) -> Graphql:
        """Return a connection to W&B with this API key."""
        return Graphql(self.base_url, self.api_key() if key is None else key, ca_file=self.ca_file)

    def queue(self, name: str) -> QueueView | None:
        """Return a queue, or None if it does not exist."""
        found: QueueView | None = self.once(
            f"queue {name}", lambda: read_queue(self.wandb(), self.entity, name)
        )
        return found

    def macros(self) -> dict[str, str]:
        """Return the functions' variables that a queue can use as `${NAME}`."""
        settings = self.settings()
        names = split_names(settings.get("LAUNCH_MACROS", ""))
        return {name: settings[name] for name in names if name in settings}

    def vertex(self, name: str) -> dict[str, Any]:
        """Return `spec` and `run` of a queue's configuration; empty if it has none for Vertex AI.

        Raises:
            Reject: the configuration has the wrong shape.
        """
        queue = self.queue(name)
        arguments = mapping(queue.config.get("resource_args"), "resource_args") if queue else {}
        parts = (
            mapping(arguments.get(resource), f"resource_args.{resource}") for resource in RESOURCES
        )
        config = next(filter(None, parts), {})
        found: dict[str, Any] = substitute(config, self.macros(), later=OF_A_LAUNCH)
        return found

    def examined(self, check: Check) -> Iterator[Finding]:
        """Carry out one check; its error becomes a finding, and stops no other check."""
        try:
            yield from check.look()
        except Exception as exc:  # noqa: BLE001 - every error is reported
            yield explained(self, check, exc)
