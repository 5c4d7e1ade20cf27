"""Every log line of the product: its level, its fields, and whether it has a stack trace.

Operators search logs for these. A fixture of every test compares each line that the test causes.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

# event: level, fields; `?` ends one that may be absent, `+` stands for a stack trace, `+?` for one that may be absent
LINES = {
    "agent.lease_lost": "WARNING holder",
    "agent.unreadable_note": "ERROR object problem",
    "launch.building": "INFO launch_key attempt? why?",
    "launch.closed": "INFO launch_key outcome queue source attempts total_seconds capacity_seconds? quota_seconds?"
    " build_seconds? queued_seconds? pending_seconds? running_seconds?",
    "launch.claim_lost": "ERROR launch_key",
    "launch.claimed_elsewhere": "INFO launch_key",
    "launch.denied": "ERROR launch_key attempt why",
    "launch.found": "INFO launch_key attempt job",
    "launch.gave_up": "ERROR launch_key attempt why",
    "launch.late_duplicate": "INFO launch_key",
    "launch.looked": "INFO launch_key attempt why?",
    "launch.needs_newer": "WARNING launch_key problem",
    "launch.nothing_to_do": "INFO launch_key state",
    "launch.outcome_unknown": "INFO launch_key attempt why",
    "launch.paced": "INFO launch_key attempt why",
    "launch.rejected": "WARNING launch_key attempt? why",
    "launch.retry": "INFO launch_key attempt? why",
    "launch.submitted": "INFO launch_key attempt job",
    "launch.unforeseen_error": "ERROR launch_key +",
    "launch.unknown": "INFO launch_key",
    "launch.waiting": "WARNING launch_key attempt? why",
    "ledger.changed_while_closing": "INFO launch_key",
    "ledger.closed_before": "INFO launch_key",
    "ledger.no_server_time": "WARNING date",
    "ledger.unreadable_entry": "ERROR object problem",
    "pace.learned_elsewhere": "INFO object",
    "pace.unreadable": "WARNING object",
    "poll.again": "INFO launch_key",
    "poll.failed": "ERROR where problem +?",
    "poll.item": "INFO launch_key queue item left",
    "poll.item_failed": "ERROR queue item +",
    "poll.item_unreadable": "ERROR queue item +",
    "poll.item_unsettled": "ERROR queue item +",
    "poll.not_counted": "ERROR queue +",
    "poll.not_written": "ERROR queue item +",
    "poll.pop_failed": "ERROR queue +",
    "poll.refused": "WARNING launch_key why",
    "poll.registered": "INFO agent_id queues",
    "request.key_reused": "ERROR launch_key source idempotency_key",
    "request.not_storable": "ERROR launch_key source idempotency_key +",
    "settings.unknown": "WARNING place names",
    "settings.unusable": "WARNING problem",
    "status.acted": "INFO launch_key decision job",
    "status.doubled": "CRITICAL launch_key attempt job problem",
    "status.failed": "ERROR where +",
    "status.image_not_visible": "WARNING image problem",
    "status.never_told": "ERROR launch_key problem +",
    "status.no_excerpt": "WARNING job? build? problem",
    "status.orphan": "ERROR launch_key job state",
    "status.postponed": "ERROR problem",
    "status.stuck": "ERROR launch_key problem",
    "status.sweep_not_cancelled": "ERROR launch_key problem +",
    "status.unknown_job_state": "WARNING state",
    "submit.failed": "ERROR +",
    "submit.unpaced": "WARNING launch_key problem",
    "submit.not_a_message": "ERROR event problem +",
    "tick.done": "INFO open_launches errors polled? why_not? agent_id? launched? refused? left? held? full?"
    " jobs_listed? done? orphans? function problems queued? submitting? submitted? ended? oldest_seconds? owed?"
    " doubled? closed? headroom? key_refused? held_queues? ticks? pending? stopping? young? freed?",
    "tick.failed": "ERROR +",
    "vertex.error_after_create": "WARNING job error",
    "wandb.ack_refused": "INFO item because",
    "wandb.agent_unknown": "WARNING agent_id because",
    "wandb.key_not_checked": "INFO because",
    "wandb.query_repeated": "INFO because",
    "wandb.report_not_needed": "INFO item queue operation because",
    "wandb.report_refused": "WARNING item queue operation because",
    "wandb.unreadable_item": "WARNING queue item problem",
}
PRODUCT = ("functions", "shared")


@contextmanager
def compared() -> Iterator[None]:
    """Compare all lines of the block; raises AssertionError at its end."""
    odd: list[str] = []
    handler = _Comparing(odd)
    loggers = [logging.getLogger(name) for name in PRODUCT]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.removeHandler(handler)
    assert not odd, f"tests/log_lines.py describes other lines: {'; '.join(sorted(set(odd))[:5])}"


class _Comparing(logging.Handler):
    def __init__(self, odd: list[str]) -> None:
        super().__init__()
        self._odd = odd

    def emit(self, record: logging.LogRecord) -> None:
        """Note a line that the table does not describe."""
        fields = getattr(record, "fields", {})
        traced = bool(record.exc_info and record.exc_info[1])
        level, *words = LINES.get(str(record.msg), "unknown").split()
        needed = {word for word in words if not word.endswith("?")}
        shown = {*(fields or ()), *("+" if traced else "")}
        known = {word.removesuffix("?") for word in words}
        empty = {name for name in shown - {"+", "date"} if fields[name] in (None, "None")}
        if level != record.levelname or not needed <= shown <= known or empty:
            self._odd.append(f"{record.levelname} {record.msg}: {' '.join(sorted(shown))}, empty: {sorted(empty)}")
