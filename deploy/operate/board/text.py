"""Texts of the page: hostile characters made visible, times and durations in a few words."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta

_PLAIN = re.compile(r"[\x20-\x7e]*")
_JOINERS = "\u200c\u200d"  # inside emoji, and in several scripts
# control, format (bidirectional overrides, tags), halves of pairs, private, unassigned, separators
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def visible(text: str) -> str:
    r"""Return a text whose invisible characters are written as escapes, such as \u202e."""
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_escape(each) if _is_hidden(each) else each for each in text)


def _is_hidden(character: str) -> bool:
    return character not in _JOINERS and unicodedata.category(character) in _HIDDEN


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return {"\n": " ", "\t": " "}.get(character, f"\\x{number:02x}")
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def duration(length: timedelta) -> str:
    """Return a duration in at most two units: `4m 12s`, `3d 2h`; a negative one is `0s`."""
    left = max(int(length.total_seconds()), 0)
    parts = []
    for unit, seconds in _UNITS:
        count, left = divmod(left, seconds)
        parts.append((count, unit))
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    two = [f"{count}{unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(two) or "0s"


def relative(at: datetime, now: datetime) -> str:
    """Return a time as people say it: `4m 12s ago`, `in 30s`, `now`."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{duration(now - at)} ago" if seconds > 0 else f"in {duration(at - now)}"


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
