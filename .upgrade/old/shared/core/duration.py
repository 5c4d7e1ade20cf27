"""Durations, for people."""

from datetime import timedelta


def span(duration: timedelta) -> str:
    """Return a duration as text: 42s, 2m46s, 3h05m, 2d4h."""
    seconds = max(0, int(duration.total_seconds()))
    minutes, hours = seconds // 60, seconds // 3600
    if not minutes:
        return f"{seconds}s"
    if not hours:
        return f"{minutes}m{seconds % 60:02}s"
    return f"{hours}h{minutes % 60:02}m" if hours < 48 else f"{hours // 24}d{hours % 24}h"
