"""What went wrong, in terms of what has to happen next.

An adapter turns whatever its SDK raises into one of these (`raise ... from exc`); only an entry turns them into an HTTP
answer. docs/reference/errors.md says what each means for a launch and what its author sees.
"""

from datetime import timedelta

from shared.core.shortage import Shortage


class LaunchError(Exception):
    """The base of all errors that this project raises on purpose."""


class Reject(LaunchError):
    """The request itself is wrong and no repetition helps: the author has to change it.

    The message is read by the author on W&B's page, so it names the field, what was found there, and the fix.
    """

    def __init__(self, field: str, problem: str, fix: str = "") -> None:
        self.field = field
        super().__init__(f"{field}: {problem}." + (f" {fix}" if fix else ""))


class Capacity(LaunchError):
    """Vertex AI has no room now (a quota, a stockout): the launch waits in the ledger, however long.

    `at_least` is how long Google asks to wait.
    """

    def __init__(
        self, said: str, shortage: Shortage = Shortage.AMOUNT, at_least: timedelta = timedelta(0)
    ) -> None:
        self.shortage = shortage
        self.at_least = at_least
        super().__init__(said)


class Retry(LaunchError):
    """An outside system failed in passing and definitely did nothing: try again, a bounded number of times."""


class OutOfTime(Retry):
    """This invocation has used up its time: it must not begin what it cannot take back."""


class Denied(LaunchError):
    """A credential or a permission is missing (401, 403): an operator has to mend it, retried meanwhile."""


class KeyRefused(Denied):
    """W&B does not take this deployment's key (401): no launch is to blame, each waits for a new key, however long."""


class OutcomeUnknown(LaunchError):
    """A call may or may not have had its effect: look before repeating it."""


class Conflict(LaunchError):
    """Somebody else changed the record since it was read: read it again and decide anew."""


class NotAMessage(LaunchError):
    """A message on the topic is neither a ticket nor a request: nobody to tell, it goes to the dead letters."""


class KeyReused(NotAMessage):
    """A request has the source and the idempotency key of an earlier one, and other content: its publisher errs."""


class SettingsError(LaunchError):
    """Settings are missing or wrong; the message lists every one of them."""
