"""W&B: its run queues, as poll needs them, and its runs and items, as status does."""

from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.queues import WandbRunQueue

__all__ = ["Graphql", "WandbRunQueue"]
