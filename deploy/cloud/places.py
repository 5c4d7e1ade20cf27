"""Where a deployment runs: the regions of its ledger, functions, triggers and Scheduler jobs.

Topics, accounts, roles and the secret are the same in each region. A second region under one name
would share them, and `destroy` there would delete them under the first.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import Any

import click
from google.api_core import exceptions as google_errors

from deploy.cloud import gcloud
from deploy.cloud.buckets import STORAGE, foreign
from deploy.cloud.deployment import FUNCTIONS, SCHEDULED, Deployment
from deploy.cloud.google import Google
from deploy.cloud.marks import marked

AT_ONCE = 8
MOVE = "docs/how-to/move-to-another-region.md"
_HOST = re.compile(r"https://[^/]+\.([a-z]+-[a-z]+\d+)\.run\.app")


@dataclass(frozen=True)
class Place:
    """One part of a deployment. `delete` is gcloud's command; empty for the ledger.

    `region` is empty for a ledger in a multi-region.
    """

    part: str
    region: str
    created: str
    delete: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the part with its region and age."""
        return f"{self.part}: {self.region or 'several regions'}, {_age(self.created)}"


class Elsewhere(click.ClickException):
    """The deployment runs in another region than the asked one."""


def places(google: Google, deployment: Deployment, *, partly: bool = False) -> list[Place]:
    """Return the parts of a deployment in all regions.

    With `partly`, the caller need not be allowed to see all of them.

    Raises:
        GoogleAPICallError: a part cannot be seen.
    """

    def seen(look: Callable[[], Iterator[Place]]) -> list[Place]:
        try:
            return list(look())
        except google_errors.NotFound:
            return []
        except google_errors.Forbidden as exc:
            if partly or exc.reason == "SERVICE_DISABLED":  # then the service has no resources
                return []
            raise

    everywhere = f"projects/{deployment.project}/locations/-"
    functions = f"https://cloudfunctions.googleapis.com/v2/{everywhere}/functions"
    triggers = f"https://eventarc.googleapis.com/v1/{everywhere}/triggers"
    looks: list[Callable[[], Iterator[Place]]] = [
        partial(_ledger, google, deployment),
        lambda: of_functions(google.listed(functions, "functions"), deployment),
        lambda: of_triggers(google.listed(triggers, "triggers"), deployment),
    ]
    with ThreadPoolExecutor(len(looks)) as pool:
        found = list(chain.from_iterable(pool.map(seen, looks)))
    regions = {deployment.region, *(each.region for each in found)}
    return [*found, *seen(partial(_jobs, google, deployment, regions))]


def places_of_a_build(google: Google, deployment: Deployment) -> list[Place]:
    """Return the parts that the account of a build may see: the ledger, and submit's triggers.

    A trigger's subscription has its region in its name. Two submits on one topic are two triggers.
    """
    found = list(_ledger(google, deployment))
    topic = f"projects/{deployment.project}/topics/{deployment.topic}"
    submit = deployment.function("submit")
    pattern = re.compile(rf"/eventarc-([a-z]+-[a-z]+\d+)-{submit}-\d+-sub-\d+$")
    try:
        url = f"https://pubsub.googleapis.com/v1/{topic}/subscriptions"
        names = list(google.listed(url, "subscriptions"))
    except google_errors.NotFound:
        names = []
    for name in names:
        if trigger := pattern.search(name):
            where = (f"--region={trigger[1]}", f"--project={deployment.project}")
            delete = ("functions", "delete", submit, *where)
            found.append(Place(f"trigger of {submit}", trigger[1], "", delete))
    return found


def check_region(deployment: Deployment, found: Iterable[Place]) -> None:
    """Raise Elsewhere, with the right region, if a part is in another region than the asked one."""
    parts = [each for each in found if each.region]
    regions = list(dict.fromkeys(each.region for each in parts))
    if set(regions) <= {deployment.region}:
        return
    who = f"the deployment {deployment.name} of {deployment.project}"
    if len(regions) == 1:
        first = f"{who} is in {regions[0]}, not in {deployment.region}. Nothing is changed."
        last = [f"Repeat with --region={regions[0]}."]
    else:
        home = next((each.region for each in parts if not each.delete), deployment.region)
        strays = [each.delete for each in parts if each.delete and each.region != home]
        first = f"{who} has parts in {' and '.join(regions)}. Nothing is changed."
        last = [f"Delete the parts outside of {home}, then repeat with --region={home}:"]
        last += [gcloud.shown(command) for command in strays]
    raise Elsewhere("\n".join([first, *(f"  {each}" for each in parts), *last]))


def refuse_a_second_region(deployment: Deployment, found: Iterable[Place]) -> None:
    """Raise Elsewhere if the deployment already runs in another region."""
    try:
        check_region(deployment, found)
    except Elsewhere as exc:
        raise Elsewhere(
            f"{exc.message}\nOne name has one region, because all regions share its topics. "
            f"For a second deployment, choose another --name. To move this one, see {MOVE}."
        ) from None


def _ledger(google: Google, deployment: Deployment) -> Iterator[Place]:
    try:
        bucket = google.get(f"{STORAGE}/{deployment.ledger_bucket}")
    except (google_errors.NotFound, google_errors.Forbidden):  # missing, or somebody else's
        return
    yield from of_ledger(bucket, deployment)


def of_ledger(bucket: Mapping[str, Any], deployment: Deployment) -> Iterator[Place]:
    """Yield the ledger, unless it belongs to another project."""
    if not bucket or foreign(bucket, deployment):
        return
    single = bucket.get("locationType", "region") == "region"
    region = bucket.get("location", "").lower() if single else ""
    yield Place(f"ledger gs://{deployment.ledger_bucket}", region, bucket.get("timeCreated", ""))


def of_functions(functions: Iterable[Any], deployment: Deployment) -> Iterator[Place]:
    """Yield our functions of a list."""
    ours = {deployment.function(verb) for verb in FUNCTIONS}
    for each in functions:
        region, name = _place_of(each)
        if name in ours and marked(each) == deployment.name:
            where = (f"--region={region}", f"--project={deployment.project}")
            created = each.get("createTime") or each.get("updateTime", "")
            yield Place(f"function {name}", region, created, ("functions", "delete", name, *where))


def of_triggers(triggers: Iterable[Any], deployment: Deployment) -> Iterator[Place]:
    """Yield submit's triggers of a list; a trigger of others has another topic."""
    topic = f"projects/{deployment.project}/topics/{deployment.topic}"
    submit = deployment.function("submit")
    for each in triggers:
        region, name = _place_of(each)
        target = str(each.get("destination", {}))
        if submit in target and each.get("transport", {}).get("pubsub", {}).get("topic") == topic:
            where = (f"--location={region}", f"--project={deployment.project}")
            delete = ("eventarc", "triggers", "delete", name, *where)
            yield Place(f"trigger {name}", region, each.get("createTime", ""), delete)


def _jobs(google: Google, deployment: Deployment, regions: Iterable[str]) -> Iterator[Place]:
    """Yield our Scheduler jobs in `regions` and in all of Cloud Scheduler's locations.

    A job can be in another location than its function; the function's region counts.
    """
    root = f"https://cloudscheduler.googleapis.com/v1/projects/{deployment.project}/locations"
    listed = (each["locationId"] for each in google.listed(root, "locations", pageSize=100))
    locations = dict.fromkeys((*regions, deployment.scheduler_region, *listed))

    def look(asked: tuple[str, str]) -> Any:
        location, verb = asked
        try:
            return google.get(f"{root}/{location}/jobs/{deployment.function(verb)}")
        except (google_errors.NotFound, google_errors.BadRequest):  # no location of its own
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(look, [(where, verb) for where in locations for verb in SCHEDULED])
        jobs = [job for job in found if job]
    for job in jobs:
        location, name = _place_of(job)
        if job.get("description") != f"vertex-launch {deployment.name}: {name.rpartition('-')[2]}":
            continue
        called = _HOST.match(job.get("httpTarget", {}).get("uri", ""))
        home = deployment.region if location == deployment.scheduler_region else location
        region = called[1] if called else home
        where = (f"--location={location}", f"--project={deployment.project}")
        delete = ("scheduler", "jobs", "delete", name, *where)
        yield Place(f"Scheduler job {name}", region, job.get("userUpdateTime", ""), delete)


def _place_of(resource: Any) -> tuple[str, str]:
    """Return the location and the id of projects/P/locations/L/KIND/ID."""
    parts = resource["name"].split("/")
    return parts[3], parts[5]


def _age(created: str) -> str:
    """Return an age in words; Google's time is RFC 3339."""
    if not created:
        return "of unknown age"
    age = datetime.now(UTC) - datetime.fromisoformat(created)
    for count, unit in ((age.days, "day"), (age.seconds // 3600, "hour")):
        if count > 0:
            return f"{count} {unit}{'s' * (count > 1)} old"
    return "less than an hour old"
