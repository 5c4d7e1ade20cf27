"""Launch agents, as W&B's page shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Agent:
    """A process that polls run queues; W&B's page can ask it to stop."""

    id: str
    name: str
    entity: str
    project: str
    run_queues: list[str]
    hostname: str
    agent_config: dict[str, Any]
    version: str | None
    heartbeat_at: float
    agent_status: str = "POLLING"
    stop_polling: bool = False


class Agents:
    """All registered agents; callers hold State's lock."""

    def __init__(
        self,
        new_number: Callable[[], int],
        new_id: Callable[[str, int], str],
        clock: Callable[[], float],
    ) -> None:
        self._new_number = new_number
        self._new_id = new_id
        self._clock = clock
        self.by_id: dict[str, Agent] = {}

    def register(
        self,
        entity: str,
        project: str,
        queue_ids: list[str],
        hostname: str,
        config: dict[str, Any],
        version: str | None,
    ) -> Agent:
        """Register an agent with its queues."""
        number = self._new_number()
        agent = Agent(
            id=self._new_id("LaunchAgent", number),
            name=f"launch-agent-{number}",
            entity=entity,
            project=project,
            run_queues=queue_ids,
            hostname=hostname,
            agent_config=config,
            version=version,
            heartbeat_at=self._clock(),
        )
        self.by_id[agent.id] = agent
        return agent

    def heartbeat(self, agent_id: str, status: str | None) -> bool:
        """Record an agent's heartbeat and status."""
        agent = self.by_id.get(agent_id)
        if agent is None:
            return False
        agent.agent_status, agent.heartbeat_at = status or agent.agent_status, self._clock()
        return True
