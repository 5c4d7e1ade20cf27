"""The resources that bootstrap creates (APIs, buckets, the secret), and the queues' buckets."""

from collections.abc import Iterator
from functools import partial

import click
from google.api_core import exceptions as google_errors

from deploy.cloud import gcloud
from deploy.cloud.bootstrap_services import APIS
from deploy.cloud.buckets import STORAGE, foreign, own_buckets, refusal
from deploy.cloud.doctor import hazards
from deploy.cloud.doctor.case import NUMBER, SECRET, Case
from deploy.cloud.doctor.finding import Check, Finding, Unusable, failed, ok, unknown, warning
from deploy.cloud.iam import repository_flags
from deploy.cloud.lifecycle import CONTEXTS, rule_of
from deploy.cloud.places import MOVE, Elsewhere, check_region, places
from deploy.cloud.provision.ledger import LedgerRule
from shared.config.settings import KEY_FILE
from shared.runspec.buckets import staging_bucket
from shared.runspec.fields import mapping, text

SECRETS = "https://secretmanager.googleapis.com/v1"
BY_HAND = "doctor cannot check it: check the values that your launches use."


def checks(case: Case) -> Iterator[Check]:
    """Yield this group's checks."""
    deployment = case.deployment
    bootstrap = case.command("bootstrap")
    yield Check("APIs", partial(_apis, case), ("serviceusage.services.list",))
    home = deployment.region
    yield Check("region", partial(_region, case), ("cloudfunctions.functions.list",))
    own = own_buckets(deployment)
    for role, name in own.items():
        look = partial(_own_bucket, case, f"{role} bucket", name, bootstrap)
        yield Check(f"{role} bucket", look, ("storage.buckets.get", NUMBER))
    named = [
        (f"ladder's bucket in {region}", bucket, region)
        for bucket, region in deployment.ladder_buckets.items()
    ]
    if "staging" not in own:
        named.insert(0, ("staging bucket", deployment.staging_bucket, home))
    for title, name, region in named:
        look = partial(_bucket, case, title, name, region, bootstrap)
        yield Check(title, look, ("storage.buckets.get",))
    yield from hazards.checks(case)
    yield Check("ledger's rule", partial(_rule, case), ("storage.buckets.get",))
    if "contexts" in own:
        look = partial(_contexts_rule, case, own["contexts"], bootstrap)
        yield Check("contexts' rule", look, ("storage.buckets.get",))
    yield Check("secret", partial(_secret, case), ("secretmanager.versions.list",))
    if deployment.images and deployment.images != deployment.repository:
        look = partial(_images, case, bootstrap)
        yield Check("images' repository", look, ("artifactregistry.repositories.get",))
    yield Check("queues' buckets", partial(_of_queues, case), ("storage.buckets.get",))


def _apis(case: Case) -> Iterator[Finding]:
    project = case.deployment.project
    url = f"https://serviceusage.googleapis.com/v1/projects/{project}/services"
    listed = case.google.listed(url, "services", filter="state:ENABLED", pageSize=200)
    on = {service["name"].rpartition("/")[2] for service in listed}
    off = [name for name in (f"{api}.googleapis.com" for api in APIS) if name not in on]
    if off:
        enable = gcloud.shown(("services", "enable", *off, _in(project)))
        yield failed("APIs", f"off: {', '.join(off)}", enable, *(f"API {each}" for each in off))
    else:
        yield ok("APIs", f"all {len(APIS)} are on")


def _region(case: Case) -> Iterator[Finding]:
    """Check that nothing runs in another region; the ledger has its own check."""
    found = [place for place in places(case.google, case.deployment, partly=True) if place.delete]
    try:
        check_region(case.deployment, found)
    except Elsewhere as exc:
        message, *rest = exc.message.splitlines()
        yield failed("region", message, "\n".join(line.strip() for line in rest))
        return
    if found:
        yield ok("region", f"nothing runs outside of {case.deployment.region}")


def _own_bucket(case: Case, title: str, name: str, create: str) -> Iterator[Finding]:
    """Check a bucket whose name follows from the deployment's, which must be in its project."""
    try:
        project = str(case.google.get(f"{STORAGE}/{name}")["projectNumber"])
    except google_errors.NotFound:
        project = case.numbered.number  # _bucket reports that it does not exist
    if project == case.numbered.number:
        yield from _bucket(case, title, name, case.deployment.region, create)
        return
    message = f"gs://{name} belongs to another project, number {project}"
    yield failed(title, message, f"{refusal(name, project, case.numbered)}")


def _bucket(case: Case, title: str, name: str, region: str, create: str) -> Iterator[Finding]:
    """Check that a bucket exists, in its region, and that only its policy gives access."""
    address = f"gs://{name}"
    try:
        bucket = case.google.get(f"{STORAGE}/{name}")
    except google_errors.NotFound:
        yield failed(title, f"{address} does not exist", create, address)
        return
    where = str(bucket["location"]).lower()
    if where != region:
        move = gcloud.shown(("storage", "buckets", "relocate", address, f"--location={region}"))
        if name == case.deployment.ledger_bucket:  # launches run by these records
            move = f"Leave it there: a deployment runs where its ledger is. To move it, see {MOVE}."
        message = f"{address} is in {where}, the jobs and the functions are in {region}"
        wide = bucket.get("locationType", "region") != "region"
        if wide and hazards.for_jobs(case, name):
            message += ". Vertex AI refuses a staging bucket in several regions"
            wide = False
        finding = warning if wide else failed
        yield finding(title, message, move)
        return
    update = ("storage", "buckets", "update", address)
    access = bucket.get("iamConfiguration", {})
    if not access.get("uniformBucketLevelAccess", {}).get("enabled"):
        message = f"{address} has no uniform access: objects can have ACLs of their own"
        yield warning(title, message, gcloud.shown((*update, "--uniform-bucket-level-access")))
    elif access.get("publicAccessPrevention") != "enforced":
        message = f"{address} has no public access prevention"
        yield warning(title, message, gcloud.shown((*update, "--public-access-prevention")))
    else:
        number = foreign(bucket, case.numbered)
        of = f", of another project, number {number}" if number else ""
        yield ok(title, f"{address}, in {where}{of}")


def _rule(case: Case) -> Iterator[Finding]:
    try:
        changes = list(LedgerRule(case.numbered).changes())
    except click.ClickException as exc:
        raise Unusable(exc.message, f"gs://{case.deployment.ledger_bucket}") from exc
    for change in changes:
        message = f"is missing: {change.difference}; without it {change.resource} grows for ever"
        yield warning("ledger's rule", message, case.command("provision"))
    if not changes:
        yield ok("ledger's rule", "deletes closed launches")


def _contexts_rule(case: Case, name: str, create: str) -> Iterator[Finding]:
    rules = case.google.get(f"{STORAGE}/{name}").get("lifecycle", {}).get("rule", [])
    rule = rule_of(CONTEXTS)
    if rule in rules:
        yield ok("contexts' rule", f"deletes contexts after {rule['condition']['age']} day")
    else:
        yield warning("contexts' rule", f"is missing: gs://{name} keeps all code", create)


def _secret(case: Case) -> Iterator[Finding]:
    deployment = case.deployment
    add = add_key(case)
    try:
        url = f"{SECRETS}/projects/{deployment.project}/secrets/{deployment.secret}/versions"
        versions = list(case.google.listed(url, "versions"))
    except google_errors.NotFound:
        message = f"{deployment.secret} does not exist"
        yield failed("secret", message, case.command("bootstrap"), SECRET)
        return
    newest = max(versions, key=lambda version: _number(version["name"]), default=None)
    if newest is None:
        message = f"{deployment.secret} has no version: nobody has added the key"
        yield failed("secret", message, add, SECRET)
        return
    number = _number(newest["name"])
    if newest["state"] == "ENABLED":
        yield ok("secret", f"{deployment.secret}, version {number}")
        return
    state = newest["state"]
    message = f"version {number} of {deployment.secret}, the newest, is {state}; "
    message += "the functions read the newest version"
    which = (str(number), f"--secret={deployment.secret}", _in(deployment.project))
    enable = gcloud.shown(("secrets", "versions", "enable", *which))
    yield failed("secret", message, enable if state == "DISABLED" else add, SECRET)


def _images(case: Case, create: str) -> Iterator[Finding]:
    """Check that no tag of a built image can move."""
    title, repository = "images' repository", case.deployment.images
    try:
        found = case.google.get(f"https://artifactregistry.googleapis.com/v1/{repository}")
    except google_errors.NotFound:
        yield failed(title, f"{repository} does not exist", create)
        return
    if found.get("dockerConfig", {}).get("immutableTags"):
        yield ok(title, f"no tag of {repository} can move")
        return
    update = ("artifacts", "repositories", "update", *repository_flags(repository))
    message = f"tags of {repository} can move; launches use digests and are safe, other users not"
    yield warning(title, message, gcloud.shown((*update, "--immutable-tags")))


def add_key(case: Case) -> str:
    """Return the command that adds a key to the secret without showing it."""
    if case.stack:
        file = case.stack.get(KEY_FILE)
        return f'printf %s "$WANDB_API_KEY" > {file}' if file else case.command("up")
    deployment = case.deployment
    add = gcloud.shown(
        ("secrets", "versions", "add", deployment.secret, "--data-file=-", _in(deployment.project))
    )
    return f'printf %s "$WANDB_API_KEY" | {add}  # needs no build: the next call reads it'


def _of_queues(case: Case) -> Iterator[Finding]:
    for name in case.queues:
        look = partial(_of_queue, case, name)
        yield from case.examined(Check(f"bucket of queue {name}", look, ("storage.buckets.get",)))


def _of_queue(case: Case, name: str) -> Iterator[Finding]:
    """Check that a queue's staging bucket is in the region of its jobs."""
    title = f"bucket of queue {name}"
    spec = mapping(case.vertex(name).get("spec"), "spec")
    address = text(spec.get("staging_bucket"), "staging_bucket", "")
    if not address:
        message = "the queue's configuration names no staging_bucket"
        yield unknown(title, message, "", f"queue {name}")
        return
    if differs(address):
        yield warning(title, f"{address} is another bucket for each launch", BY_HAND)
        return
    if problem := case.deployment.reserved.problem(address):
        yield failed(title, f"staging_bucket {problem}", "Edit the queue's configuration in W&B.")
        return
    bucket = staging_bucket(address, "staging_bucket").removeprefix("gs://").partition("/")[0]
    region = text(spec.get("location"), "location", "") or case.deployment.region
    where = (f"gs://{bucket}", f"--location={region}", _in(case.deployment.project))
    closed = ("--uniform-bucket-level-access", "--public-access-prevention")
    create = gcloud.shown(("storage", "buckets", "create", *where, *closed))
    yield from _bucket(case, title, bucket, region, create)


def differs(value: str) -> bool:
    """Tell whether a value contains a macro or a template variable, so that launches differ."""
    return "${" in value or "{{" in value


def _number(version: str) -> int:
    return int(version.rpartition("/")[2])


def _in(project: str) -> str:
    return f"--project={project}"
