"""Keep one agent registered in W&B for our queues, and do what its page asks."""

import enum
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from functions.poll.report import Report
from shared.core.errors import KeyRefused, LaunchError, Retry, SettingsError
from shared.core.ports import AgentNote, RunQueue

log = logging.getLogger(__name__)

PATIENCE = 3  # calls in a row in which W&B may leave a heartbeat unanswered, or forget the agent that it registered
SELDOM = 60  # afterwards one call in so many registers another: a W&B that shows no agents is not flooded with them
START = "`python -m deploy agent start` lets it poll again"


class _Heard(enum.Enum):
    """What W&B answers to a heartbeat."""

    GO = enum.auto()
    STOP = enum.auto()
    UNKNOWN = (
        enum.auto()
    )  # it knows no such agent, none was registered yet, or it could not be asked


@dataclass(frozen=True, slots=True)
class Agent:
    """Our agent, as the settings describe it: another W&B, entity or list of queues means another agent."""

    run_queue: RunQueue
    base_url: str
    entity: str
    queues: tuple[str, ...]
    config: Mapping[str, Any]

    def show(self, note: AgentNote, report: Report) -> tuple[AgentNote, frozenset[str]]:
        """Show the agent as active; return what is known of it, and the queues that W&B does not have.

        `report.polled` tells whether the queues may be popped, `report.agent_id` as whom. An agent that W&B does not
        know is registered anew. If that fails, items are popped without an agent, which W&B allows.

        Raises:
            Retry, Denied: W&B answers neither about the agent nor about its queues.
            KeyRefused, SettingsError: nothing can be asked of W&B.
        """
        if (note.base_url, note.entity, note.queues) != (self.base_url, self.entity, self.queues):
            note = replace(note, base_url=self.base_url, entity=self.entity, queues=self.queues)
            note = replace(note, agent_id="", missing=(), failures=0)
        if note.stopped:
            return _not_polled(note, report, f"this agent is stopped; {START}")
        heard, silence = self._heartbeat(note, report)
        if heard is _Heard.STOP:
            return _not_polled(
                replace(note, failures=0), report, f"W&B asks this agent to stop polling; {START}"
            )
        confirmed = heard is _Heard.GO
        doubted = bool(note.agent_id or note.failures)
        note = replace(note, failures=note.failures + 1 if doubted and not confirmed else 0)
        if confirmed and not note.missing:
            report.agent_id = note.agent_id
            return note, frozenset()
        known = self._known_queues(report)
        if silence and known is None:
            raise silence
        if silence and note.failures < PATIENCE:
            return _not_polled(
                note, report, "W&B does not say whether this agent should stop polling"
            )
        missing = frozenset(note.missing if known is None else set(self.queues) - known)
        for name in sorted(missing):
            fix = "Create it in W&B, or remove it from LAUNCH_QUEUES (queues in launch-config.yaml)"
            report.failed(
                f"queue {name}", f"{self.entity} has no such queue that our key can see. {fix}"
            )
        note = note if confirmed else replace(note, agent_id="")
        note = note if known is None else self._registered(note, missing, report)
        report.agent_id = note.agent_id
        return note, missing

    def _heartbeat(self, note: AgentNote, report: Report) -> tuple[_Heard, LaunchError | None]:
        """Return what W&B answers, and why it could not be asked."""
        if not note.agent_id:
            return _Heard.UNKNOWN, None
        try:
            stop = self.run_queue.heartbeat(note.agent_id, running=report.open_launches > 0)
        except (KeyRefused, SettingsError):
            raise
        except Exception as exc:  # noqa: BLE001 - a garbled answer says no more than none
            report.failed("agent", exc, exc)
            return _Heard.UNKNOWN, exc if isinstance(exc, LaunchError) else Retry(
                f"agent: {type(exc).__name__}"
            )
        return (_Heard.UNKNOWN if stop is None else _Heard.STOP if stop else _Heard.GO), None

    def _known_queues(self, report: Report) -> frozenset[str] | None:
        """Return the queues that W&B has; None if it does not say: each pop then has its own answer."""
        try:
            return self.run_queue.known_queues(self.entity)
        except (KeyRefused, SettingsError):
            raise
        except Exception as exc:  # noqa: BLE001 - a garbled answer says no more than none
            report.failed("agent", exc, exc)
            return None

    def _registered(self, note: AgentNote, missing: frozenset[str], report: Report) -> AgentNote:
        """Return the note of an agent for all queues that W&B has; registers one unless the last one serves."""
        if note.agent_id and missing >= frozenset(note.missing):
            return note  # no queue has appeared since it was registered
        if note.failures > PATIENCE and note.failures % SELDOM:
            report.failed(
                "agent",
                "W&B knows none of the agents that it registered for us. Items are popped without",
            )
            return note
        present = tuple(name for name in self.queues if name not in missing)
        if not present:
            return note
        try:
            agent_id = self.run_queue.register(self.entity, present, self.config)
        except (KeyRefused, SettingsError):
            raise
        except Exception as exc:  # noqa: BLE001 - a garbled answer says no more than none
            report.failed("agent", exc, exc)
            return note
        log.info(
            "poll.registered", extra={"fields": {"agent_id": agent_id, "queues": list(present)}}
        )
        return replace(
            note, agent_id=agent_id, missing=tuple(name for name in self.queues if name in missing)
        )


def _not_polled(note: AgentNote, report: Report, why: str) -> tuple[AgentNote, frozenset[str]]:
    report.polled, report.why_not, report.agent_id = False, why, note.agent_id
    return note, frozenset()
