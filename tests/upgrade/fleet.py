"""A stack whose functions come from two commits, and that is upgraded while items flow."""

import io
import itertools
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.ports import Ports
from deploy.local.project import FUNCTIONS, QUEUE
from deploy.local.stack import ROOT, START_SECONDS, Stack
from tests.chaos.audit import Audit, Waits
from tests.chaos.command import SETTINGS
from tests.chaos.items import Item, queue_config
from tests.chaos.outside import Outside
from tests.upgrade.items import LADDER, SHORTAGE, batch, press

Progress = Callable[[str], None]

# Which functions are new while the deployment has stopped half-way; all old and all new are no fleets.
FLEETS = tuple(new for number in (1, 2) for new in itertools.combinations(FUNCTIONS, number))
PATIENCE = 120.0  # seconds without any launch that ends


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
        archive.extractall(folder, filter="data")
    return folder


@dataclass
class Upgrade:
    """One upgrade: all functions old, then some new, then all."""

    folder: Path
    old: Path
    new: Sequence[str]  # the functions that are new while old and new work side by side
    kinds: Sequence[str] = ()  # names of the only kinds; empty: all
    say: Progress = lambda _: None
    items: list[Item] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    _pressed: set[str] = field(default_factory=set)

    def run(self) -> Audit:
        """Enqueue items in each phase; return what became of them."""
        with self.stack() as stack:
            stack.make_queue(QUEUE, queue_config(2))
            self._outside = Outside(stack, stack.ports.url("gcs"))
            self._phase(stack, "old", dict.fromkeys(FUNCTIONS, self.old), 0.2)
            mixed = {name: self.old for name in FUNCTIONS if name not in self.new}
            self._phase(stack, "mixed", mixed, 0.5)
            self._phase(stack, "new", {}, 1.0)
            return self._outside.audit(self.items, self.ids, Waits())

    def stack(self) -> Stack:
        """Return a stack whose functions are all old."""
        return Stack(
            self.folder, Ports.free(), {**SETTINGS, **LADDER, "LAUNCH_MAX_JOBS": "12"}, every=0.7, emulator=False,
            gcs_options=("--write-seconds", "0.2"), wandb_options=("--lease-seconds", "5"),
            vertex_options=("--pending-seconds", "0.1", "--shortage", SHORTAGE),
            pubsub_options=("--shape", "cloudevent"), attempts=20, sources=dict.fromkeys(FUNCTIONS, self.old),
        )  # fmt: skip

    def _phase(self, stack: Stack, phase: str, sources: Mapping[str, Path], share: float) -> None:
        """Serve these sources, enqueue a batch, and wait until this share of all launches has ended."""
        for name in FUNCTIONS:
            if stack.sources.get(name) != sources.get(name):
                self._switch(stack, name, sources.get(name))
        added = batch(phase, self.kinds)
        self.items += added
        for item in added:
            if item.kind.published:
                self._outside.publish(item)
            else:
                self.ids[item.name] = self._outside.push(item)
        wanted, ended, since = int(share * len(self.items)), -1, time.monotonic()
        while (now := len(self._outside.launches("closed/"))) < wanted or (share == 1 and self._busy()):
            self._pressed |= press(self._outside, self.items, self._pressed)
            if now != ended:
                ended, since = now, time.monotonic()
                self.say(f"{phase}: {ended} of {len(self.items)} launches have ended")
            if time.monotonic() - since > PATIENCE:
                return  # the audit names what is open
            time.sleep(0.3)

    def _busy(self) -> bool:
        return bool(self._outside.launches("open/"))

    def _switch(self, stack: Stack, name: str, source: Path | None) -> None:
        """Replace a function, as a deployment does; the old process dies at once."""
        stack.processes.kill(name)
        stack.sources.pop(name, None)
        if source:
            stack.sources[name] = source
        stack.start_function(name)
        stack.processes.await_port(name, getattr(stack.ports, name), time.monotonic() + START_SECONDS)
