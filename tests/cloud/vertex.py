"""Vertex AI: custom jobs, kept by a server of their own to which the calls are handed on."""

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
        said = requests.request(
            call.method,
            self.state.vertex + call.path,
            params=call.query,
            data=call.raw,
            headers={"Content-Type": "application/json"},
            timeout=30,
        )
        return Answer(said.content, said.status_code)
