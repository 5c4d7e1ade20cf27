"""Every value of every part that a handler builds, in the cloud, where no endpoint is set.

After a wanted change, `python -m tests.entrypoints.test_wired_parts` writes wired_parts.txt; read its diff.
"""

import functools
import inspect
import logging
import os
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any
from unittest import mock

import certifi
import pytest
from pydantic import BaseModel

from functions.poll.handler import build_poll
from functions.status.handler import build_status
from functions.submit.handler import build_submit
from shared import log as logs
from shared.adapters.gcs.clock import ServerClock
from shared.config.settings import PollSettings, StatusSettings, SubmitSettings, load
from shared.core.lazy import Lazy, LazyMap
from shared.core.traffic import Traffic
from shared.runspec.render import ArgumentNames
from tests.entrypoints.test_wiring import COMMON, POLL, STATUS, SUBMIT

PAGE = Path(__file__).with_name("wired_parts.txt")
MORE = {
    "WANDB_BASE_URL": "https://wandb.example.com",
    "WANDB_CA_FILE": certifi.where(),
    "LAUNCH_TOPIC": "tickets",
    "LAUNCH_EVENTS_TOPIC": "happened",
    "GOOGLE_CLOUD_PROJECT_NUMBER": "123",
    "SUBMIT_CREATE_SECONDS": "33",
    "LAUNCH_MACROS": "TEAM,TOKEN",
    "TEAM": "cats",
    "TOKEN": "t" * 24,
    "LOG_LEVEL": "WARNING",
}
BUILT = {
    "poll": (PollSettings, build_poll, POLL),
    "submit": (SubmitSettings, build_submit, SUBMIT),
    "status": (StatusSettings, build_status, STATUS),
}
PLAIN = str | int | float | timedelta | Enum | None
OURS = ("shared.", "functions.")


def shown(part: Any, path: str, seen: dict[int, str]) -> Iterator[str]:
    """Yield a line for each plain value inside a part; a part that two others share is shown once."""
    held = dict(inside(part, path))
    if isinstance(part, PLAIN):
        yield f"{path} = {part!s}"
    elif id(part) in seen:
        yield f"{path} is {seen[id(part)]}"
    elif isinstance(part, types.FunctionType):
        yield f"{path}: {part.__qualname__}"
        held = {f"{path}[{name}]": value for name, value in inspect.getclosurevars(part).nonlocals.items()}
    elif not held:
        yield f"{path}: {type(part).__name__}"
        if type(part).__module__.startswith(OURS):
            seen[id(part)] = path
            held = {f"{path}.{name.strip('_')}": getattr(part, name) for name in sorted(names_of(part))}
    for place, value in held.items():
        yield from shown(value, place, seen)


def inside(part: Any, path: str) -> Iterable[tuple[str, Any]]:
    """Return what something holds, that only holds: with its path."""
    if isinstance(part, Mapping):
        return [(f"{path}[{key}]", value) for key, value in part.items()]
    if isinstance(part, tuple | list):
        return [(f"{path}[{number}]", value) for number, value in enumerate(part)]
    if isinstance(part, types.MethodType):
        return [(f"{path}({part.__name__})", part.__self__)]
    if isinstance(part, functools.partial):
        return inside([*part.args, part.keywords], f"{path}({part.func.__name__})")
    if isinstance(part, Lazy):
        return [(path, part._values)]  # noqa: SLF001 - not made yet: what makes it
    if isinstance(part, LazyMap):
        return [(path, part._make)]
    return ()


def names_of(part: Any) -> Iterable[str]:
    """Return the names of a part's values; what the SDK's arguments are called is known elsewhere."""
    if isinstance(part, ArgumentNames | Traffic | ServerClock):
        return ()
    if isinstance(part, BaseModel):
        return type(part).model_fields
    if is_dataclass(part):
        return [each.name for each in fields(part)]
    slots = [name for kind in type(part).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*slots, *vars(part)] if hasattr(part, "__dict__") else slots


def page() -> str:
    """Return the whole text: for each function, what it tells the logs, and its parts."""
    lines = []
    for name, (kind, build, variables) in BUILT.items():
        logged: list[Any] = []
        with (
            mock.patch.dict(os.environ, {**COMMON, **variables, **MORE}, clear=True),
            mock.patch.object(logs, "configure", lambda *args, logged=logged, **named: logged.extend([args, named])),
        ):
            built = build.__wrapped__(load(kind))  # type: ignore[arg-type]
        lines += [f"# {name}", *shown(logged, "logs", {}), *shown(built, name, {}), ""]
    return "\n".join(lines).replace(certifi.where(), "(certifi's file)")


def test_each_part_is_wired_as_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No two settings have the same value, so that one instead of another changes a line."""
    monkeypatch.chdir(tmp_path)  # no launch-config.yaml
    assert page().splitlines() == PAGE.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    logging.disable()
    PAGE.write_text(page(), encoding="utf-8")
