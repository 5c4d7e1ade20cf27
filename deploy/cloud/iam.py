"""The bindings of deploy/cloud/iam.yaml, with the members and resources of one deployment."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deploy.cloud.deployment import Deployment

TABLE = Path(__file__).with_name("iam.yaml")
# the build creates and binds these
AT_BUILD = (
    *("topic", "dead_letters", "events", "wake_up"),
    *("trigger", "kept_letters", "wake_up_calls", "function"),
)
BUCKETS = ("ledger", "build_sources", "staging", "ladder", "contexts")
FIRST_DAYS = "first_days"
SOURCES = 'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-")'


class Role(BaseModel):
    """A custom role with exactly these permissions, which include the unproven ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    permissions: tuple[str, ...]
    unproven: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _with_unproven(cls, row: Any) -> Any:
        return {**row, "permissions": [*row["permissions"], *row.get("unproven", ())]}


class Row(BaseModel):
    """A row of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: Annotated[tuple[str, ...], Field(min_length=1)]
    role: str
    resources: Annotated[tuple[str, ...], Field(min_length=1)]
    why: str
    needs: tuple[str, ...] = ()
    condition: Literal["", "first_days"] = ""
    only: str = ""


class Table(BaseModel):
    """The whole table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: dict[str, Role]
    bindings: tuple[Row, ...]


@dataclass(frozen=True)
class Binding:
    """One member with one role on one resource of a deployment.

    `kind` is the table's word for the resource, up to its colon; `resource` is its name for gcloud
    and the clients; `condition` is empty or a CEL expression.
    """

    member: str
    role: str
    kind: str
    resource: str
    permissions: tuple[str, ...]
    why: str
    condition: str = ""

    @property
    def expires(self) -> bool:
        """Tell whether the binding ends by itself."""
        return self.condition.startswith("request.time")


@cache
def table() -> Table:
    """Read the table once."""
    return Table.model_validate(yaml.safe_load(TABLE.read_text(encoding="utf-8")))


def rows(deployment: Deployment) -> Iterator[Row]:
    """Yield the rows that apply to a deployment."""
    yield from (row for row in table().bindings if not row.only or getattr(deployment, row.only))


def custom_roles(deployment: Deployment) -> dict[str, Role]:
    """Return the custom roles of a deployment, by their names in the table."""
    bound = {row.role for row in rows(deployment)}
    return {name: role for name, role in table().roles.items() if name in bound}


def bindings(deployment: Deployment) -> Iterator[Binding]:
    """Yield every binding of a deployment, in the table's order.

    The resource of the trigger's bindings is empty: Eventarc names it.
    """
    for row in rows(deployment):
        custom = table().roles.get(row.role)
        role = (
            f"projects/{deployment.project}/roles/{deployment.custom_role(row.role)}"
            if custom
            else row.role
        )
        emails = [email for account in row.accounts for email in _emails(account, deployment)]
        for on, email in product(row.resources, emails):
            for resource in _resources(on, deployment):
                yield Binding(
                    member=f"serviceAccount:{email}",
                    role=role,
                    kind=on.partition(":")[0],
                    resource=resource,
                    permissions=custom.permissions if custom else row.needs,
                    why=row.why,
                    condition=_condition(row, on),
                )


def _condition(row: Row, on: str) -> str:
    """Return a binding's condition; repeated on one day, it is the same."""
    if row.condition == FIRST_DAYS:
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return f'request.time < timestamp("{midnight + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}")'
    return SOURCES if on == "sources" else ""


def _emails(account: str, deployment: Deployment) -> tuple[str, ...]:
    if account == "run_as":
        return deployment.run_as
    if account.startswith("agent:"):
        return (deployment.agent(account.removeprefix("agent:")),)
    return (deployment.account(account),)


def _resources(on: str, deployment: Deployment) -> tuple[str, ...]:
    """Return the resources of one word of the table, as gcloud and the clients name them."""
    kind, _, which = on.partition(":")
    return {
        "project": (deployment.project,),
        "sources": (deployment.project,),  # with a condition, because Google names the buckets
        "ledger": (f"gs://{deployment.ledger_bucket}",),
        "build_sources": (f"gs://{deployment.sources_bucket}",),
        "staging": (f"gs://{deployment.staging_bucket}",),
        "ladder": tuple(f"gs://{bucket}" for bucket in deployment.ladder_buckets),
        "secret": (deployment.secret,),
        "key_secret": (deployment.key_secret,),
        "git_secrets": deployment.git_secrets,
        "repository": (deployment.repository,),
        "images": (deployment.images,),
        "contexts": (f"gs://{deployment.contexts_bucket}",),
        "account": (deployment.account(which),),
        "run_as": deployment.run_as,
        "topic": (f"projects/{deployment.project}/topics/{deployment.topic}",),
        "dead_letters": (f"projects/{deployment.project}/topics/{deployment.dead_letters}",),
        "events": (f"projects/{deployment.project}/topics/{deployment.events}",),
        "trigger": ("",),  # Eventarc names it when submit is deployed
        "kept_letters": (f"projects/{deployment.project}/subscriptions/{deployment.dead_letters}",),
        "wake_up": (f"projects/{deployment.project}/topics/{deployment.wake_up}",),
        "wake_up_calls": (f"projects/{deployment.project}/subscriptions/{deployment.wake_up}",),
        "function": (deployment.function(which),),
        "kms_key": (deployment.kms_key,),
        "ladder_key": deployment.ladder_keys,
    }[kind]


def bind_command(binding: Binding, deployment: Deployment) -> tuple[str, ...]:
    """Return gcloud's command for one binding."""
    project = f"--project={deployment.project}"
    match binding.kind:
        case "project" | "sources":
            on: tuple[str, ...] = ("projects", "add-iam-policy-binding", deployment.project)
        case kind if kind in BUCKETS:
            on = ("storage", "buckets", "add-iam-policy-binding", binding.resource)
        case "secret" | "key_secret" | "git_secrets":
            on = ("secrets", "add-iam-policy-binding", binding.resource, project)
        case "repository" | "images":
            on = (
                "artifacts",
                "repositories",
                "add-iam-policy-binding",
                *repository_flags(binding.resource),
            )
        case "account" | "run_as":
            on = ("iam", "service-accounts", "add-iam-policy-binding", binding.resource, project)
        case "kms_key" | "ladder_key":
            on = ("kms", "keys", "add-iam-policy-binding", binding.resource)
        case "topic" | "dead_letters" | "events" | "wake_up":
            on = ("pubsub", "topics", "add-iam-policy-binding", binding.resource)
        case "trigger" | "kept_letters" | "wake_up_calls":
            on = ("pubsub", "subscriptions", "add-iam-policy-binding", binding.resource)
        case "function":
            on = (
                "run",
                "services",
                "add-iam-policy-binding",
                binding.resource,
                f"--region={deployment.region}",
                project,
            )
        case other:
            raise ValueError(f"no command binds on {other!r}")
    return (*on, f"--member={binding.member}", f"--role={binding.role}", *_flag(binding))


def _flag(binding: Binding) -> tuple[str, ...]:
    """Return the flag of a condition; a policy that has conditions needs one always."""
    if binding.condition:
        title = "first-days" if binding.expires else "functions-sources"
        return (f"--condition=title={title},expression={binding.condition}",)
    return ("--condition=None",) if binding.kind == "project" else ()


def repository_flags(repository: str) -> tuple[str, ...]:
    """Return gcloud's arguments for a repository of Artifact Registry."""
    _, project, _, location, _, name = repository.split("/")
    return name, f"--location={location}", f"--project={project}"


def markdown() -> str:
    """Return the table as docs/reference/permissions.md shows it."""
    lines = ["| account | may | on | why |", "|---|---|---|---|"]
    for row in table().bindings:
        custom = table().roles.get(row.role)
        may = f"the custom role *{row.role}*" if custom else f"`{row.role}`"
        resources = ", ".join(row.resources).replace("_", " ")
        until = ", until the end of the day after `bootstrap`" if row.condition else ""
        accounts = ", ".join(row.accounts).replace("run_as", "run as")
        lines.append(f"| {accounts} | {may}{until} | {resources} | {row.why} |")
    for name, role in table().roles.items():
        permissions = ", ".join(f"`{permission}`" for permission in role.permissions)
        unproven = ", ".join(f"`{permission}`" for permission in role.unproven)
        note = f" Unproven, from Google's page and other projects: {unproven}." if unproven else ""
        lines += ["", f"The custom role *{name}* ({role.title}): {permissions}.{note}"]
    return "\n".join(lines) + "\n"
