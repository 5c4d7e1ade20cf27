"""Keep one agent registered in W&B for our queues, and obey its page."""

import enum
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from functions.poll.report import Report
from shared.core.errors import KeyRefused, LaunchError, Retry, SettingsError
from shared.core.ports import AgentNote, RunQueue

log = logging.getLogger(__name__)

PATIENCE = 3  # consecutive calls in which W&B may not confirm the agent
SELDOM = 60  # afterwards, one call in this many registers another agent
START = "`vertex-launch agent start` lets it poll again"
STOPPED = f"this agent is stopped; {START}"


class _Answer(enum.Enum):
    """W&B's answer to a heartbeat."""

    GO = enum.auto()
    STOP = enum.auto()
    UNKNOWN = enum.auto()  # W&B knows no such agent, none is registered, or W&B did not answer


@dataclass(frozen=True, slots=True)
class Agent:
    """Our agent; another W&B, entity or list of queues needs another agent."""

    run_queue: RunQueue
    base_url: str
    entity: str
    queues: tuple[str, ...]
    config: Mapping[str, Any]

    def show(
        self, note: AgentNote, report: Report, hold: Callable[[], None]
    ) -> tuple[AgentNote, frozenset[str]]:
        """Show the agent as active; return its note, and the queues that W&B does not have.

        Calls `hold` before it registers an agent: one poll at a time does.

        Sets `report.polled` (whether to pop) and `report.agent_id`. Registers an agent that W&B
        does not know. If that fails, poll pops without an agent, which W&B allows.

        Raises:
            Retry, Denied: W&B gives no answer about the agent and none about its queues.
            KeyRefused, SettingsError: W&B refuses all calls.
        """
        if (note.base_url, note.entity, note.queues) != (self.base_url, self.entity, self.queues):
            note = replace(note, base_url=self.base_url, entity=self.entity, queues=self.queues)
            note = replace(note, agent_id="", missing=(), failures=0)
        if note.stopped:
            return _not_polled(note, report, STOPPED)
        answer, silence = self._heartbeat(note, report)
        if answer is _Answer.STOP:
            note = replace(note, failures=0)
            return _not_polled(note, report, f"W&B asks this agent to stop polling; {START}")
        confirmed = answer is _Answer.GO
        doubted = bool(note.agent_id or note.failures)
        note = replace(note, failures=note.failures + 1 if doubted and not confirmed else 0)
        if confirmed and not note.missing:
            report.agent_id = note.agent_id
            return note, frozenset()
        known = self._known_queues(report)
        if silence and known is None:
            raise silence
        if silence and note.failures < PATIENCE:
            why = "W&B does not answer whether this agent must stop polling"
            return _not_polled(note, report, why)
        missing = frozenset(note.missing if known is None else set(self.queues) - known)
        for name in sorted(missing):
            fix = "Create it in W&B, or remove it from LAUNCH_QUEUES (queues in launch-config.yaml)"
            problem = f"{self.entity} has no queue of this name that our key can see. {fix}"
            report.failed(f"queue {name}", problem)
        note = note if confirmed else replace(note, agent_id="")
        note = note if known is None else self._registered(note, missing, report, hold)
        report.agent_id = note.agent_id
        return note, missing

    def _heartbeat(self, note: AgentNote, report: Report) -> tuple[_Answer, LaunchError | None]:
        """Return W&B's answer, and the error if there is none."""
        if not note.agent_id:
            return _Answer.UNKNOWN, None
        try:
            stop = self.run_queue.heartbeat(note.agent_id, running=report.open_launches > 0)
        except (KeyRefused, SettingsError):
            raise
        except Exception as exc:  # noqa: BLE001 - a garbled answer is no answer
            report.failed("agent", exc, exc)
            error = exc if isinstance(exc, LaunchError) else Retry(f"agent: {type(exc).__name__}")
            return _Answer.UNKNOWN, error
        if stop is None:
            return _Answer.UNKNOWN, None
        return (_Answer.STOP if stop else _Answer.GO), None

    def _known_queues(self, report: Report) -> frozenset[str] | None:
        """Return the queues that W&B has; None without an answer: each pop then gets its own."""
        try:
            return self.run_queue.known_queues(self.entity)
        except (KeyRefused, SettingsError):
            raise
        except Exception as exc:  # noqa: BLE001 - a garbled answer is no answer
            report.failed("agent", exc, exc)
            return None

    def _registered(
        self,
        note: AgentNote,
        missing: frozenset[str],
        report: Report,
        hold: Callable[[], None],
    ) -> AgentNote:
        """Return the note of an agent for all queues that W&B has; registers one if necessary."""
        if note.agent_id and missing >= frozenset(note.missing):
            return note  # no queue has appeared since it was registered
        if note.failures > PATIENCE and note.failures % SELDOM:
            problem = "W&B knows none of the agents that it registered. Poll pops without an agent"
            report.failed("agent", problem)
            return note
        present = tuple(name for name in self.queues if name not in missing)
        if not present:
            return note
        hold()
        try:
            agent_id = self.run_queue.register(self.entity, present, self.config)
        except (KeyRefused, SettingsError):
            raise
        except Exception as exc:  # noqa: BLE001 - a garbled answer is no answer
            report.failed("agent", exc, exc)
            return note
        fields = {"agent_id": agent_id, "queues": list(present)}
        log.info("poll.registered", extra={"fields": fields})
        absent = tuple(name for name in self.queues if name in missing)
        return replace(note, agent_id=agent_id, missing=absent)


def _not_polled(note: AgentNote, report: Report, why: str) -> tuple[AgentNote, frozenset[str]]:
    report.polled, report.why_not, report.agent_id = False, why, note.agent_id
    return note, frozenset()
