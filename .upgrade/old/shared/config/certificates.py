"""A file of certificates that a setting names."""

import ssl
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent  # of the source


def certificates(file: str) -> str:
    """Return the absolute path of a PEM file of certificates; empty for none.

    A relative path starts at the source's root.

    Raises:
        ValueError: the file does not exist, or contains no certificate.
    """
    if not file:
        return ""
    path = ROOT / file
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        trusted.load_verify_locations(cafile=path)
        found = trusted.cert_store_stats()["x509"]
    except ssl.SSLError:
        found = 0
    except OSError as exc:
        fix = "Put the file there, or name another, from the source's root"
        raise ValueError(f"is {file!r}, but {path} cannot be read: {exc.strerror}. {fix}") from exc
    if not found:
        fix = "`openssl x509 -inform der -in FILE -out ca.pem` converts a binary certificate"
        raise ValueError(
            f"is {file!r}, but {path} is not a PEM file of certificates "
            f"(-----BEGIN CERTIFICATE-----). {fix}"
        )
    return str(path)
