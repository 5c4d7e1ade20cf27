"""A connection to W&B: GraphQL over HTTPS, with our own rules of repetition, in bounded time and memory."""

import logging
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urljoin

import requests
from urllib3.exceptions import HTTPError

from shared.adapters.wandb.answers import (
    CONTENT,
    Answer,
    Lost,
    NotAllowed,
    Refusal,
    Refused,
    read_answer,
    refusal,
)
from shared.adapters.wandb.transport import (
    CHUNK,
    Exchange,
    new_session,
    origin,
    place,
    untrusted,
    without_login,
)
from shared.core.budget import Budget
from shared.core.errors import KeyRefused, OutcomeUnknown, Retry, SettingsError
from shared.core.redaction import without

log = logging.getLogger(__name__)

CALL_SECONDS = 30.0  # one call of an adapter of W&B takes no longer, with everything that it repeats or looks up
DOWNLOAD_SECONDS = 60.0  # neither does the download of one file
REPEAT_SECONDS = 1.0  # a query is repeated only if it has that long
ANSWER_BYTES = 8_000_000  # of an answer that is read whole; a page of 500 files has about one
HOPS = 5  # redirections of a download

__all__ = [
    "CALL_SECONDS",
    "DOWNLOAD_SECONDS",
    "Body",
    "Graphql",
    "NotAllowed",
    "Refusal",
    "Refused",
]


class Body:
    """Takes up an answer piece by piece, no more than `limit` bytes of it."""

    def __init__(self, limit: int = ANSWER_BYTES) -> None:
        self.limit = limit
        self.kept = bytearray()
        self.complete = True

    def take(self, piece: bytes) -> bool:
        """Keep a piece; False ends the reading."""
        self.complete = len(self.kept) + len(piece) <= self.limit
        if self.complete:
            self.kept += piece
        return self.complete


class Graphql:
    """A connection to W&B: one session, made on first use, shared by the threads of one function.

    `ca_file` is the path of the certificates to trust; empty: those that `requests` trusts. A call ends within its
    budget, CALL_SECONDS if none is given; only the resolution of W&B's name is bounded by the resolver instead.

    Raises, from every operation:
        SettingsError: W&B's certificate is not trusted, so nothing was sent.
        KeyRefused: the key is not accepted (401).
        NotAllowed: it may not do this (403, or W&B says so).
        Refused: W&B answers, and did not do it (errors, 400, 404, 409).
        Retry: W&B did not do it (no connection, 429, no time left), or it was a query, which is harmless to repeat.
        OutcomeUnknown: a mutation whose answer was lost: it may have had its effect.
    """

    def __init__(
        self, base_url: str, api_key: str, connections: int = 16, *, ca_file: str = ""
    ) -> None:
        self._url = f"{base_url.rstrip('/')}/graphql"
        self._api_key = api_key
        self._connections = connections
        self._ca_file = ca_file
        self._session: requests.Session | None = None
        self._lock = threading.Lock()

    def query(
        self, document: str, variables: Mapping[str, Any], budget: Budget | None = None
    ) -> dict[str, Any]:
        """Ask; repeats by itself, once, what fails in passing."""
        budget = budget or Budget(CALL_SECONDS)
        try:
            return self._data(document, variables, budget)
        except OutcomeUnknown as exc:
            if budget.left < REPEAT_SECONDS:
                raise Lost(str(exc)) from exc
            log.info("wandb.query_repeated", extra={"fields": {"because": str(exc)}})
        try:
            return self._data(document, variables, budget)
        except OutcomeUnknown as exc:
            raise Lost(str(exc)) from exc

    def mutate(
        self, document: str, variables: Mapping[str, Any], budget: Budget | None = None
    ) -> dict[str, Any]:
        """Change something, once."""
        return self._data(document, variables, budget or Budget(CALL_SECONDS))

    def post(
        self, document: str, variables: Mapping[str, Any], body: Body, budget: Budget | None = None
    ) -> None:
        """Change something, once; the body takes up W&B's answer, if its status is 200."""
        where = place(self._url)
        asked = {"query": document, "variables": variables}
        budget = budget or Budget(CALL_SECONDS)
        budget.require("a call to W&B")
        with Exchange(budget) as exchange:
            try:
                # given here, not to the session, where REQUESTS_CA_BUNDLE would win
                verify = self._ca_file or None
                auth = ("api", self._api_key)
                session = self._connected()
                with closing(
                    exchange.send(session, "POST", self._url, json=asked, auth=auth, verify=verify)
                ) as found:
                    taker = body if found.status_code == 200 else Body()
                    _read(found, taker, exchange)
            except requests.ConnectTimeout as exc:
                raise Retry(f"W&B at {where} cannot be reached: {type(exc).__name__}") from exc
            except (requests.RequestException, HTTPError) as exc:
                if refused := untrusted(exc):
                    raise SettingsError(self._untrusted(where, refused)) from exc
                raise OutcomeUnknown(
                    f"W&B at {where} did not answer: {type(exc).__name__}"
                ) from exc
            if exchange.over:
                raise OutcomeUnknown(f"W&B at {where} did not answer in time")
        if found.status_code != 200:
            self._refuse(read_answer(found.status_code, bytes(taker.kept)), found.reason)

    def judge(self, answer: Answer) -> dict[str, Any]:
        """Return the data of an answer with status 200; raises what its errors mean."""
        if answer.errors:
            raise refusal(f"W&B refuses: {self.reason(answer)}", answer)
        if answer.data is None:
            raise OutcomeUnknown(f"W&B at {place(self._url)} answers 200 without data")
        return dict(answer.data)

    def download(self, address: str, limit: int) -> bytes:
        """Fetch a file from where W&B says that it is, no more than `limit` bytes of it; safe to repeat."""
        return b"".join(self.chunks(address, limit))

    def chunks(
        self, address: str, limit: int, seconds: float = DOWNLOAD_SECONDS
    ) -> Iterator[bytes]:
        """Fetch a file piece by piece, no more than `limit` bytes of it, in no more than these seconds.

        W&B's key is shown to W&B itself only: another address, or a redirection to one, has its permission in it.
        """
        url, left = urljoin(self._url, address), limit
        where = place(url)
        with Exchange(Budget(seconds)) as exchange:
            try:
                with (
                    new_session(1) as session,
                    closing(self._followed(exchange, session, url)) as response,
                ):
                    if response.status_code != 200:
                        raise Retry(
                            f"the file at {where} cannot be had: {response.status_code} {response.reason}"
                        )
                    for piece in response.iter_content(CHUNK):
                        if exchange.over or left <= 0:
                            break
                        yield piece[:left]
                        left -= len(piece)
            except (requests.RequestException, HTTPError) as exc:
                if refused := untrusted(exc):
                    raise SettingsError(self._untrusted(where, refused)) from exc
                raise Retry(f"the file at {where} cannot be fetched: {type(exc).__name__}") from exc
            if exchange.over and left > 0:
                raise Retry(f"the file at {where} takes longer than {seconds:.0f} s")

    def _followed(
        self, exchange: Exchange, session: requests.Session, url: str
    ) -> requests.Response:
        """Ask for a file, and follow redirections; another origin sees neither the key nor our trust in W&B."""
        for _ in range(HOPS):
            own = origin(url) == origin(self._url)
            auth = ("api", self._api_key) if own else without_login
            verify = self._ca_file or None if own else None
            response = exchange.send(session, "GET", url, auth=auth, verify=verify)
            if not response.is_redirect:
                return response
            url = urljoin(url, response.headers["location"])
            response.close()
        raise requests.TooManyRedirects(f"more than {HOPS}")

    def _data(self, document: str, variables: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        body = Body()
        self.post(document, variables, body, budget)
        if not body.complete:
            raise OutcomeUnknown(
                f"W&B at {place(self._url)} answers with more than {ANSWER_BYTES:,} bytes"
            )
        return self.judge(read_answer(200, bytes(body.kept)))

    def _refuse(self, answer: Answer, phrase: str) -> None:
        where, status = place(self._url), answer.status
        reason = self.reason(answer)
        check = f"W&B at {where} answers {status}: check the API key and what its owner may do"
        if status == 401:
            raise KeyRefused(check)
        if status == 403:
            raise NotAllowed(f"{check}: {reason}" if reason else check, answer)
        if status == 429:
            raise Retry(f"W&B at {where} answers 429: too many requests")
        text = f"W&B at {where} answers {status}: {reason or phrase}"
        raise refusal(text, answer) if status in CONTENT else OutcomeUnknown(text)

    def reason(self, answer: Answer) -> str:
        """Return the words of an answer's errors, without our key."""
        return without(answer.reason, [self._api_key])[
            :500
        ]  # redacted first: a key cut in two would stay

    def _untrusted(self, where: str, refused: ssl.SSLCertVerificationError) -> str:
        given = f"is {self._ca_file}" if self._ca_file else "is not set"
        fix = "for a self-hosted W&B it names the PEM file of the authority that signed this certificate"
        why = refused.verify_message
        return f"W&B at {where} shows a certificate that is not trusted: {why}. WANDB_CA_FILE {given}; {fix}"

    def _connected(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                self._session = new_session(self._connections)
            return self._session


def _read(response: requests.Response, body: Body, exchange: Exchange) -> None:
    for piece in response.iter_content(CHUNK):
        if exchange.over or not body.take(piece):
            return
