"""Vertex AI: custom jobs, and what they printed, kept by a server of their own to which the calls are handed on."""

import requests

from tests.cloud.calls import Answer, Call, Json
from tests.cloud.service import Service, unknown


class VertexAi(Service):
    """Custom jobs of the server at `State.vertex`; IAM is checked here, the jobs themselves there."""

    name = "aiplatform"

    def answer(self, call: Call) -> Json | Answer:
        """Ask the server."""
        if not self.state.vertex:
            raise unknown(call)
        return self.ask(call)

    def ask(self, call: Call) -> Answer:
        """Hand a call on."""
        said = requests.request(
            call.method,
            self.state.vertex + call.path,
            params=call.query,
            data=call.raw,
            headers={"Content-Type": "application/json"},
            timeout=30,
        )
        return Answer(said.content, said.status_code)


class Logging(VertexAi):
    """What the jobs of that server printed; whatever else is asked for, a log without any entry."""

    name = "logging"

    def answer(self, call: Call) -> Json | Answer:
        """List entries."""
        of_jobs = 'resource.type="ml_job"' in call.document.get("filter", "")
        return self.ask(call) if of_jobs and self.state.vertex else {}
