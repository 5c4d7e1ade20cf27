"""W&B: its run queues, as poll needs them, its runs and items, as status does, its jobs and queues, as submit does."""

from shared.adapters.wandb.configs import WandbQueueConfigs, read_config
from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.jobs import WandbJobs
from shared.adapters.wandb.queues import WandbRunQueue

__all__ = ["Graphql", "WandbJobs", "WandbQueueConfigs", "WandbRunQueue", "read_config"]
