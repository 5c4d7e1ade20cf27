"""`python -m tests.fuzz.policies`: no launch that `prepare` accepts is outside its policy.

Each accepted launch becomes the message of Google's unmodified SDK, in each place of its ladder. Another program
compares the message with the policy. The exit code is 1 if one is outside; the command prints it.
"""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

import click

from shared.config.policy import AdmissionPolicy
from shared.config.requests import RequestLimits
from shared.core.errors import Reject
from shared.core.intake import from_item, from_request
from shared.core.jobsource import JobSource, Kind
from shared.core.launch import Launch, State
from shared.core.message import Queue, Request
from shared.core.ports import CustomJobCall
from shared.core.queueconfig import QueueConfig
from shared.runspec.prepare import Preparation
from tests.fakes import FakeJobs, FakeQueueConfigs, FakeSweeps
from tests.fuzz import targets
from tests.fuzz.policy_cases import Case, cases
from tests.fuzz.policy_checker import outside, start_the_sdk, summary
from tests.unit.specs import SITE

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = Queue(entity="team", name="vertex")
SECRET = "projects/p/secrets/s"
MOST_PLACES = 6


@dataclass
class Outcome:
    """What became of a case: its calls, one for each place, and the rules that the messages break."""

    calls: list[CustomJobCall]
    broken: set[str]
    refusal: str = ""


def run(case: Case, admitted_by: AdmissionPolicy | None = None) -> Outcome:
    """Prepare a case, by default with its own policy, and compare the messages with its own policy."""
    policy = case.policy if admitted_by is None else admitted_by
    calls: list[CustomJobCall] = []
    try:
        calls += _calls(case, policy)
    except Reject as refusal:
        if not calls:
            return Outcome([], set(), str(refusal))
    try:
        return Outcome(calls, {rule for call in calls for rule in outside(call, case.policy)})
    except (TypeError, ValueError) as exc:  # the SDK refuses it, and nothing is sent
        return Outcome([], set(), f"the SDK: {exc}")


def _calls(case: Case, policy: AdmissionPolicy) -> Iterator[CustomJobCall]:
    """Yield the call of each attempt: in the launch's own place, then further up the ladder."""
    launch, queues = _launch(case)
    source = JobSource(
        "team/cats/train:v1", Kind.ARTIFACT, ("python", "x.py"), base_image=case.base_image, code="team/cats/c:v1"
    )
    site = replace(
        SITE,
        macros={"FORBIDDEN": "projects/q/global/networks/n"},
        key_secret=SECRET if case.secret else "",
        destination="us-docker.pkg.dev/p/team/built" if case.builds else "",
    )
    preparation = Preparation(
        queues,
        _AnyJob({"": source}),
        FakeSweeps(),
        site,
        targets.names(),
        policy=policy,
        requests=RequestLimits(queues=(f"{QUEUE.entity}/{QUEUE.name}",)),
        ladder=case.ladder,
    )
    for _ in range(MOST_PLACES):
        prepared = preparation.prepare(launch)
        yield prepared.call
        if not prepared.next_places:
            return
        launch = replace(launch, climb=prepared.launch.climb.leave("no capacity", bar=False))


class _AnyJob(FakeJobs):
    """Every path is this one job."""

    def resolve(self, path: str) -> JobSource:
        """Return it."""
        return self.jobs[""]


def _launch(case: Case) -> tuple[Launch, FakeQueueConfigs]:
    """Return the launch: an item, or a request that fills in its queue's template variables."""
    spec, queues = dict(case.spec), FakeQueueConfigs()
    if not case.values:
        if spec.get("entity") != QUEUE.entity:
            spec.pop("run_id", None)  # a run of another entity is refused before
        return _opened(from_item("item", QUEUE, spec, NOW)), queues
    config = {"resource_args": spec.pop("resource_args")}
    queues.configs[QUEUE] = QueueConfig("1", resource="vertex", config=config, template_variables={"t": {}})
    spec["template_variables"] = case.values
    spec.pop("run_id", None)  # a request has none
    request = Request(source="ci", idempotency_key="1", run_spec=spec, queue=QUEUE)
    return _opened(from_request(request, NOW)), queues


def _opened(launch: Launch) -> Launch:
    """Return a launch at its first attempt. Raises Reject if it was refused at intake."""
    if launch.entry.state is State.ENDED:
        raise Reject("intake", launch.reason)
    return launch.move(State.SUBMITTING, attempt=1)


def search(specs: int, seed: int) -> tuple[Counter[str], list[tuple[Case, Outcome]]]:
    """Run this many cases; return the counts, and the cases that are outside their policy."""
    start_the_sdk()
    counts: Counter[str] = Counter()
    found = []
    for case in islice(cases(seed), specs):
        outcome = run(case)
        counts["specs"] += 1
        counts["accepted"] += bool(outcome.calls)
        counts["messages"] += len(outcome.calls)
        counts["refused by a rule"] += "the rule policy." in outcome.refusal
        counts["refused by the SDK"] += outcome.refusal.startswith("the SDK: ")
        counts["refused"] += bool(outcome.refusal)
        counts["outside the policy"] += bool(outcome.broken)
        if outcome.broken:
            found.append((case, outcome))
    return counts, found


@click.command()
@click.option("--specs", default=40_000, show_default=True, help="Number of run specs.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same specs.")
def main(specs: int, seed: int) -> None:
    """Compare the messages of random run specs with random policies."""
    counts, found = search(specs, seed)
    click.echo(summary(counts))
    for case, outcome in found[:10]:
        click.echo(f"{sorted(outcome.broken)}\n  {case}\n  {outcome.calls}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
