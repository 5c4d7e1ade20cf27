"""Secure mode: the image or the W&B job of a launch decides what runs, and nothing else does.

As the agent does for Kubernetes, it refuses overrides of the entry point and a container's
`command`. It also refuses the other ways to choose the program: see `check_containers`.
"""

from shared.core.errors import Reject
from shared.runspec.fields import items, mapping
from shared.runspec.model import Overrides

_CHOOSE_THE_PROGRAM = ("entry_point", "dockerfile", "working_dir")


def check_overrides(overrides: Overrides) -> None:
    """Refuse the overrides of an item that choose the program. Raises Reject."""
    for name in _CHOOSE_THE_PROGRAM:
        if getattr(overrides, name):
            raise _refused(f"overrides.{name}", "Leave it out.")


def check_containers(
    pools: object, path: str, overrides: Overrides, entry_point: list[str]
) -> None:
    """Refuse a container's own command, and arguments without the entry point of a W&B job.

    Without an entry point, the arguments of an image without ENTRYPOINT are the program.
    """
    fix = "Leave it out, or launch a W&B job with an entry point."
    if overrides.args and not entry_point:
        raise _refused("overrides.args", fix)
    for number, pool in enumerate(items(pools, path)):
        at = f"{path}[{number}].container_spec"
        container = mapping(mapping(pool, f"{path}[{number}]").get("container_spec"), at)
        if container.get("command"):
            raise _refused(f"{at}.command", "Leave it out.")
        if container.get("args") and not entry_point:
            raise _refused(f"{at}.args", fix)


def _refused(path: str, fix: str) -> Reject:
    return Reject(path, "is refused: this deployment is in secure mode", fix)
