"""The jobs of the demo: how each is enqueued, and how it has to end."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.local.stack import DEFAULT_CONFIG


@dataclass(frozen=True)
class Case:
    """One job of the demo: how it is enqueued, and how its item, CustomJob and run have to end."""

    name: str
    about: str
    item: str  # the item's state in W&B, empty where there is no item
    job: str  # the CustomJob's state, empty where there must be none
    run: tuple[str, ...]  # the run's state in W&B: one of these
    config: dict[str, Any] = field(default_factory=dict)
    resource_args: dict[str, Any] | None = None
    image: str = "train"  # a folder of images/
    made_of: tuple[
        str, ...
    ] = ()  # what `wandb job create` is told; without it the item names an image
    stop: bool = False
    or_failed_with: str = ""  # a job that FAILED with this in its error has ended as it has to, too
    published: bool = False


CODE = Path(__file__).parent / "images" / "train"
_BAD = {
    "spec": {
        **DEFAULT_CONFIG["resource_args"]["gcp-vertex"]["spec"],
        "worker_pool_spec": [],
        "staging_bucket": "",
    }
}
_ENDED = ("killed", "crashed", "failed")  # how W&B shows a run whose script did not end by itself
CASES = (
    Case("train-1", "trains and succeeds", "CLAIMED", "SUCCEEDED", ("finished",)),
    Case(
        "train-2",
        "with another learning rate",
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
    Case("bad-spec", "asks for a misspelt argument", "FAILED", "", (), resource_args=_BAD),
    Case("no-run", "ends without wandb.init", "FAILED", "SUCCEEDED", (), image="noinit"),
    Case(
        "stopped",
        "is stopped in W&B",
        "CLAIMED",
        "CANCELLED",
        _ENDED,
        {"epochs": 900},
        stop=True,
        or_failed_with="status of 130",  # W&B's SDK interrupts the script, sometimes before we cancel the job
    ),
    Case(
        "image-job",
        "is a W&B job of an image",
        "CLAIMED",
        "SUCCEEDED",
        ("finished",),
        made_of=("image", "local/train:latest"),
    ),
    Case(
        "code-job",
        "is a W&B job of code, which nobody built an image of",
        "CLAIMED",
        "SUCCEEDED",
        ("finished",),
        made_of=("code", str(CODE), "--entry-point", "python train.py"),
    ),
    Case("published", "comes from another system", "", "SUCCEEDED", ("finished",), published=True),
)
