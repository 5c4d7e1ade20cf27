"""W&B's key, kept out of a CustomJob: its containers get the name of a secret, and a program that reads it first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.core.errors import Reject
from shared.runspec.model import RunSpec

READ_KEY = (Path(__file__).parent / "container" / "read_key.py").read_text(
    encoding="utf-8"
)  # a part of this program, as its code is
KEY = "WANDB_API_KEY"

_SHOWN = "would stand in the CustomJob for whoever may get it, and this deployment keeps every key out of it"
_FIX = "The job reads this deployment's key from Secret Manager, as the account that it runs as."


def reader(secret: str) -> list[str]:
    """Return what goes before a container's command so that it has the key of this secret; nothing for no secret.

    The newest version is read where none is named.
    """
    if not secret:
        return []
    return [
        "python3",
        "-c",
        READ_KEY,
        secret if "/versions/" in secret else f"{secret}/versions/latest",
    ]


def check_own_key(spec: RunSpec) -> None:
    """Refuse a run spec with a key of its own."""
    if spec.own_key:
        raise Reject("_wandb_api_key", _SHOWN, f"Leave it out. {_FIX}")


def with_reader(container: Mapping[str, Any], before: list[str], path: str) -> dict[str, Any]:
    """Return a container that reads the key before it runs its command.

    Raises:
        Reject: its command is not known here, or it has a key of its own.
    """
    if any(one["name"] == KEY for one in container["env"]):
        raise Reject(f"{path}.env", f"has {KEY}, which {_SHOWN}", f"Leave it out. {_FIX}")
    if not container.get("command"):
        problem = "is missing: what reads the key has to know what comes after it, and an image's ENTRYPOINT is not known"
        fix = "Write the entry point there, or into the item (`wandb launch --entry-point`)."
        raise Reject(f"{path}.command", problem, fix)
    return {**container, "command": [*before, *container["command"]]}
