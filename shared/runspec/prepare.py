"""From a launch to the CustomJob that it becomes: the steps that submit and `plan` share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.core.jobsource import JobSource
from shared.core.launch import Launch
from shared.core.ports import CustomJobCall, JobArtifacts, QueueConfigs, Sweeps
from shared.runspec.arguments import ArgumentNames
from shared.runspec.defaults import complete
from shared.runspec.ladder import place
from shared.runspec.model import Draft
from shared.runspec.policy import allowed
from shared.runspec.render import DeploymentDefaults, render
from shared.runspec.scheduler import SchedulerDefaults, schedule_as_job
from shared.runspec.source import resolve
from shared.runspec.sweep import check_sweep

Renderer = Callable[
    [Draft, DeploymentDefaults, ArgumentNames, JobSource | None], CustomJobCall
]  # raises Reject


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job that can be created. `launch` is the record to claim; `next_places` are the ladder's, after this one."""

    launch: Launch
    call: CustomJobCall
    next_places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preparation:
    """Prepares jobs, by what W&B says and what the operator has set."""

    queues: QueueConfigs
    jobs: JobArtifacts
    sweeps: Sweeps
    site: DeploymentDefaults
    names: ArgumentNames
    policy: AdmissionPolicy = field(default_factory=AdmissionPolicy)
    ladder: Ladder = field(default_factory=Ladder)
    scheduler: SchedulerDefaults = field(default_factory=SchedulerDefaults)
    check_key: Callable[[], None] = lambda: None  # raises KeyRefused
    renderer: Renderer = render

    def prepare(self, launch: Launch) -> PreparedJob:
        """Return the job of a launch's next attempt. Nothing is sent to Vertex AI.

        Raises:
            Reject: the author has to change something; names the field, the value and the fix.
            Retry, Denied, KeyRefused: W&B cannot be asked, or does not accept the key that the job needs.
        """
        draft = schedule_as_job(Draft.of(launch), self.queues, self.scheduler)
        draft = complete(draft, self.queues)
        draft, job = resolve(draft, self.jobs)
        call = self.renderer(draft, self.site, self.names, job)
        self._admit(draft, call)
        placed, call, next_places = place(draft.launch, call, self.ladder, self.policy)
        return PreparedJob(placed, call, next_places)

    def _admit(self, draft: Draft, call: CustomJobCall) -> None:
        """Refuse what the policy forbids, a job that could not reach W&B, and a run whose sweep is over."""
        allowed(call, self.policy)
        if not draft.spec.own_key:
            self.check_key()
        check_sweep(draft.spec, self.sweeps)  # last: a sweep can end at any time
