"""Start the unmodified `wandb launch-agent` against a local Vertex AI: it runs in the agent's own environment.

Two calls of Google's libraries lead elsewhere: `google.auth.default` to anonymous credentials, and
`aiplatform.init` to the URL in LOCAL_VERTEX, over REST. Everything else is the agent's own code.
"""

import functools
import os
import sys
from typing import Any

import google.auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from wandb.cli import cli


class Anonymous(AnonymousCredentials):  # type: ignore[misc] # untyped
    """Credentials that the agent may refresh."""

    def refresh(self, request: object) -> None:
        """Do nothing."""


def main() -> None:
    """Start the agent with this program's arguments."""
    credentials = Anonymous()
    google.auth.default = lambda *_args, **_options: (credentials, os.environ["LOCAL_PROJECT"])
    init = aiplatform.init

    @functools.wraps(init)
    def local(**options: Any) -> None:
        where = {"api_endpoint": os.environ["LOCAL_VERTEX"], "api_transport": "rest", "credentials": credentials}
        init(**{**options, **where})

    aiplatform.init = local
    cli.cli(["launch-agent", *sys.argv[1:]], prog_name="wandb")


if __name__ == "__main__":
    main()
