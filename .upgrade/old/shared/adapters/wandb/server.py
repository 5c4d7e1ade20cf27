"""The W&B server of a deployment: its address, our key, and the certificates to trust."""

import ssl
from dataclasses import dataclass, field

from shared.adapters.wandb.transport import place
from shared.core.errors import SettingsError


@dataclass(frozen=True)
class Server:
    """A W&B server.

    `ca_file` is the path of a PEM file; empty: the certificates that `requests` trusts.
    """

    url: str  # of GraphQL
    api_key: str = field(repr=False)
    ca_file: str = ""

    @property
    def place(self) -> str:
        """Return its host and port."""
        return place(self.url)

    @property
    def verify(self) -> str | None:
        """Return the argument for a request; REQUESTS_CA_BUNDLE would replace a session's."""
        return self.ca_file or None

    def untrusted(self, where: str, refused: ssl.SSLCertVerificationError) -> SettingsError:
        """Return the error of a certificate that is not trusted."""
        setting = f"is {self.ca_file}" if self.ca_file else "is not set"
        return SettingsError(
            f"W&B at {where} shows a certificate that is not trusted: {refused.verify_message}. "
            f"WANDB_CA_FILE {setting}; for a self-hosted W&B it names the PEM file of the "
            "certificate authority"
        )
