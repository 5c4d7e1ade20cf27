"""The tables of an agent's keys, and of what stands around its file: those of `migrate`."""

from deploy.operate.agent_keys import KNOWN
from deploy.operate.agent_surroundings import CHART, MAP, OTHER_VARIABLE, VARIABLES
from deploy.reference.markdown import code, table

_HEAD = ("key", "what becomes of it", "meaning", "setting")


def launch_config_tables() -> str:
    """Return a table for each source of `migrate`."""
    keys = [
        (_names(known.keys, known.value), known.effect, known.meaning, _code(known.setting))
        for known in KNOWN
    ]
    parts = ["## The file\n\n" + table(_HEAD, keys)]
    places = {
        "## Values of the Helm chart": CHART,
        "## Other keys of a ConfigMap": MAP,
        "## Variables of the agent": VARIABLES,
    }
    for title, entries in places.items():
        rows = [(_names(e.keys), e.effect, e.meaning, _code(e.setting)) for e in entries]
        if entries is VARIABLES:
            other = OTHER_VARIABLE
            rows.append(("any other", other.effect, other.meaning, _code(other.setting)))
        parts.append(f"{title}\n\n" + table(_HEAD, rows))
    return "\n".join(parts)


def _names(keys: tuple[str, ...], value: object = None) -> str:
    named = ", ".join(map(code, keys))
    return f"{named}: {code(str(value))}" if value else named


def _code(name: str) -> str:
    return code(name) if name else ""
