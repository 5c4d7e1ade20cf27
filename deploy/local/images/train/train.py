"""Train a tiny logistic regression by gradient descent, logging to W&B as any training script does.

The run's config, which W&B Launch sets: `epochs`, `learning_rate`, `sleep` (seconds per epoch), and
`fail_at`, the epoch in which training diverges.
"""

import math
import random
import signal
import sys
import time

import wandb


def points(number: int, seed: int = 7) -> list[tuple[float, float, int]]:
    """Return points of the plane with their class, above or below a noisy line."""
    generator = random.Random(seed)  # noqa: S311 - data, not a secret
    drawn = [(generator.uniform(-1, 1), generator.uniform(-1, 1)) for _ in range(number)]
    return [(x, y, int(y > 0.5 * x + generator.gauss(0, 0.1))) for x, y in drawn]


def main() -> None:
    """Train, and log to W&B."""
    # on a cancel: exit through wandb's cleanup before the container is killed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    defaults = {"epochs": 5, "learning_rate": 0.5, "sleep": 0.1, "fail_at": None}
    with wandb.init(config=defaults) as run:
        settings = run.config
        data = points(200)
        a = b = c = 0.0
        for epoch in range(int(settings["epochs"])):
            if settings["fail_at"] == epoch:
                raise RuntimeError(
                    f"loss is not finite in epoch {epoch}: the learning rate is too high"
                )
            loss = 0.0
            for x, y, label in data:
                p = 1 / (1 + math.exp(-(a * x + b * y + c)))
                loss -= math.log(max(p if label else 1 - p, 1e-9)) / len(data)
                step = settings["learning_rate"] * (label - p)
                a, b, c = a + step * x, b + step * y, c + step
            right = sum((a * x + b * y + c > 0) == bool(label) for x, y, label in data)
            run.log({"epoch": epoch, "loss": loss, "accuracy": right / len(data)})
            print(f"epoch {epoch}: loss {loss:.4f}, accuracy {right / len(data):.3f}")
            time.sleep(settings["sleep"])


if __name__ == "__main__":
    main()
