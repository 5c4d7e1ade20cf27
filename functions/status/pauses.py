"""Which launches wait because a person has paused their queue."""

from collections.abc import Mapping, Sequence

from functions.status.report import Report
from shared.core.launch import Entry, State
from shared.core.pause import pause_of
from shared.core.ports import AgentBook, AgentNote

UNKNOWN = ""  # no notice: the next tick reads the note again


def paused(agents: AgentBook | None, entries: Sequence[Entry], report: Report) -> Mapping[str, str]:
    """Return a notice for each launch whose ticket a pause withholds, by key; never raises.

    An unreadable note withholds tickets too: it may contain a pause.
    """
    waiting = [entry for entry in entries if entry.state is State.QUEUED and entry.queue_name]
    if agents is None or not waiting:
        return {}
    try:
        note = agents.read() or AgentNote("")
    except Exception as exc:  # noqa: BLE001 - the other launches' actions go on
        report.failed("the agent's note", exc)
        return {entry.key: UNKNOWN for entry in waiting}
    pauses = {entry.key: pause_of(entry.queue_name, note.paused) for entry in waiting}
    ours = {entry.key for entry in waiting if note.entity in ("", entry.queue_entity)}
    return {
        key: f"Waiting: Paused {pause}." for key, pause in pauses.items() if pause and key in ours
    }
