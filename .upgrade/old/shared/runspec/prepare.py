"""Prepare the CustomJob of a launch, in six steps. Submit and `plan` both call this."""

from collections.abc import Callable
from dataclasses import dataclass, field

from shared.config.ladder import Ladder
from shared.config.policy import AdmissionPolicy
from shared.core.jobsource import JobSource
from shared.core.launch import Launch
from shared.core.ports import CustomJobCall, JobArtifacts, QueueConfigs, Sweeps
from shared.runspec import render as rendering
from shared.runspec.arguments import ArgumentNames
from shared.runspec.defaults import complete
from shared.runspec.ladder import place
from shared.runspec.model import Draft, RunSpec
from shared.runspec.policy import admit
from shared.runspec.render import DeploymentDefaults
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
        draft = schedule_as_job(draft, self.queues, self.scheduler)
        draft = complete(draft, self.queues)
        draft, job = resolve(draft, self.job_artifacts)
        call = self.render(draft, self.defaults, self.names, job)
        admit(call, self.policy)
        self._check_run(draft.spec)
        return PreparedJob(*place(draft.launch, call, self.ladder, self.policy))

    def _check_run(self, spec: RunSpec) -> None:
        """Refuse a run that could not reach W&B, and a run whose sweep is over."""
        if not spec.own_key:
            self.check_key()
        check_sweep(spec, self.sweeps)  # last: a sweep can end at any time
