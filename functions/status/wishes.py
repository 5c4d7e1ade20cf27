"""How a launch ends that a person cancelled with a command."""

from functions.status.decisions import Finish, Observed
from shared.core.launch import Outcome, Wish


def cancelled_by(wish: Wish) -> str:
    """Return the reason that the author of a cancelled launch reads."""
    return f"Cancelled by {wish.by} with `vertex-launch cancel`."


def ended_by_wish(wish: Wish, seen: Observed, detail: str = "") -> Finish:
    """End a launch that a person cancelled; an item whose run has started shows a warning."""
    reason = f"{cancelled_by(wish)} {detail}".rstrip()
    if seen.run and seen.run.started:
        return Finish(Outcome.CANCELLED, reason, report=False, warning=reason)
    return Finish(Outcome.CANCELLED, reason)
