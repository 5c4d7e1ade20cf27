"""Keep W&B's key out of a CustomJob: each container first reads it from a secret."""

from collections.abc import Mapping
from typing import Any

from shared.core.errors import Reject
from shared.runspec.model import RunSpec
from shared.runspec.programs import READ_KEY

KEY = "WANDB_API_KEY"

_SHOWN = "is readable in the CustomJob, and this deployment keeps every key out of it"
_FIX = "The job reads this deployment's key from Secret Manager with its own service account."


def reader(secret: str) -> list[str]:
    """Return the command that reads this secret before a container's own; empty without a secret.

    It reads the latest version if the secret names none.
    """
    if not secret:
        return []
    version = secret if "/versions/" in secret else f"{secret}/versions/latest"
    return ["python3", "-c", READ_KEY, version]


def check_own_key(spec: RunSpec) -> None:
    """Refuse a run spec that contains a W&B key."""
    if spec.own_key:
        raise Reject("_wandb_api_key", _SHOWN, f"Leave it out. {_FIX}")


def with_reader(container: Mapping[str, Any], before: list[str], path: str) -> dict[str, Any]:
    """Return a container that reads the key before it runs its command.

    Raises:
        Reject: it has no command, or it contains a key.
    """
    if any(one["name"] == KEY for one in container["env"]):
        raise Reject(f"{path}.env", f"has {KEY}, which {_SHOWN}", f"Leave it out. {_FIX}")
    if not container.get("command"):
        problem = (
            "is missing: this deployment reads the key before the command, "
            "and it cannot know the image's ENTRYPOINT"
        )
        fix = "Write the entry point here, or into the item (`wandb launch --entry-point`)."
        raise Reject(f"{path}.command", problem, fix)
    return {**container, "command": [*before, *container["command"]]}
