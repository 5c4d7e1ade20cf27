"""Settings of a bucket under which the functions or the jobs cannot work."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from google.api_core import exceptions as google_errors

from deploy.cloud import gcloud
from deploy.cloud.buckets import STORAGE
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok
from deploy.cloud.google import words
from deploy.cloud.lifecycle import LEDGER, rule_of

Bucket = Mapping[str, Any]
# conditions of a rule that never holds for a live object
OLD_VERSIONS = {"numNewerVersions", "daysSinceNoncurrentTime", "noncurrentTimeBefore"}


def checks(case: Case) -> Iterator[Check]:
    """Yield a check of the settings of each bucket."""
    deployment = case.deployment
    jobs = (deployment.staging_bucket, *deployment.ladder_buckets)
    for name in dict.fromkeys((*_own(case), *jobs)):
        title = f"settings of {name}"
        yield Check(title, partial(_settings, case, title, name), ("storage.buckets.get",))


def for_jobs(case: Case, name: str) -> bool:
    """Tell whether a bucket receives the output of jobs."""
    return name not in _own(case)


def _own(case: Case) -> tuple[str, ...]:
    deployment = case.deployment
    contexts = (deployment.contexts_bucket,) if deployment.images else ()
    return (deployment.ledger_bucket, deployment.sources_bucket, *contexts)


def _settings(case: Case, title: str, name: str) -> Iterator[Finding]:
    try:
        bucket = case.google.get(f"{STORAGE}/{name}")
    except google_errors.NotFound:
        return  # the check of the bucket reports it
    except google_errors.BadRequest as exc:  # credentials without a quota project name no payer
        if "requester pays" not in words(exc):
            raise
        bucket = {"billing": {"requesterPays": True}}
    found = [*_payer(title, name, bucket)]
    if name == case.deployment.ledger_bucket or for_jobs(case, name):
        found += _retention(title, name, bucket)
    if name == case.deployment.ledger_bucket:
        found += rules(title, name, bucket)
    yield from found or [ok(title, "no retention, no payer, no rule of others")]


def _payer(title: str, name: str, bucket: Bucket) -> Iterator[Finding]:
    """Find what stops each bucket of ours: requests that the caller has to pay for."""
    if bucket.get("billing", {}).get("requesterPays"):
        message = f"gs://{name} is requester-pays: Google refuses calls that name no payer"
        yield failed(title, message, _update(name, "--no-requester-pays"))


def _retention(title: str, name: str, bucket: Bucket) -> Iterator[Finding]:
    """Find what keeps objects from being replaced and deleted: retention and holds."""
    if policy := bucket.get("retentionPolicy"):
        message = f"gs://{name} keeps each object for {policy.get('retentionPeriod', '?')} s: "
        message += "nobody can replace or delete it before"
        if policy.get("isLocked"):
            fix = "The policy is locked for ever: use another --name or another bucket."
        else:
            fix = _update(name, "--clear-retention-period")
        yield failed(title, message, fix)
    if bucket.get("defaultEventBasedHold"):
        message = f"gs://{name} puts a hold on each new object: nobody can replace or delete it"
        yield failed(title, message, _update(name, "--no-default-event-based-hold"))


def rules(title: str, name: str, bucket: Bucket) -> Iterator[Finding]:
    """Find lifecycle rules of others that delete records of open launches."""
    foreign = [rule for rule in bucket.get("lifecycle", {}).get("rule", ()) if _takes(rule)]
    if foreign:
        message = f"gs://{name} has {len(foreign)} lifecycle rule{'s' * (len(foreign) > 1)} of "
        message += "others: a launch is lost with the record that such a rule deletes"
        yield failed(title, message, _update(name, f"--lifecycle-file={LEDGER}"))


def _takes(rule: Mapping[str, Any]) -> bool:
    """Tell whether a rule can hold for a record that the functions still need."""
    ours = rule_of(LEDGER)
    condition = rule.get("condition", {})
    if rule == ours or rule.get("action", {}).get("type") != "Delete":
        return False
    if OLD_VERSIONS & set(condition) or condition.get("isLive") is False:
        return False
    closed = tuple(ours["condition"]["matchesPrefix"])
    prefixes = condition.get("matchesPrefix", ())
    late = condition.get("age", 0) >= ours["condition"]["age"]
    return not (late and prefixes and all(prefix.startswith(closed) for prefix in prefixes))


def _update(name: str, *flags: str) -> str:
    return gcloud.shown(("storage", "buckets", "update", f"gs://{name}", *flags))
