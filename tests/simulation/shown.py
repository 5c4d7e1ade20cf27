"""Answers, as a reader of a trace wants to see them."""

from shared.core.launch import Launch
from shared.core.ports import AgentNote, ItemStatus, Job, RunStatus


def shown(answer: object) -> str:
    """Show what a reader of a trace needs of an answer."""
    match answer:
        case Launch(entry=entry):
            return f"{entry.state} attempt {entry.attempt}"
        case Job(name=name, state=state):
            return f"{name.rpartition('/')[2]} {state}"
        case AgentNote(holder=holder, lease_until=until):
            return f"{'held by' if until else 'left by'} {holder}"
        case dict():
            return ", ".join(f"{getattr(key, 'run_id', key)} {shown(value)}" for key, value in answer.items()) or "none"
        case list() | tuple():
            return ", ".join(shown(one) for one in answer if one not in ("", 0)) or "none"
        case RunStatus(state=state, stopped=stopped):
            return f"{state}, stopped" if stopped else state
        case ItemStatus(state=state, run_name=name):
            return f"{state} {name}".strip()
    return " ".join(str(answer).split())[:160]
