"""Where a deployment runs, from what Google lists; no call is made."""

from dataclasses import replace
from typing import Any

import pytest
from google.api_core import exceptions as google_errors

from deploy.cloud.deployment import Deployment
from deploy.cloud.google import Google
from deploy.cloud.places import Elsewhere, check_region, places

DEPLOYMENT = Deployment("p1", "us-central1", number="12")
LEDGER = {"projectNumber": "12", "location": "US-CENTRAL1", "timeCreated": "2020-01-01T00:00:00.000Z"}


def function(region: str, label: str = "launch", name: str = "launch-submit") -> dict[str, Any]:
    """Return a function."""
    return {"name": f"projects/p1/locations/{region}/functions/{name}", "labels": {"vertex-launch": label}}


def job(location: str, region: str, description: str = "vertex-launch launch: poll") -> dict[str, Any]:
    """Return a Scheduler job that calls poll of a region."""
    uri = f"https://launch-poll-12.{region}.run.app"
    name = f"projects/p1/locations/{location}/jobs/launch-poll"
    return {"name": name, "description": description, "httpTarget": {"uri": uri}}


class Answers(Google):
    """Google's APIs, whose answers are given by a part of the URL; anything else is missing."""

    def __init__(self, **answers: Any) -> None:
        super().__init__()
        self._answers = {"functions": {}, "triggers": {}, "locations": {}, **answers}

    def _json(self, method: str, url: str, timeout: float = 0, **content: Any) -> Any:
        kind = "ledger" if url.endswith("-ledger") else url.rpartition("/")[2]
        answer = self._answers.get(url.partition("/locations/")[2], self._answers.get(kind))
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            raise google_errors.NotFound("gone")
        return answer


US, EU = "us-central1", "europe-west4"
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "nothing is left": ({}, ""),
    "all is here": ({"ledger": LEDGER, "functions": {"functions": [function(US)]}}, ""),
    "the ledger is elsewhere": ({"ledger": {**LEDGER, "location": "EUROPE-WEST4"}}, f"Repeat with --region={EU}."),
    "a stranger has the ledger": ({"ledger": {**LEDGER, "location": "EUROPE-WEST4", "projectNumber": "9"}}, ""),
    "the ledger may not be read": ({"ledger": google_errors.Forbidden("no")}, ""),
    "a ledger in a multi-region": ({"ledger": {**LEDGER, "location": "EU", "locationType": "multi-region"}}, ""),
    "a function is elsewhere": ({"functions": {"functions": [function(EU)]}}, f"is in {EU}, not in {US}"),
    "a function of another deployment": ({"functions": {"functions": [function(EU, "research")]}}, ""),
    "a function with our label and another name": ({"functions": {"functions": [function(EU, name="mine")]}}, ""),
    "two regions": (
        {"ledger": LEDGER, "functions": {"functions": [function(EU), function(US)]}},
        f"gcloud functions delete launch-submit --region={EU} --project=p1",
    ),
    "a schedule in its own location": ({f"{EU}/jobs/launch-poll": job(EU, US), "locations": {
        "locations": [{"locationId": EU}]}}, ""),
    "a schedule that calls elsewhere": ({f"{US}/jobs/launch-poll": job(US, EU)}, f"Repeat with --region={EU}."),
    "a schedule of others": ({f"{US}/jobs/launch-poll": job(US, EU, "mine")}, ""),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_part_elsewhere_is_named(case: str) -> None:
    """With the right region, or the commands that delete the strays."""
    answers, says = CASES[case]
    found = places(Answers(**answers), DEPLOYMENT)
    if not says:
        check_region(DEPLOYMENT, found)
        return
    with pytest.raises(Elsewhere) as refused:
        check_region(DEPLOYMENT, found)
    assert says in refused.value.message


def test_a_job_without_a_url_is_at_home_in_the_schedulers_region() -> None:
    """A job whose target names no region counts where it is, but for the location of the deployment's own jobs."""
    idle = {**job(EU, US), "httpTarget": {}}
    answers = Answers(**{f"{EU}/jobs/launch-poll": idle, "locations": {"locations": [{"locationId": EU}]}})
    with pytest.raises(Elsewhere):
        check_region(DEPLOYMENT, places(answers, DEPLOYMENT))
    there = replace(DEPLOYMENT, other_scheduler_region=EU)
    found = places(Answers(**{f"{EU}/jobs/launch-poll": idle}), there)
    assert [each.region for each in found] == [US]
    check_region(there, found)


@pytest.mark.parametrize("kind", ["functions", "triggers", "locations"])
def test_what_cannot_be_seen_is_not_absent(kind: str) -> None:
    """Neither a refusal, nor a region that does not answer; an API that is off has no resources."""
    hidden = google_errors.Forbidden("no")
    off = google_errors.Forbidden("off", error_info=_Disabled())
    for answer in (hidden, {"unreachable": [f"projects/p1/locations/{EU}"]}):
        with pytest.raises(google_errors.GoogleAPICallError):
            places(Answers(**{kind: answer}), DEPLOYMENT)
    assert places(Answers(**{kind: hidden}), DEPLOYMENT, partly=True) == []
    assert places(Answers(**{kind: off}), DEPLOYMENT) == []


class _Disabled:
    reason, domain, metadata = "SERVICE_DISABLED", "googleapis.com", {"service": "x"}
