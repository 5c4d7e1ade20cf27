"""The run specs of poison items, as text: what W&B's queue may hold and no function may choke on."""

import json
from collections.abc import Callable
from typing import Any

from deploy.local.servers.vertex.played import IMAGE
from deploy.local.stack import DEFAULT_CONFIG, ENTITY

MEGABYTE = 1 << 20
EMOJI = "\N{COLLISION SYMBOL}"


_GIVEN = DEFAULT_CONFIG["resource_args"]["gcp-vertex"]
_RUN = {**_GIVEN["run"], "create_request_timeout": 2}


def _spec(name: str, project: str, /, **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "entity": ENTITY,
        "project": project,
        "name": name,
        "run_id": name,
        "docker": {"docker_image": f"{IMAGE}:latest"},
        "overrides": {"run_config": {}},
        "resource": "gcp-vertex",
        "resource_args": {"gcp-vertex": {**_GIVEN, "run": _RUN}},  # W&B merges the queue's into what is JSON only
    }
    return base | changes


def _config(value: str) -> Callable[[str, str], str]:
    """Return a run spec whose config has this JSON under `x`, which the played job does not know."""

    def raw(name: str, project: str) -> str:
        text = json.dumps(_spec(name, project))
        return text.replace('"run_config": {}', f'"run_config": {{"x": {value}}}')

    return raw


def _changed(**changes: Any) -> Callable[[str, str], str]:
    return lambda name, project: json.dumps(_spec(name, project, **changes))


Raw = Callable[[str, str], str]  # the item's name and its project → the text of its run spec
POISON: dict[str, tuple[str, Raw]] = {
    "deep": ("nests 5,000 lists", _config("[" * 5000 + "]" * 5000)),
    "integer": ("has an integer of 5,000 digits", _config("9" * 5000)),
    "nan": ("has NaN in its config", _config("NaN")),
    "infinity": ("has Infinity in its config", _config("-Infinity")),
    "surrogate": ("has half of a surrogate pair", _config('"\\ud800"')),
    "surrogate-name": ("has half of a surrogate pair in its name", _changed(name="a\ud800b")),
    "emoji": ("has a name of 256 emoji", _changed(name=EMOJI * 256)),
    "huge": ("has 5 MB in its config", _config(json.dumps("x" * (5 * MEGABYTE)))),
    "wide": ("has 100,000 keys in its config", _config(json.dumps({f"k{n}": n for n in range(100_000)}))),
    "no-json": ("is not JSON", lambda name, _: f'{{"name": "{name}", '),
    "list": ("is a list", lambda name, _: json.dumps([name])),
    "types": ("has wrong types everywhere", _changed(name=7, overrides=[1], docker="x", resource_args=3)),
    "nulls": ("has a NUL in its name", _changed(name="a\x00b")),
    "elsewhere": (
        "is for another resource",
        _changed(resource="kubernetes", resource_args={"kubernetes": {"kind": "Job"}}),
    ),
}
