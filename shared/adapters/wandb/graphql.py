"""A connection to W&B: GraphQL over HTTPS, with our own repetition, time and memory bounds."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from shared.adapters.wandb import downloads
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
from shared.adapters.wandb.server import Server
from shared.adapters.wandb.transport import CHUNK, Exchange, new_session, untrusted
from shared.core.budget import Budget
from shared.core.errors import KeyRefused, OutcomeUnknown, Retry
from shared.core.lazy import Lazy
from shared.core.redaction import redacted, remember
from shared.core.shorten import shown
from shared.core.traffic import Traffic

log = logging.getLogger(__name__)

CALL_SECONDS = 30.0  # for one call of an adapter of W&B, with its repetitions and look-ups
DOWNLOAD_SECONDS = 60.0  # for one file
REPEAT_SECONDS = 1.0  # a query is repeated only if this much time is left
ANSWER_BYTES = 1_000_000  # of an answer; a page of 200 files with signed addresses has half of it
LONGEST = 500  # characters of W&B's reason

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
    """Collects an answer piece by piece, at most `limit` bytes of it."""

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
    """A connection to W&B: one session for all threads of a function.

    `ca_file` is the path of the certificates to trust; empty: those that `requests` trusts. A call
    ends within its budget, by default CALL_SECONDS; only the resolver bounds the look-up of W&B's
    name.

    Raises, from every operation:
        SettingsError: W&B's certificate is not trusted; nothing was sent.
        KeyRefused: W&B does not accept the key (401).
        NotAllowed: the key lacks a permission (403, or W&B's message says that).
        Refused: W&B answers, and did not do it (errors, 400, 404, 409).
        Retry: W&B did not do it (no connection, 429, no time left), or a query failed.
        OutcomeUnknown: the answer to a mutation was lost; it may have had its effect.
    """

    def __init__(
        self, base_url: str, api_key: str, connections: int = 16, *, ca_file: str = ""
    ) -> None:
        remember([api_key])
        self._server = Server(f"{base_url.rstrip('/')}/graphql", api_key, ca_file)
        self._where = f"W&B at {self._server.place}"
        self._session = Lazy(lambda: new_session(connections))
        self.traffic = Traffic()

    def query(
        self, document: str, variables: Mapping[str, Any], budget: Budget | None = None
    ) -> dict[str, Any]:
        """Send a query; repeat it once if its answer was lost."""
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
        """Send a mutation, once."""
        return self._data(document, variables, budget or Budget(CALL_SECONDS))

    def post(
        self, document: str, variables: Mapping[str, Any], body: Body, budget: Budget | None = None
    ) -> None:
        """Send a mutation, once; `body` collects W&B's answer if its status is 200."""
        request = {"query": document, "variables": variables}
        budget = budget or Budget(CALL_SECONDS)
        budget.require("a call to W&B")
        with Exchange(budget) as exchange:
            try:
                with closing(self._sent(exchange, request)) as response:
                    self.traffic.answered(response.status_code, response.headers)
                    taker = body if response.status_code == 200 else Body()
                    _read(response, taker, exchange)
            except requests.ConnectTimeout as exc:
                self.traffic.unanswered()
                raise Retry(f"{self._where} cannot be reached: {type(exc).__name__}") from exc
            except (requests.RequestException, HTTPError) as exc:
                if refused := untrusted(exc):
                    raise self._server.untrusted(self._server.place, refused) from exc
                self.traffic.unanswered()
                raise OutcomeUnknown(f"{self._where} did not answer: {type(exc).__name__}") from exc
            if exchange.over:
                self.traffic.unanswered()
                raise OutcomeUnknown(f"{self._where} did not answer in time")
        if response.status_code != 200:
            self._refuse(read_answer(response.status_code, bytes(taker.kept)), response.reason)

    def judge(self, answer: Answer) -> dict[str, Any]:
        """Return the data of an answer with status 200; raise its errors."""
        if error := self.error_of(answer):
            raise error
        if answer.data is None:
            raise OutcomeUnknown(f"{self._where} answers 200 without data")
        return dict(answer.data)

    def error_of(self, answer: Answer) -> Refusal | None:
        """Return the refusal that an answer's errors are; None if it has none."""
        if not answer.errors:
            return None
        return refusal(f"W&B refuses: {self._reason(answer)}", answer)

    def download(self, address: str, limit: int, seconds: float = DOWNLOAD_SECONDS) -> bytes:
        """Return a file, at most `limit` bytes of it; a repetition is harmless."""
        return b"".join(self.chunks(address, limit, seconds))

    def chunks(
        self, address: str, limit: int, seconds: float = DOWNLOAD_SECONDS
    ) -> Iterator[bytes]:
        """Yield a file piece by piece, at most `limit` bytes of it, within `seconds`."""
        return downloads.chunks(self._server, address, limit, seconds)

    def _sent(self, exchange: Exchange, request: Mapping[str, Any]) -> requests.Response:
        return exchange.send(
            self._session.get(),
            "POST",
            self._server.url,
            json=request,
            auth=("api", self._server.api_key),
            verify=self._server.verify,
        )

    def _data(self, document: str, variables: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
        body = Body()
        self.post(document, variables, body, budget)
        if not body.complete:
            raise OutcomeUnknown(f"{self._where} answers with more than {ANSWER_BYTES:,} bytes")
        return self.judge(read_answer(200, bytes(body.kept)))

    def _refuse(self, answer: Answer, phrase: str) -> None:
        status, reason = answer.status, self._reason(answer)
        check = f"{self._where} answers {status}: check the API key and its owner's permissions"
        if status == 401:
            raise KeyRefused(check)
        if status == 403:
            raise NotAllowed(f"{check}: {reason}" if reason else check, answer)
        if status == 429:
            raise Retry(f"{self._where} answers 429: too many requests")
        text = f"{self._where} answers {status}: {reason or phrase}"
        raise refusal(text, answer) if status in CONTENT else OutcomeUnknown(text)

    def _reason(self, answer: Answer) -> str:
        """Return the messages of an answer's errors, without any key."""
        return shown(redacted(answer.reason), LONGEST)  # in this order: half a key would stay


def _read(response: requests.Response, body: Body, exchange: Exchange) -> None:
    for piece in response.iter_content(CHUNK):
        if exchange.over or not body.take(piece):
            return
