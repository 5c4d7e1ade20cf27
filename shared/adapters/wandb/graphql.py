"""A connection to W&B: GraphQL over HTTPS, with our own rules of repetition."""

import logging
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import Retry as Repeat

from shared.core.errors import Denied, KeyRefused, OutcomeUnknown, Retry, SettingsError
from shared.core.redaction import without

log = logging.getLogger(__name__)

TIMEOUT = (5, 20)  # seconds to connect, and to wait for an answer
CHUNK = 1 << 16  # bytes of a file at a time


class NotAllowed(Denied):
    """W&B knows the key, and its owner may not do this."""


class Graphql:
    """A connection to W&B: one session, made on first use, shared by the threads of one function.

    `ca_file` is the path of the certificates to trust; empty: those that `requests` trusts.

    Raises, from every operation:
        SettingsError: W&B's certificate is not trusted, so nothing was sent.
        KeyRefused: the key is not accepted (401).
        NotAllowed: it may not do this (403, or W&B says so).
        Retry: W&B did not do it (no connection, 429), or it was a query, which is harmless to repeat.
        OutcomeUnknown: a mutation whose answer was lost: it may have had its effect.
    """

    def __init__(self, base_url: str, api_key: str, connections: int = 16, *, ca_file: str = "") -> None:
        self._url = f"{base_url.rstrip('/')}/graphql"
        self._api_key = api_key
        self._connections = connections
        self._ca_file = ca_file
        self._session: requests.Session | None = None
        self._lock = threading.Lock()

    def query(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Ask; repeats by itself what fails in passing."""
        try:
            return self._post(document, variables)
        except OutcomeUnknown as exc:
            log.info("wandb.query_repeated", extra={"fields": {"because": str(exc)}})
        try:
            return self._post(document, variables)
        except OutcomeUnknown as exc:
            raise Retry(str(exc)) from exc

    def mutate(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Change something, once."""
        return self._post(document, variables)

    def download(self, address: str, limit: int) -> bytes:
        """Fetch a file from where W&B says that it is, no more than `limit` bytes of it; safe to repeat."""
        content = b""
        for chunk in self.chunks(address):
            content += chunk
            if len(content) >= limit:
                break
        return content[:limit]

    def chunks(self, address: str) -> Iterator[bytes]:
        """Fetch a file piece by piece.

        W&B's key is shown to W&B itself only: another address has its permission in it.
        """
        url = urljoin(self._url, address)
        where = _place(url)
        own = urlsplit(url).netloc == urlsplit(self._url).netloc
        auth, verify = (("api", self._api_key), self._ca_file or None) if own else (None, None)
        try:
            with requests.get(url, timeout=TIMEOUT, stream=True, auth=auth, verify=verify) as response:
                if response.status_code != 200:
                    raise Retry(f"the file at {where} is not to be had: {response.status_code} {response.reason}")
                yield from response.iter_content(CHUNK)
        except (requests.RequestException, HTTPError) as exc:
            if refusal := _refusal(exc):
                raise SettingsError(self._untrusted(where, refusal)) from exc
            raise Retry(f"the file at {where} cannot be fetched: {type(exc).__name__}") from exc

    def _post(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        body = {"query": document, "variables": variables}
        where = _place(self._url)
        try:
            # told here, not to the session, over which REQUESTS_CA_BUNDLE would win
            verify = self._ca_file or None
            response = self._connected().post(self._url, json=body, timeout=TIMEOUT, verify=verify)
        except requests.ConnectTimeout as exc:
            raise Retry(f"W&B at {where} cannot be reached: {type(exc).__name__}") from exc
        except requests.RequestException as exc:
            if refusal := _refusal(exc):
                raise SettingsError(self._untrusted(where, refusal)) from exc
            raise OutcomeUnknown(f"W&B at {where} did not answer: {type(exc).__name__}") from exc
        if response.status_code in (401, 403):
            kind = KeyRefused if response.status_code == 401 else NotAllowed
            raise kind(f"W&B at {where} answers {response.status_code}: check the API key and what its owner may do")
        if response.status_code == 429:
            raise Retry(f"W&B at {where} answers 429: too many requests")
        answer = _object(response)
        reason = without(_errors(answer), [self._api_key])
        if response.status_code != 200:
            raise OutcomeUnknown(f"W&B at {where} answers {response.status_code}: {reason or response.reason}")
        if "permission" in reason.lower():
            raise NotAllowed(f"W&B refuses: {reason}")
        if reason:
            raise Retry(f"W&B refuses: {reason}")
        data = answer.get("data")
        if not isinstance(data, dict):
            raise OutcomeUnknown(f"W&B at {where} answers 200 without data")
        return data

    def _untrusted(self, where: str, refusal: ssl.SSLCertVerificationError) -> str:
        told = f"is {self._ca_file}" if self._ca_file else "is not set"
        fix = "for a self-hosted W&B it names the PEM file of the authority that signed this certificate"
        why = refusal.verify_message
        return f"W&B at {where} shows a certificate that is not trusted: {why}. WANDB_CA_FILE {told}; {fix}"

    def _connected(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                session = requests.Session()
                session.auth = ("api", self._api_key)
                # only connections that were never made are repeated; a stale one of the pool is replaced by urllib3
                repeat = Repeat(connect=2, read=0, status=0, other=0)
                adapter = HTTPAdapter(pool_maxsize=self._connections, max_retries=repeat)
                session.mount("https://", adapter)
                session.mount("http://", adapter)
                self._session = session
            return self._session


def _refusal(exc: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return the refusal of a certificate that an error comes from; None where it comes from something else."""
    while exc:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return exc
        exc = exc.__cause__ or exc.__context__
    return None


def _place(url: str) -> str:
    """Return the host of an address, and its port; no login."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _object(response: requests.Response) -> dict[str, Any]:
    """Return the answer's JSON object; an empty one where it is none."""
    try:
        answer = response.json()
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _errors(answer: Mapping[str, Any]) -> str:
    """Return the messages of a GraphQL answer's errors, empty where there are none."""
    errors = answer.get("errors") or []
    return "; ".join(str(e.get("message", e) if isinstance(e, dict) else e) for e in errors)[:500]
