"""Texts and times of the page."""

from datetime import UTC, datetime

from deploy.operate.plain import one_line
from shared.core.duration import span


def lines(text: str) -> str:
    """Return a text without characters that hide, reorder or pile up; its lines stay lines."""
    if text.isascii() and text.isprintable():
        return text
    return "\n".join(one_line(line) for line in text.splitlines())


def relative(at: datetime, now: datetime) -> str:
    """Return a time as people say it: `4m12s ago`, `in 30s`, `now`."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{span(now - at)} ago" if seconds > 0 else f"in {span(at - now)}"


def stamp(at: datetime) -> str:
    """Return the exact time: `2026-11-26 03:10:00 UTC`."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def machine_time(at: datetime) -> str:
    """Return the time for the attribute `datetime`."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, 11th."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if 10 <= number % 100 <= 20 else ending}"
