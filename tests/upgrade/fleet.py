"""A stack whose functions come from two commits, and that is upgraded while items flow."""

import io
import itertools
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.archives import unpack
from deploy.local.ports import Ports
from deploy.local.project import BUILDING, FUNCTIONS, QUEUE
from deploy.local.stack import ROOT, START_SECONDS, Stack
from tests.chaos.audit import Audit, Row, Waits
from tests.chaos.command import SETTINGS as QUICK
from tests.chaos.items import Item, queue_config
from tests.chaos.outside import Outside
from tests.upgrade.items import CROSSING, SETTINGS, SHORTAGE, batch
from tests.upgrade.meanwhile import right_meanwhile
from tests.upgrade.players import Players

Progress = Callable[[str], None]

# Which functions are new while the deployment has stopped half-way; all old and all new are no fleets.
FLEETS = tuple(new for number in (1, 2) for new in itertools.combinations(FUNCTIONS, number))
PHASES = ("old", "mixed", "new")
SHARES = {"old": 0.2, "mixed": 0.5, "new": 1.0}  # of all launches so far that have ended when the next phase begins
PATIENCE = 120.0  # seconds without any launch that ends, when all functions are new
HALF_WAY = 15.0  # before that: an old poll lets sweeps fill its slots, for example, until it is replaced
HOLD = 10.0  # seconds to wait for the call in whose middle a function is replaced
# The call of each function that leaves the most behind: a launch QUEUED and not acked as far as it knows; a launch
# SUBMITTING whose job exists; a launch ENDED whose report W&B has.
CUTS = {
    "poll": ("wandb", "ackRunQueueItem"),
    "submit": ("vertex", "^POST .*/customJobs\\n"),
    "status": ("wandb", "failRunQueueItem"),
}


class Unavailable(Exception):
    """This checkout does not have the commit."""


def checked_out(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder; the project's own checkout does not change.

    Raises:
        Unavailable: git is missing, or the checkout has no such commit.
    """
    try:
        found = subprocess.run(
            ["git", "-C", str(ROOT), "archive", commit, "main.py", "functions", "shared"],
            check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        raise Unavailable("git is not installed") from None
    except subprocess.CalledProcessError as exc:
        raise Unavailable(exc.stderr.decode(errors="replace").strip().splitlines()[-1]) from None
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        unpack(archive, folder)
    return folder


@dataclass
class Result:
    """What became of the items of an upgrade."""

    audit: Audit
    wrong: Sequence[tuple[Row, str]]  # with what is wrong
    meanwhile: Mapping[str, str]  # by item: why another ending is right, which the old version promised
    cut: Sequence[str]  # the functions that were replaced in the middle of a call

    @property
    def left(self) -> list[str]:
        """Return what belongs to no item, or is not over."""
        return [*self.audit.strays, *self.audit.open_launches, *self.audit.jobs_alive]


@dataclass
class Upgrade:
    """One upgrade: all functions old, then some new, then all."""

    folder: Path
    old: Path
    new: Sequence[str]  # the functions that are new while old and new work side by side
    kinds: Sequence[str] = ()  # names of the only kinds; empty: all
    say: Progress = lambda _: None
    phases: Sequence[str] = PHASES
    _phase_of: dict[str, str] = field(default_factory=dict)  # by item
    _items: list[Item] = field(default_factory=list)
    _cut: list[str] = field(default_factory=list)

    def run(self) -> Result:
        """Enqueue items in each phase; return what became of them."""
        with self.stack() as stack:
            stack.make_queue(QUEUE, queue_config(2))
            self._outside = Outside(stack, stack.ports.url("gcs"))
            self._players = Players(stack, self._outside)
            batches = {phase: batch(phase, self.kinds) for phase in self.phases}
            self._players.make_jobs(item for items in batches.values() for item in items)
            for phase, items in batches.items():
                self._switch(stack, phase)
                self._enqueue(items, phase)
                self._wait(phase, SHARES[phase])
            return self._result()

    def stack(self) -> Stack:
        """Return a stack whose functions are those of the first phase."""
        return Stack(
            self.folder, Ports.free(), {**QUICK, **BUILDING, **SETTINGS}, every=0.5, emulator=False,
            gcs_options=("--write-seconds", "0.1"), wandb_options=("--lease-seconds", "5"),
            vertex_options=("--pending-seconds", "0.1", "--shortage", SHORTAGE),
            pubsub_options=("--shape", "cloudevent"), attempts=20,
            sources=dict.fromkeys(self._old_in(self.phases[0]), self.old),
        )  # fmt: skip

    def _old_in(self, phase: str) -> list[str]:
        """Return the functions that are old in a phase."""
        if phase == "new":
            return []
        return [name for name in FUNCTIONS if phase == "old" or name not in self.new]

    def _switch(self, stack: Stack, phase: str) -> None:
        """Replace the functions that are new in a phase, while items arrive that every version knows."""
        replaced = [name for name in FUNCTIONS if name in stack.sources and name not in self._old_in(phase)]
        if replaced:
            self._enqueue(batch(f"before-{phase}", CROSSING), phase)
        for name in replaced:
            self._replace(stack, name)

    def _enqueue(self, items: Sequence[Item], phase: str) -> None:
        self._items += items
        self._phase_of |= dict.fromkeys((item.name for item in items), phase)
        self._players.enqueue(items)

    def _wait(self, phase: str, share: float) -> None:
        """Wait until this share of all launches has ended; in the last phase, until none is open."""
        wanted, ended, since = int(share * len(self._items)), -1, time.monotonic()
        while (now := len(self._outside.launches("closed/"))) < wanted or (share == 1 and self._busy()):
            self._players.play(self._items)
            if now != ended:
                ended, since = now, time.monotonic()
                self.say(f"{phase}: {ended} of {len(self._items)} launches have ended")
            if time.monotonic() - since > (PATIENCE if share == 1 else HALF_WAY):
                return  # the audit names what is open
            time.sleep(0.2)

    def _busy(self) -> bool:
        queued = (item["state"] in ("PENDING", "LEASED") for item in self._outside.items())
        return bool(self._outside.launches("open/")) or any(queued)

    def _replace(self, stack: Stack, name: str) -> None:
        """Replace an old function in the middle of a call, as a deployment does at the worst moment."""
        server, pattern = CUTS[name]
        self._outside.control(server, {"hold": {"pattern": pattern, "worked": True}})
        until = time.monotonic() + HOLD
        while not (held := self._outside.held(server)) and time.monotonic() < until:
            self._players.play(self._items)
            time.sleep(0.05)
        stack.processes.kill(name)
        self._outside.control(server, {"hold": None})
        self._cut += [name] * held
        stack.sources.pop(name)
        stack.start_function(name)
        stack.processes.await_port(name, getattr(stack.ports, name), time.monotonic() + START_SECONDS)

    def _result(self) -> Result:
        found = self._outside.audit(self._items, self._players.ids, Waits())
        wrong, meanwhile = [], {}
        for row in found.rows:
            if not row.verdict:
                continue
            if why := right_meanwhile(row, self.old, self._old_in(self._phase_of[row.item.name])):
                meanwhile[row.item.name] = why
            else:
                wrong.append((row, row.verdict))
        return Result(found, wrong, meanwhile, self._cut)
