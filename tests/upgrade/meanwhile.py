"""What is right for an item of a feature that an old function does not know, while that function serves.

The new functions cannot repair it: the item has ended, or the old function has refused it, before they see it. Its one
other right ending is what the old version promised for it. It never has a CustomJob too many, and its author reads why.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.audit import Row
from tests.chaos.items import End


@dataclass(frozen=True)
class Meanwhile:
    """The ending of these kinds while `function` is of a version whose code lacks `sign`."""

    kinds: tuple[str, ...]
    functions: tuple[str, ...]
    sign: str
    ends: frozenset[End]
    why: str
    jobs: int = 1  # the most CustomJobs, each of its own attempt

    def unknown_to(self, source: Path) -> bool:
        """Tell whether the code of a version does not know the feature."""
        return not any(self.sign in path.read_text(encoding="utf-8") for path in source.rglob("*.py"))


MEANWHILE = (
    Meanwhile(
        ("preempted", "unlucky"),
        ("status",),
        "resumes",
        frozenset({("CLAIMED", "FAILED", "preempted")}),
        "a status without resumes reports a preempted run as it ended; W&B shows it as preempted",
    ),
    Meanwhile(
        ("stockout",),
        ("status",),
        "resumes",
        frozenset({("CLAIMED", "FAILED", "failed")}),
        "a status without resumes knows no lost machine; W&B shows the run as failed",
    ),
    Meanwhile(
        ("internal",),
        ("status",),
        "broken",
        frozenset({("FAILED", "FAILED", "")}),
        "a status that cannot tell Vertex AI's own failure reports it with Vertex AI's words",
    ),
    Meanwhile(
        ("climbs",),
        ("submit", "status"),
        "LAUNCH_LADDER",
        frozenset({("FAILED", "FAILED", "")}),
        "without a ladder the item has one place; its author reads that it has no machines",
    ),
    Meanwhile(
        ("climbs",),
        ("submit",),
        "LAUNCH_LADDER",
        frozenset({("CLAIMED", "SUCCEEDED", "finished")}),
        "an item without a ladder waits for machines in its one place, with a job for each try, until submit is new",
        jobs=20,
    ),
    Meanwhile(
        ("build",),
        ("poll", "submit"),
        "cloudbuild",
        frozenset({("FAILED", "", "")}),
        "a submit without builds refuses a job of code, and names the field",
    ),
    Meanwhile(
        ("sweep",),
        ("poll", "submit"),
        "placeholder-uri-scheduler",
        frozenset({("FAILED", "", "")}),
        "a submit without sweeps refuses a scheduler, which has no image, and names the field",
    ),
    Meanwhile(
        ("of-sweep",),
        ("poll", "submit"),
        "placeholder-uri-scheduler",
        frozenset({("", "", "")}),
        "a scheduler that never ran has enqueued nothing",
    ),
    Meanwhile(
        ("of-queue",),
        ("submit",),
        "defaultResourceConfigID",
        frozenset({("", "", "")}),
        "a submit that does not read queues refuses a request without resource_args, and its log names the field",
    ),
)


def right_meanwhile(row: Row, source: Path, old: Collection[str]) -> str:
    """Return why this ending is right while these functions are of this version; empty if it is not."""
    if len(set(row.attempts)) < len(row.jobs) or (row.state == "FAILED" and not row.message):
        return ""
    for each in MEANWHILE:
        ends_so = row.item.kind.name in each.kinds and row.end in each.ends and len(row.jobs) <= each.jobs
        if ends_so and set(old) & set(each.functions) and each.unknown_to(source):
            return each.why
    return ""
