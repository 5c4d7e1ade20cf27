"""The states of W&B's sweeps, for submit: a query that W&B's own client sends."""

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import at, for_author
from shared.adapters.wandb.graphql import Graphql


class WandbSweeps:
    """Implements Sweeps."""

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def state_of(self, entity: str, project: str, sweep: str) -> str:
        """Return a sweep's state in capitals; empty if W&B has no such sweep."""
        where = {"entity": entity, "project": project, "sweep": sweep}
        name = f"{sweep} of {entity}/{project}"
        with for_author("sweep_id", name, "Let the key see that project."):
            answer = self._graphql.query(documents.SWEEP, where)
        return str(at(answer, "project", "sweep").get("state") or "").upper()
