"""Prepare the CustomJob of a launch, step by step. Submit, `plan` and `doctor` call this."""

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.config.requests import RequestLimits
from shared.core.jobsource import JobSource
from shared.core.launch import Launch
from shared.core.ports import CustomJobCall, JobArtifacts, QueueConfigs, Sweeps
from shared.runspec import render as rendering
from shared.runspec.arguments import ArgumentNames
from shared.runspec.buckets import check_places
from shared.runspec.defaults import complete
from shared.runspec.forms import check as check_forms
from shared.runspec.keys import check_keys
from shared.runspec.ladder import place
from shared.runspec.model import Draft, RunSpec
from shared.runspec.policy import admit
from shared.runspec.render import DeploymentDefaults
from shared.runspec.requests import admit_request
from shared.runspec.scheduler import SchedulerDefaults, schedule_as_job
from shared.runspec.source import resolve
from shared.runspec.sweep import check_sweep

# raises Reject
Render = Callable[[Draft, DeploymentDefaults, ArgumentNames, JobSource | None], CustomJobCall]


def accept_key() -> None:
    """Accept the deployment's key without a check."""


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job that can be created. `launch` is the record to claim, `next_places` its ladder."""

    launch: Launch
    call: CustomJobCall
    next_places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preparation:
    """What a preparation needs: answers of W&B, and the operator's settings."""

    queues: QueueConfigs
    job_artifacts: JobArtifacts
    sweeps: Sweeps
    defaults: DeploymentDefaults
    names: ArgumentNames
    policy: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    requests: RequestLimits = field(default_factory=RequestLimits)  # allows no queue
    ladder: Ladder = field(default_factory=Ladder)
    scheduler: SchedulerDefaults = field(default_factory=SchedulerDefaults)
    check_key: Callable[[], None] = accept_key  # raises KeyRefused
    render: Render = rendering.render

    def prepare(self, launch: Launch) -> PreparedJob:
        """Return the job of a launch's next attempt. Sends nothing to Vertex AI.

        Raises:
            Reject: the author must change the request; names the field, the value and the fix.
            Retry, Denied, KeyRefused: W&B gives no answer, or refuses the key that the job needs.
        """
        draft = Draft.of(launch)
        admit_request(draft, self.requests, self.defaults.macros)
        check_keys(draft, self.names)  # before W&B is asked; render checks the queue's own keys
        draft = schedule_as_job(draft, self.queues, self.scheduler)
        draft = complete(draft, self.queues, self.defaults.macros)
        draft, job = resolve(draft, self.job_artifacts)
        call = self.render(draft, self.defaults, self.names, job)
        run = draft.launch.entry.run
        admit(call, run, self.policy)
        call = check_forms(call, draft.spec.config.path if draft.spec.config else "spec")
        self._check_run(draft.spec)
        launch, call, next_places = place(
            draft.launch, call, self.ladder, self.policy, self.names.locations
        )
        # again: a place has its own region, and a resumed run the folder of its record
        check_places(call.constructor, "spec", call.project, self.defaults.reserved)
        admit(call, run, self.policy)
        return PreparedJob(launch, call, next_places)

    def _check_run(self, spec: RunSpec) -> None:
        """Refuse a run that could not reach W&B, and a run whose sweep is over."""
        if not spec.own_key:
            self.check_key()
        check_sweep(spec, self.sweeps)  # last: a sweep can end at any time
