"""W&B: queues for poll; runs and items for status; job artifacts, sweeps and configs for submit."""

from shared.adapters.wandb.configs import WandbQueueConfigs, read_config
from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.jobs import WandbFiles, WandbJobs
from shared.adapters.wandb.key import WandbKey
from shared.adapters.wandb.queues import WandbRunQueue
from shared.adapters.wandb.sweeps import WandbSweeps

__all__ = [
    "Graphql",
    "WandbFiles",
    "WandbJobs",
    "WandbKey",
    "WandbQueueConfigs",
    "WandbRunQueue",
    "WandbSweeps",
    "read_config",
]
