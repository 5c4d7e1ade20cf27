"""The deployment that is examined, and the ways to look at it: Google, W&B, what the functions were told."""

import base64
import os
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import click
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors

from deploy.cloud import gcloud
from deploy.cloud.deployment import Deployment
from deploy.cloud.doctor.finding import Check, Finding, unknown
from deploy.cloud.doctor.google import Google, words
from deploy.cloud.doctor.once import Once
from deploy.cloud.provision.command import with_number
from deploy.cloud.provision.parts import NotYet
from deploy.operate.wandb import QueueView, read_queue
from shared.adapters.wandb import Graphql
from shared.config.certificates import certificates
from shared.config.launch_config import CONFIG_FILE
from shared.core.errors import LaunchError, SettingsError
from shared.runspec.fields import mapping
from shared.runspec.macros import substitute
from shared.runspec.model import RESOURCES

UNSEEN = (google_errors.GoogleAPICallError, auth_errors.GoogleAuthError, requests.RequestException)
NUMBER = "resourcemanager.projects.get"  # what `deployment` needs, besides what a check itself does
LOGIN = "gcloud auth application-default"


@dataclass(frozen=True)
class Case:
    """A deployment as the command was told of it; `config` is the path of its launch-config."""

    told: Deployment
    config: str = CONFIG_FILE
    google: Google = field(default_factory=Google)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    once: Once = field(default_factory=Once)

    @property
    def deployment(self) -> Deployment:
        """Return it with its project's number; raises as Google does."""
        numbered: Deployment = self.once("number", lambda: with_number(self.told))
        return numbered

    def command(self, name: str) -> str:
        """Return another of our commands, for this deployment."""
        d = self.told
        options = {
            "project": d.project,
            "region": d.region,
            "name": d.name,
            "staging-bucket": d.staging,
        }
        options |= {
            "kms-key": d.kms_key,
            "config": self.config if self.config != CONFIG_FILE else "",
        }
        given = [f"--{option}={value}" for option, value in options.items() if value]
        return shlex.join(["python", "-m", "deploy", *name.split(), *given])

    def settings(self) -> Mapping[str, str]:
        """Return the functions' environment variables; none where they cannot be seen, as their own check says."""

        def read() -> Mapping[str, str]:
            try:
                config = self.function("submit").get("serviceConfig", {})
            except UNSEEN:
                return {}
            told: Mapping[str, str] = config.get("environmentVariables", {})
            return told

        settings: Mapping[str, str] = self.once("settings", read)
        return settings

    def function(self, verb: str) -> Any:
        """Return the description of a function; raises as Google does."""
        url = f"https://cloudfunctions.googleapis.com/v2/{self.told.parent}/functions/{self.told.function(verb)}"
        return self.once(f"function {verb}", lambda: self.google.get(url))

    @property
    def entity(self) -> str:
        """Return the entity that owns the queues."""
        return self.settings().get("LAUNCH_ENTITY") or self.told.config.entity

    @property
    def queues(self) -> tuple[str, ...]:
        """Return the names of the queues."""
        told = self.settings().get("LAUNCH_QUEUES", "")
        return (
            tuple(name.strip() for name in told.split(",") if name.strip())
            or self.told.config.queues
        )

    @property
    def base_url(self) -> str:
        """Return W&B's address."""
        told = self.environ.get("WANDB_BASE_URL") or self.settings().get("WANDB_BASE_URL")
        return told or "https://api.wandb.ai"

    def secret_key(self) -> str:
        """Return the API key that the functions get; raises as Google does."""

        def read() -> str:
            version = f"projects/{self.told.project}/secrets/{self.told.secret}/versions/latest"
            answer = self.google.get(f"https://secretmanager.googleapis.com/v1/{version}:access")
            return base64.b64decode(answer["payload"]["data"]).decode().strip()

        key: str = self.once("secret", read)
        return key

    def api_key(self) -> str:
        """Return the API key by which W&B is looked at: that of this shell, else that of the functions."""
        return self.environ.get("WANDB_API_KEY", "").strip() or self.secret_key()

    @property
    def ca_file(self) -> str:
        """Return the path of the certificates that are trusted to be W&B's; empty: the public ones."""
        told = self.environ.get("WANDB_CA_FILE") or self.settings().get("WANDB_CA_FILE", "")
        try:
            return certificates(told)
        except ValueError as exc:
            raise SettingsError(f"WANDB_CA_FILE: {exc}") from exc

    def wandb(self, key: str | None = None) -> Graphql:
        """Return a connection to W&B, by this API key."""
        return Graphql(self.base_url, self.api_key() if key is None else key, ca_file=self.ca_file)

    def queue(self, name: str) -> QueueView | None:
        """Return one of the queues; None where there is none."""
        found: QueueView | None = self.once(
            f"queue {name}", lambda: read_queue(self.wandb(), self.entity, name)
        )
        return found

    def macros(self) -> dict[str, str]:
        """Return the functions' own variables that `${NAME}` in a queue may stand for."""
        told = self.settings()
        return {
            name: told[name] for name in told.get("LAUNCH_MACROS", "").split(",") if name in told
        }

    def vertex(self, name: str) -> dict[str, Any]:
        """Return `spec` and `run` of a queue's configuration; empty where it has none for Vertex AI. Raises Reject."""
        queue = self.queue(name)
        arguments = mapping(queue.config.get("resource_args"), "resource_args") if queue else {}
        parts = (
            mapping(arguments.get(resource), f"resource_args.{resource}") for resource in RESOURCES
        )
        found: dict[str, Any] = substitute(next(filter(None, parts), {}), self.macros())
        return found

    def examined(self, check: Check) -> Iterator[Finding]:
        """Carry out one check; whatever it trips over is a finding too, so that it stops no other."""
        try:
            yield from check.look()
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is said
            yield self._explained(check, exc)

    def _explained(self, check: Check, exc: Exception) -> Finding:
        match exc:
            case google_errors.Forbidden(reason="SERVICE_DISABLED"):
                api = exc.metadata["service"]
                enable = gcloud.shown(("services", "enable", api, f"--project={self.told.project}"))
                return unknown(check.name, f"{api} is off", enable)
            case google_errors.Forbidden(reason="USER_PROJECT_DENIED"):
                return unknown(
                    check.name, words(exc), f"{LOGIN} set-quota-project {self.told.project}"
                )
            case google_errors.Forbidden():
                needs = ", ".join(self._lacking(check.needs)) or words(exc)
                mend = f"Ask an owner of {self.told.project} for a role with {needs}."
                return unknown(check.name, f"you may not see this; needs {needs}", mend)
            case auth_errors.TransportError():
                return unknown(check.name, "Google cannot be reached to sign in")
            case google_errors.Unauthorized() | auth_errors.GoogleAuthError():
                return unknown(
                    check.name,
                    f"Google does not know you: {str(exc).splitlines()[0]}",
                    f"{LOGIN} login",
                )
            case google_errors.GoogleAPICallError():
                return unknown(check.name, f"Google answers {exc.code}: {words(exc)}")
            case requests.RequestException():
                where = urlsplit((exc.request.url if exc.request else "") or "").netloc or "Google"
                return unknown(check.name, f"{where} cannot be reached: {type(exc).__name__}")
            case LaunchError() | NotYet():
                return unknown(check.name, str(exc))
            case click.ClickException():
                return unknown(check.name, exc.message)
        return unknown(check.name, f"this check itself failed: {type(exc).__name__}: {exc}")

    def _lacking(self, needs: tuple[str, ...]) -> tuple[str, ...]:
        """Return which of these permissions whoever runs this lacks in the project; all of them where none is."""
        url = f"https://cloudresourcemanager.googleapis.com/v3/projects/{self.told.project}:testIamPermissions"
        try:
            held = self.google.post(url, {"permissions": list(needs)}).get("permissions", ())
        except UNSEEN:
            return needs
        return tuple(permission for permission in needs if permission not in held) or needs
