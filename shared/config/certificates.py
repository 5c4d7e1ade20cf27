"""A file of certificates that a setting names."""

import ssl
from pathlib import Path

ROOT = (
    Path(__file__).resolve().parent.parent.parent
)  # the source's root, wherever a function or a command is started


def certificates(told: str) -> str:
    """Return the absolute path of a PEM file of certificates, a relative one from the source's root; empty for none.

    Raises:
        ValueError: where there is no such file, or no certificate in it.
    """
    if not told:
        return ""
    path = ROOT / told
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        trusted.load_verify_locations(cafile=path)
        found = trusted.cert_store_stats()["x509"]
    except ssl.SSLError:
        found = 0
    except OSError as exc:
        fix = "Put the file there, or name another, from the source's root"
        raise ValueError(f"is {told!r}, but {path} cannot be read: {exc.strerror}. {fix}") from exc
    if not found:
        fix = "`openssl x509 -inform der -in FILE -out ca.pem` makes one of a binary certificate"
        raise ValueError(
            f"is {told!r}, but {path} is no PEM file of certificates (-----BEGIN CERTIFICATE-----). {fix}"
        )
    return str(path)
