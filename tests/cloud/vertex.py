"""Vertex AI and its logs: calls are passed on to the stand-in for Vertex AI."""

import requests

from tests.cloud.calls import Answer, Call, Json
from tests.cloud.service import Service, unknown


class VertexAi(Service):
    """Custom jobs of the stand-in at `State.vertex`; only IAM is checked here."""

    name = "aiplatform"

    def answer(self, call: Call) -> Json | Answer:
        """Pass a call on, or refuse it without a stand-in."""
        if not self.state.vertex:
            raise unknown(call)
        return self.ask(call)

    def ask(self, call: Call) -> Answer:
        """Pass a call on."""
        answer = requests.request(
            call.method,
            self.state.vertex + call.path,
            params=call.query,
            data=call.raw,
            headers={"Content-Type": "application/json"},
            timeout=30,
        )
        return Answer(answer.content, answer.status_code)


class Logging(VertexAi):
    """The logs of the stand-in's jobs, and the audit log in `State.audited`; other logs are empty."""

    name = "logging"

    def answer(self, call: Call) -> Json | Answer:
        """List entries."""
        asked = call.document.get("filter", "")
        if audited := [entry for name, entry in self.state.audited.items() if f'resourceName="{name}"' in asked]:
            return {"entries": audited}
        of_jobs = 'resource.type="ml_job"' in asked
        return self.ask(call) if of_jobs and self.state.vertex else {}
