"""The W&B server of a deployment: its address, our key, and the certificates to trust."""

import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

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

    def below(self, address: str) -> str:
        """Return an address of W&B's host below the path of W&B's own, as wandb's client does.

        A server that knows its path may have written it already.
        """
        prefix = urlsplit(self.url).path.removesuffix("/graphql")
        is_path = address.startswith("/") and not address.startswith("//")
        return f"{prefix}{address}" if is_path and not address.startswith(f"{prefix}/") else address

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
