"""What bootstrap made: APIs, buckets, the secret; and the buckets that the queues name."""

from collections.abc import Iterator
from functools import partial

from google.api_core import exceptions as google_errors

from deploy.cloud import gcloud
from deploy.cloud.bootstrap import APIS
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, unknown, warning
from deploy.cloud.provision.ledger import LedgerRule
from shared.runspec.buckets import staging_bucket
from shared.runspec.fields import mapping, text

STORAGE = "https://storage.googleapis.com/storage/v1/b"
SECRETS = "https://secretmanager.googleapis.com/v1"


def checks(case: Case) -> Iterator[Check]:
    """Yield this group's checks."""
    told = case.told
    made = case.command("bootstrap")
    yield Check("APIs", partial(_apis, case), ("serviceusage.services.list",))
    own = (
        ("ledger bucket", told.ledger_bucket, told.region),
        ("staging bucket", told.staging_bucket, told.region),
    )
    climbed = (
        (f"ladder's bucket in {region}", bucket, region)
        for bucket, region in told.ladder_buckets.items()
    )
    for title, name, region in (*own, *climbed):
        yield Check(
            title, partial(_bucket, case, title, name, region, made), ("storage.buckets.get",)
        )
    yield Check("ledger's rule", partial(_rule, case), ("storage.buckets.get",))
    yield Check("secret", partial(_secret, case), ("secretmanager.versions.list",))
    yield Check("queues' buckets", partial(_of_queues, case), ("storage.buckets.get",))


def _apis(case: Case) -> Iterator[Finding]:
    project = case.told.project
    url = f"https://serviceusage.googleapis.com/v1/projects/{project}/services"
    listed = case.google.listed(url, "services", filter="state:ENABLED", pageSize=200)
    on = {service["name"].rpartition("/")[2] for service in listed}
    off = [name for name in (f"{api}.googleapis.com" for api in APIS) if name not in on]
    if off:
        yield failed(
            "APIs",
            f"off: {', '.join(off)}",
            gcloud.shown(("services", "enable", *off, _in(project))),
        )
    else:
        yield ok("APIs", f"all {len(APIS)} are on")


def _bucket(case: Case, title: str, name: str, region: str, if_missing: str) -> Iterator[Finding]:
    """See whether a bucket is there, in its region, and closed to all whom no policy lets in."""
    address = f"gs://{name}"
    try:
        bucket = case.google.get(f"{STORAGE}/{name}")
    except google_errors.NotFound:
        yield failed(title, f"{address} does not exist", if_missing)
        return
    where = str(bucket["location"]).lower()
    if where != region:
        move = gcloud.shown(("storage", "buckets", "relocate", address, f"--location={region}"))
        said = f"{address} is in {where}, the jobs and the functions are in {region}"
        found = failed if bucket.get("locationType", "region") == "region" else warning
        yield found(title, said, move)
        return
    update = ("storage", "buckets", "update", address)
    access = bucket.get("iamConfiguration", {})
    if not access.get("uniformBucketLevelAccess", {}).get("enabled"):
        said = (
            f"{address} has no uniform access: objects can be opened one by one, past every policy"
        )
        yield warning(title, said, gcloud.shown((*update, "--uniform-bucket-level-access")))
    elif access.get("publicAccessPrevention") != "enforced":
        said = f"{address} may be opened to the public"
        yield warning(title, said, gcloud.shown((*update, "--public-access-prevention")))
    else:
        yield ok(title, f"{address}, in {where}")


def _rule(case: Case) -> Iterator[Finding]:
    changes = list(LedgerRule(case.told).changes())
    for change in changes:
        said = f"is missing: {change.difference}; without it {change.resource} grows for ever"
        yield warning("ledger's rule", said, case.command("provision"))
    if not changes:
        yield ok("ledger's rule", "deletes what was closed long ago")


def _secret(case: Case) -> Iterator[Finding]:
    told = case.told
    add = add_key(case)
    try:
        url = f"{SECRETS}/projects/{told.project}/secrets/{told.secret}/versions"
        versions = list(case.google.listed(url, "versions"))
    except google_errors.NotFound:
        yield failed("secret", f"{told.secret} does not exist", case.command("bootstrap"))
        return
    newest = max(versions, key=lambda version: _number(version["name"]), default=None)
    if newest is None:
        yield failed("secret", f"{told.secret} has no version: the key was never put into it", add)
        return
    number = _number(newest["name"])
    if newest["state"] == "ENABLED":
        yield ok("secret", f"{told.secret}, version {number}")
        return
    said = f"version {number} of {told.secret}, the newest, is {newest['state']}: it is the one that the functions read"
    enable = (
        "secrets",
        "versions",
        "enable",
        str(number),
        f"--secret={told.secret}",
        _in(told.project),
    )
    yield failed("secret", said, gcloud.shown(enable) if newest["state"] == "DISABLED" else add)


def add_key(case: Case) -> str:
    """Return the command that puts a key into the secret without showing it."""
    told = case.told
    add = gcloud.shown(
        ("secrets", "versions", "add", told.secret, "--data-file=-", _in(told.project))
    )
    return f'printf %s "$WANDB_API_KEY" | {add}'


def _of_queues(case: Case) -> Iterator[Finding]:
    for name in case.queues:
        look = partial(_of_queue, case, name)
        yield from case.examined(Check(f"bucket of queue {name}", look, ("storage.buckets.get",)))


def _of_queue(case: Case, name: str) -> Iterator[Finding]:
    """See whether a queue's staging bucket is where its jobs are."""
    title = f"bucket of queue {name}"
    spec = mapping(case.vertex(name).get("spec"), "spec")
    address = text(spec.get("staging_bucket"), "staging_bucket", "")
    if not address or differs(address):
        yield unknown(title, "its configuration names none that is the same for every launch")
        return
    bucket = staging_bucket(address, "staging_bucket").removeprefix("gs://").partition("/")[0]
    region = text(spec.get("location"), "location", "") or case.told.region
    made = (
        "storage",
        "buckets",
        "create",
        f"gs://{bucket}",
        f"--location={region}",
        _in(case.told.project),
    )
    command = gcloud.shown((*made, "--uniform-bucket-level-access", "--public-access-prevention"))
    yield from _bucket(case, title, bucket, region, command)


def differs(value: str) -> bool:
    """Tell whether a value of a queue's configuration is another for each launch: a macro or a template variable."""
    return "${" in value or "{{" in value


def _number(version: str) -> int:
    return int(version.rpartition("/")[2])


def _in(project: str) -> str:
    return f"--project={project}"
