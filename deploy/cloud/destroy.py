"""`vertex-launch destroy`: delete a deployment, and nothing else."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud import storage
from rich.console import Console

from deploy.cloud import gcloud
from deploy.cloud.buckets import UNREADABLE, foreign
from deploy.cloud.deployment import ACCOUNTS, FUNCTIONS, Deployment, deployment_options
from deploy.cloud.gcloud import Step
from deploy.cloud.google import Google, words
from deploy.cloud.iam import table
from deploy.cloud.marks import of_nobody
from deploy.cloud.places import Place, check_region, places
from deploy.cloud.provision import monitoring, schedule, topics
from deploy.cloud.provision.command import with_number
from deploy.cloud.provision.parts import Change
from deploy.cloud.waiting import Patience

_UNREADABLE = "unreadable"


@click.command()
@deployment_options
@click.option(
    "--bootstrapped",
    is_flag=True,
    help="Also delete accounts, roles, secret, images, the ledger, sources and contexts.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(deployment: Deployment, bootstrapped: bool, yes: bool) -> None:
    """List the parts of a deployment (schedule, functions, topics, alerts), ask, and delete them.

    The command shows the region and the age of what runs, and refuses another --region. It keeps
    resources without the deployment's mark (label, title or description), buckets of other
    projects, the staging bucket, and running jobs. Without --bootstrapped it also keeps the
    ledger: a new build of the same deployment continues where this one ended.

    Needs gcloud, an owner's credentials, and application-default credentials.

    \b
    Example:
      vertex-launch destroy --project=my-project --region=us-central1

    Exit code 1 if you answer no, if the deployment runs in another region, or if Google refuses a
    deletion.
    """  # noqa: D301 - \b is click's
    console = Console(highlight=False, soft_wrap=True)
    try:
        deployment = with_number(deployment)
        found = places(Google(), deployment)
        for place in found:
            console.print(f"  {place}")
        check_region(deployment, found)
        calls = [
            part.removal()
            for part in [*schedule.parts(deployment), *topics.parts(deployment)[::-1]]
        ]
        kept: list[str] = []
        changes = [*(change for change in calls if change), *_monitoring(deployment, kept)]
        strays = list(_scheduled_elsewhere(deployment, found))
        steps = existing(_functions(deployment), kept)
        later = existing(of_bootstrap(deployment), kept) if bootstrapped else []
        for sentence in kept:
            console.print(f"Kept: {sentence}.")
        if not (changes or strays or steps or later):
            where = f"{deployment.project}, {deployment.region}"
            console.print(f"Nothing of {deployment.name} is left in {where}.")
            return
        console.print("To delete:")
        for change in changes:
            console.print(f"  {change.resource}")
        for step in [*strays, *steps, *later]:
            console.print(f"  {step.name}")
        if any(place.part.startswith("ledger") for place in found):
            _warn_of_open_launches(deployment, console)
        if not yes:
            which = f"(deployment {deployment.name}, region {deployment.region})"
            click.confirm(f"Delete all of this from {deployment.project}? {which}", abort=True)
        scheduled = [change for change in changes if "/jobs/" in change.resource]
        _carry_out(scheduled, console)  # first, so that no call finds half a deployment
        gcloud.carry_out_all([[step] for step in strays], console)
        gcloud.carry_out_all([[step] for step in steps], console)
        _carry_out([change for change in changes if change not in scheduled], console)
        gcloud.carry_out_all([[step] for step in later], console)
    except (google_errors.GoogleAPICallError, auth_errors.GoogleAuthError) as exc:
        raise click.ClickException(str(exc)) from exc


def _monitoring(deployment: Deployment, kept: list[str]) -> Iterator[Change]:
    """Yield the deletions of our metrics, dashboard and alerts; `kept` gets what is not visible."""
    for collection in monitoring.parts(deployment, Google())[::-1]:
        try:
            yield from collection.removals()
        except google_errors.Forbidden as exc:
            if exc.reason != "SERVICE_DISABLED":  # then none exists
                kept.append(f"{collection.kind.title}s of monitoring: {words(exc)}")
        except requests.RequestException as exc:
            kept.append(f"{collection.kind.title}s of monitoring: {exc}")


def _scheduled_elsewhere(deployment: Deployment, found: Iterable[Place]) -> Iterator[Step]:
    """Yield the deletions of our Scheduler jobs outside of the location that the options name."""
    for place in found:
        here = f"--location={deployment.scheduler_region}" in place.delete
        if place.delete[:2] == ("scheduler", "jobs") and not here:
            where = next(word for word in place.delete if word.startswith("--location="))
            yield Step(f"{place.part} in {where.partition('=')[2]}", place.delete)


def _carry_out(changes: list[Change], console: Console) -> None:
    for change in changes:
        change.carry_out()
        console.print(f"  {change.resource}: {change.difference}")


@dataclass(frozen=True)
class Removal:
    """A resource, the command that deletes it, and why its description tells to keep it."""

    name: str
    describe: tuple[str, ...]
    delete: tuple[str, ...]
    keep: Callable[[Any], str]


def existing(removals: Iterable[Removal], kept: list[str] | None = None) -> list[Step]:
    """Return the deletions of the resources that exist and are ours; `kept` gets the others."""
    listed = list(removals)
    with ThreadPoolExecutor(gcloud.AT_ONCE) as pool:
        found = list(pool.map(_described, listed))
    steps = []
    for removal, there in zip(listed, found, strict=True):
        if not there or there.get("deleted"):
            continue
        if reason := there.get(_UNREADABLE) or removal.keep(there):
            delete = gcloud.shown(removal.delete)
            (kept if kept is not None else []).append(
                f"{removal.name}: it {reason}. If it is yours: {delete}"
            )
        else:
            steps.append(Step(removal.name, removal.delete))
    return steps


def _described(removal: Removal) -> Any:
    """Return the description of a resource; of an unreadable bucket, the reason to keep it."""
    try:
        return gcloud.describe(removal.describe, Patience(denied=0))
    except gcloud.GcloudError as exc:
        if exc.denied and removal.describe[0] == "storage":  # typical of a bucket of others
            return {_UNREADABLE: UNREADABLE}
        raise


def _functions(deployment: Deployment) -> Iterator[Removal]:
    where = (f"--region={deployment.region}", f"--project={deployment.project}")
    mark = partial(of_nobody, deployment=deployment)
    for verb in FUNCTIONS:
        name = deployment.function(verb)
        yield Removal(
            f"function {name}",
            ("functions", "describe", name, *where),
            ("functions", "delete", name, *where),
            mark,
        )


def of_bootstrap(deployment: Deployment) -> Iterator[Removal]:
    """Yield bootstrap's resources; accounts take their bindings with them."""
    project, region = f"--project={deployment.project}", f"--location={deployment.region}"
    kinds: dict[str, tuple[tuple[str, ...], list[str], tuple[str, ...]]] = {
        "custom role": (
            ("iam", "roles"),
            [deployment.custom_role(role) for role in table().roles],
            (project,),
        ),
        "service account": (
            ("iam", "service-accounts"),
            [deployment.account(account) for account in ACCOUNTS],
            (project,),
        ),
        "secret": (("secrets",), [deployment.secret], (project,)),
        "repository": (("artifacts", "repositories"), [deployment.name], (region, project)),
    }
    for kind, (group, names, where) in kinds.items():
        for name in names:
            yield Removal(
                f"{kind} {name}",
                (*group, "describe", name, *where),
                (*group, "delete", name, *where),
                partial(of_nobody, deployment=deployment),
            )
    own = deployment.ledger_bucket, deployment.sources_bucket, deployment.own_contexts_bucket
    for bucket in (f"gs://{name}" for name in own):
        yield Removal(
            f"bucket {bucket}",
            ("storage", "buckets", "describe", bucket, "--raw"),
            ("storage", "rm", "--recursive", bucket),
            partial(_keep_bucket, deployment),
        )


def _keep_bucket(deployment: Deployment, there: Any) -> str:
    if number := foreign(there, deployment):
        return f"belongs to another project, number {number}"
    return of_nobody(there, deployment)


def _warn_of_open_launches(deployment: Deployment, console: Console) -> None:
    client = storage.Client(project=deployment.project)
    try:
        count = sum(
            1
            for _ in client.list_blobs(
                deployment.ledger_bucket, prefix="open/", fields="items(name),nextPageToken"
            )
        )
    except google_errors.NotFound:
        return
    if count:
        console.print(
            f"[bold]{count} launches are not finished.[/] Their jobs continue, but nobody reports "
            "them to W&B. Set max_jobs to 0 and wait, or deploy again under the same name."
        )
