"""The errors of this project, each named by what must happen next.

An adapter converts the errors of its SDK into these (`raise ... from exc`); only a handler converts
them into an HTTP answer. docs/reference/errors.md says what each means for a launch.
"""

from datetime import timedelta

from shared.core.shortage import Shortage


def message_of(exc: BaseException) -> str:
    """Return an error's message; its type if it has none.

    Some errors cannot make their text: one of an integer with more digits than Python prints.
    """
    try:
        message = str(exc)
    except Exception:  # noqa: BLE001 - any error can come from there
        message = ""
    return message if message.strip() else type(exc).__name__


def described(exc: BaseException) -> str:
    """Return an error as `Type: message`, for logs and reports; its type if it has no message."""
    name, message = type(exc).__name__, message_of(exc)
    return name if message == name else f"{name}: {message}"


class LaunchError(Exception):
    """The base of all errors that this project raises on purpose."""


class Reject(LaunchError):
    """The request is wrong, and repeating it does not help: its author must change it.

    The author reads the message at the item, so it names the field, the value found and the fix.
    """

    def __init__(self, field: str, problem: str, fix: str = "") -> None:
        self.field = field
        super().__init__(f"{field}: {problem}." + (f" {fix}" if fix else ""))


class Capacity(LaunchError):
    """Vertex AI has no capacity now (a quota, a stockout): the launch waits without a bound.

    `at_least` is how long Google asks to wait. `limit` is the quota of calls a minute that a
    refusal names; 0 if it names none.
    """

    def __init__(
        self,
        reason: str,
        shortage: Shortage = Shortage.AMOUNT,
        at_least: timedelta = timedelta(0),
        limit: int = 0,
    ) -> None:
        self.shortage = shortage
        self.at_least = at_least
        self.limit = limit
        super().__init__(reason)


class Retry(LaunchError):
    """An outside system failed temporarily and changed nothing: repeat, with a bound."""


class OutOfTime(Retry):
    """The budget of this invocation is spent: it must not begin an action it cannot repeat."""


class Denied(LaunchError):
    """A credential or permission is missing (401, 403): an operator must add it. Repeated."""


class KeyRefused(Denied):
    """W&B refuses this deployment's key (401): launches wait for a new key, without a bound."""


class OutcomeUnknown(LaunchError):
    """A call may or may not have had its effect: look before you repeat it."""


class UnreadableRecord(Retry):
    """This version cannot read a record: a newer one can, or an operator has to repair it."""


class NewerRecord(UnreadableRecord):
    """A record needs a newer version: this one leaves it as it is, open and in its slot."""


class Conflict(LaunchError):
    """Another process has changed the record since it was read: read and decide again."""


class NotAMessage(LaunchError):
    """A message is neither a ticket nor a request: it goes to the dead-letter topic."""


class KeyReused(NotAMessage):
    """A request repeats an earlier source and idempotency key with other content."""


class SettingsError(LaunchError):
    """Settings are missing or wrong; the message lists all of them."""
