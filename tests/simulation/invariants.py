"""What must hold after every step, and what must hold once nothing more happens."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from shared.core.launch import Entry, Outcome, State
from shared.core.ports import Job
from tests.simulation.scripts import AGAIN
from tests.simulation.wandb import Item
from tests.simulation.world import World

LEFT_OVER = timedelta(seconds=150)  # how long after a stop what somebody had decided before it may come to pass
UNASKED = timedelta(seconds=90)  # within which a job that nobody asked for is cancelled
VERDICT = timedelta(minutes=12)  # within which the end of a job is judged
MAX_RESUMES = 5  # of a preempted run
MAX_SCHEDULERS = 1  # of sweeps


class Violation(AssertionError):
    """Something that must hold does not; `name` is the invariant's."""

    def __init__(self, name: str, detail: str = "") -> None:
        self.name, self.detail = name, detail
        super().__init__(f"{name}: {detail}" if detail else name)


def always(world: World, max_jobs: int) -> Iterator[Violation]:
    """Yield what is wrong now."""
    yield from _jobs(world)
    yield from _items(world)
    yield from _events(world)
    opened = {launch.key: launch.entry for launch in world.launches("open") if launch.entry.state is not State.ENDED}
    ours = [item for item in world.wandb.everything() if item.acker == "us" and item.key in opened]
    schedulers = sorted(item.id for item in ours if opened[item.key].scheduler)
    jobs = sorted(item.id for item in ours if not opened[item.key].scheduler)
    if len(jobs) > max_jobs:
        yield Violation("more launches are open than max_jobs", f"{', '.join(jobs)}: more than {max_jobs}")
    if len(schedulers) > MAX_SCHEDULERS:
        yield Violation("more schedulers are open than max_schedulers", ", ".join(schedulers))
    for name in world.wrongs:
        yield Violation("a job was cancelled though it only waited for quota", name)
    for where in world.leaks:
        yield Violation("a key can be read", where)


def _jobs(world: World) -> Iterator[Violation]:
    """Yield what is wrong with the jobs that there are."""
    jobs = [job for job in world.vertex.jobs.values() if job.name not in world.vertex.unasked]
    attempts = Counter((job.key, job.attempt) for job in jobs)
    for key, attempt in (one for one, count in attempts.items() if count > 1):
        yield Violation("two CustomJobs of one attempt", f"{key} attempt {attempt}")
    launched = Counter(job.key for job in jobs if not _may_be_followed(world, job))
    for key in (key for key, count in launched.items() if count > 1):
        yield Violation("two CustomJobs of one launch", key)
    images = {(job.key, world.vertex.images[name]) for name, job in world.vertex.jobs.items()}
    for key in (key for key, count in Counter(key for key, _ in images).items() if count > 1):
        yield Violation("two attempts of one launch run different code", key)
    for _, image in images:
        if "/built:" in image and image not in world.builder.images:
            yield Violation("a CustomJob without its image", image)
    for name in world.vertex.unasked:
        job = world.vertex.jobs[name]
        if job.state == "JOB_STATE_RUNNING" and job.created_at + UNASKED < world.now:
            yield Violation("an older job lives beside a newer one", name)
    if world.paused_at:
        for job in (job for job in jobs if job.created_at > world.paused_at + LEFT_OVER):
            yield Violation("launched while its queue was paused", job.name)
    for key, at in world.stopped_at.items():
        if any(job.key == key and job.attempt > 1 and job.created_at > at + LEFT_OVER for job in jobs):
            yield Violation("launched again after a stop", key)


def _items(world: World) -> Iterator[Violation]:
    """Yield what is wrong with an item at any time."""
    launched = {job.key for job in world.vertex.jobs.values()}
    owed = {launch.key for launch in world.launches("closed") if launch.entry.report_owed}
    for item in world.wandb.everything():
        if item.acker != "us" and item.key in launched:
            yield Violation("a CustomJob for an item that is not ours", item.id)
        if item.acker != "us" and (item.error or item.warning):
            yield Violation("a report for an item that is not ours", f"{item.id}: {item.error or item.warning}")
        if item.key in owed and item.state != "FAILED" and item.id in world.wandb.items:
            yield Violation("closed before its report", item.id)


def _events(world: World) -> Iterator[Violation]:
    """Yield what is wrong with the events of the topic: a reader keeps one of each id, and it may be any."""
    theirs = {item.key: item.id for item in world.wandb.everything() if item.acker == "them"}
    for key in world.kept.keys() & theirs:
        yield Violation("an event of a launch that is not ours", theirs[key])
    for launch in world.launches("closed"):
        if world.kept.get(launch.key, set()) != set(launch.events) and launch.key not in world.forgotten:
            yield Violation("the events that readers keep are not the history of the launch", launch.key)


def _may_be_followed(world: World, job: Job) -> bool:
    """Tell whether a launch may have another job after this one.

    Its machines were taken away or never found, or somebody deleted it, perhaps before its name was known to us.
    """
    never_ran = job.state == "JOB_STATE_CANCELLED" and not job.started_at
    return job.error in AGAIN or never_ran or job.name in world.vertex.deleted


def at_rest(world: World) -> bool:
    """Tell whether nothing is under way any more, but the ticks."""
    waits = any(item.state in ("PENDING", "LEASED") for item in world.wandb.items.values())
    return not (waits or any(world.launches("open")) or world.vertex.alive() or world.busy)


def in_the_end(world: World) -> Iterator[Violation]:
    """Yield what is wrong in a world at rest."""
    closed = {launch.key: launch for launch in world.launches("closed")}
    for item in world.wandb.items.values():
        if item.acker != "them":
            yield from _reports(world, item)
            if item.key not in closed:
                yield Violation("a launch is lost from the ledger", item.id)
    for launch in closed.values():
        sweep = launch.entry.run.run_id
        failed = launch.entry.scheduler and launch.entry.outcome is Outcome.FAILED
        if failed and world.wandb.sweeps.get(sweep) != "CANCELED":
            yield Violation("a sweep waits for a scheduler that has failed", sweep)
    for launch in closed.values():
        lost = launch.entry.outcome is Outcome.FAILED and launch.entry.resumes < MAX_RESUMES
        last = max((job for job in world.vertex.jobs.values() if job.key == launch.key), key=_attempt, default=None)
        steered = launch.key in world.stopped_at or launch.key in world.cancelled
        untouched = not steered and last and last.name not in world.vertex.deleted
        if (
            lost
            and untouched
            and last
            and last.error in AGAIN
            and not launch.entry.cancel_reason
            and not launch.entry.scheduler
        ):
            yield Violation("a launch ended though only its machines were missing", last.name)
    for launch in closed.values():
        if launch.key in world.cancelled and launch.entry.wish is None:
            yield Violation("a cancel was lost", launch.key)
    for key in world.requests:
        if key in world.dead_letters or key not in closed:
            yield Violation("a request was lost", key)


def _reports(world: World, item: Item) -> Iterator[Violation]:
    """Yield what is wrong with what an item's author sees."""
    run = world.wandb.runs.get(replace(world.run_of(item.key), run_id=item.run_name))
    if item.state == "FAILED" and not item.error:
        yield Violation("an item is FAILED without a message", item.id)
    if item.state == "FAILED" and run and run.state == "finished":
        yield Violation("an item is FAILED though its run finished", item.id)
    unseen = "_wandb_api_key" in item.run_spec or world.run_of(item.key) in world.wandb.hidden
    if item.state == "CLAIMED" and (run is None or not run.started) and not (unseen and item.warning):
        yield Violation("an item is left without a run and without a message", item.id)


def _attempt(job: Job) -> int:
    return job.attempt


def room(world: World, max_jobs: int) -> int:
    """Return how many more items could be launched, by what the world itself shows."""
    return max_jobs - sum(_needs_slot(world, launch.entry) for launch in world.launches("open"))


def waiting(world: World) -> list[str]:
    """Return the items that wait for nothing but a poll."""
    held = {launch.entry.queue for launch in world.launches("open") if launch.entry.holds_queue}
    items = () if world.paused_at else world.wandb.items.values()
    return [i.id for i in items if i.state == "PENDING" and i.queue not in held and "uri" not in i.run_spec]


def _needs_slot(world: World, entry: Entry) -> bool:
    """Tell whether a launch has, or will have, a job; not where its item was removed, refused or never acked."""
    if not entry.from_queue or entry.scheduler or entry.state is State.ENDED:
        return False
    if world.vertex.alive(entry.key) or entry.state is State.SUBMITTING:  # a claim may have made a job
        return True
    item = world.wandb.items.get(entry.item_id)
    ended = [job.updated_at or job.created_at for job in world.vertex.jobs.values() if job.key == entry.key]
    judged = bool(ended) and entry.state is State.SUBMITTED and max(ended) + VERDICT < world.now
    return item is not None and not item.problem and item.state != "PENDING" and not judged


def works(world: World) -> bool:
    """Tell whether work goes on that keeps a deployment warm."""
    pending = any(job.state in ("JOB_STATE_PENDING", "JOB_STATE_CANCELLING") for job in world.vertex.alive())
    stopping = any(launch.entry.cancel_reason or launch.entry.stop_seen_at for launch in world.launches("open"))
    return bool(pending or stopping)


def left(world: World) -> str:
    """Say what is still under way in a world that does not come to rest."""
    items = [f"{item.id} {item.state}" for item in world.wandb.items.values()]
    entries = [f"{launch.key} {launch.entry.state}" for launch in world.launches("open")]
    jobs = [f"{job.name.rpartition('/')[2]} {job.state}" for job in world.vertex.alive()]
    return f"items: {', '.join(items)}; open: {', '.join(entries)}; jobs: {', '.join(jobs)}"
