"""The names of a deployment's parts.

Every name consists of the project and one prefix. Thus a project can have several deployments,
and cloudbuild.yaml, which spells the same names in shell, needs no other input.
"""

import re
from dataclasses import dataclass

import click

from shared.core.accounts import service_account
from shared.core.reserved import DEPLOYMENT, bucket_name


@dataclass(frozen=True)
class Names:
    """The place of a deployment. `number` is the project's: service agents and URLs contain it."""

    project: str
    region: str
    name: str = "launch"
    number: str = ""

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
    def wake_up(self) -> str:
        """Return the id of the topic that wakes poll, which is also the id of its subscription."""
        return f"{self.name}-wake-up"

    @property
    def events(self) -> str:
        """Return the id of the topic of launches' events."""
        return f"{self.name}-events"

    @property
    def parent(self) -> str:
        """Return the region as a resource name."""
        return f"projects/{self.project}/locations/{self.region}"

    @property
    def repository(self) -> str:
        """Return the Artifact Registry repository of the functions' images."""
        return f"{self.parent}/repositories/{self.name}"

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

    def _bucket(self, role: str) -> str:
        return bucket_name(self.project, self.name, role)
