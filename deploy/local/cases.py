"""The jobs of the demo: how each is enqueued, and how it has to end."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.project import DEFAULT_CONFIG


@dataclass(frozen=True)
class Case:
    """One job of the demo: how it is enqueued, and the states in which it has to end."""

    name: str
    about: str
    item: str  # the item's state in W&B; empty if the job has no item
    job: str  # the CustomJob's state; empty if no CustomJob may exist
    run: tuple[str, ...]  # the run's state in W&B: one of these
    config: dict[str, Any] = field(default_factory=dict)
    resource_args: dict[str, Any] | None = None
    image: str = "train"  # a folder of images/
    made_of: tuple[str, ...] = ()  # arguments of `wandb job create`; empty: the item names an image
    stop: bool = False
    or_failed_with: str = ""  # a FAILED job with this text in its error is expected, too
    published: bool = False


CODE = Path(__file__).parent / "images" / "train"
_MISSPELT = {
    "spec": {
        **DEFAULT_CONFIG["resource_args"]["gcp-vertex"]["spec"],
        "worker_pool_spec": [],
        "staging_bucket": "",
    }
}
_STOPPED = ("killed", "crashed", "failed")  # W&B's states of a run whose script was interrupted
CASES = (
    Case("train-1", "trains and succeeds", "CLAIMED", "SUCCEEDED", ("finished",)),
    Case(
        "train-2",
        "trains with another learning rate",
        "CLAIMED",
        "SUCCEEDED",
        ("finished",),
        {"learning_rate": 0.1},
    ),
    Case(
        "diverges",
        "fails in its third epoch",
        "CLAIMED",
        "FAILED",
        ("failed", "crashed"),
        {"fail_at": 2},
    ),
    Case("bad-spec", "has a misspelt argument", "FAILED", "", (), resource_args=_MISSPELT),
    Case("no-run", "never calls wandb.init", "FAILED", "SUCCEEDED", (), image="noinit"),
    Case(
        "stopped",
        "is stopped in W&B",
        "CLAIMED",
        "CANCELLED",
        _STOPPED,
        {"epochs": 900},
        stop=True,
        # W&B's SDK interrupts the script, sometimes before we cancel the job
        or_failed_with="status of 130",
    ),
    Case(
        "image-job",
        "runs a W&B job made from an image",
        "CLAIMED",
        "SUCCEEDED",
        ("finished",),
        made_of=("image", "local/train:latest"),
    ),
    Case(
        "code-job",
        "runs a W&B job of code, without a build",
        "CLAIMED",
        "SUCCEEDED",
        ("finished",),
        made_of=("code", str(CODE), "--entry-point", "python train.py"),
    ),
    Case("published", "comes from another system", "", "SUCCEEDED", ("finished",), published=True),
)
