"""The states of W&B's sweeps, as submit needs them: a query that W&B's own client sends too."""

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import NotAllowed, at
from shared.adapters.wandb.graphql import Graphql
from shared.core.errors import Denied, Reject, SettingsError


class WandbSweeps:
    """Implements Sweeps."""

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def state_of(self, entity: str, project: str, sweep: str) -> str:
        """Return a sweep's state in capitals; empty where there is no such sweep."""
        where = {"entity": entity, "project": project, "sweep": sweep}
        try:
            answer = self._graphql.query(documents.SWEEP, where)
        except NotAllowed as exc:
            problem = (
                f"{sweep} of {entity}/{project} may not be read with this deployment's API key"
            )
            raise Reject("sweep_id", problem, "Let the key see that project.") from exc
        except SettingsError as exc:  # an operator has to mend it
            raise Denied(str(exc)) from exc
        return str(at(answer, "project", "sweep").get("state") or "").upper()
