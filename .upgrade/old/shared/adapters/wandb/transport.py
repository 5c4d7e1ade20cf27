"""HTTP to W&B with one deadline for connecting, the handshake and a trickling answer."""

import os
import socket
import ssl
import threading
from contextlib import suppress
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError
from urllib3.util import Retry as Repeat

from shared.core.budget import Budget

CONNECT_SECONDS = 5.0  # to connect, for all addresses of a name together
SILENCE_SECONDS = 20.0  # the longest pause in an answer
CHUNK = 1 << 16  # bytes of one read

_current = threading.local()  # the exchange that this thread begins


class Exchange:
    """One request and its answer. The end of the budget shuts the connection.

    A timeout of `requests` bounds each single wait; a server that sends a byte now and then would
    never reach it.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._handles: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(max(budget.left, 0), self._shut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Start the timer."""
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the timer, and drop the handles."""
        self._timer.cancel()
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()

    @property
    def over(self) -> bool:
        """Tell whether the time is over: an answer that ends now may be cut short."""
        return self._budget.left <= 0

    @property
    def left(self) -> float:
        """Return the remaining seconds."""
        return self._budget.left

    def send(
        self, session: requests.Session, method: str, url: str, **arguments: Any
    ) -> requests.Response:
        """Send a request; return its answer, whose body the caller reads piece by piece."""
        timeout = (CONNECT_SECONDS, max(min(SILENCE_SECONDS, self.left), 0.001))
        _current.exchange = self
        try:
            return session.request(
                method, url, timeout=timeout, stream=True, allow_redirects=False, **arguments
            )
        finally:
            _current.exchange = None

    def watch(self, sock: socket.socket) -> None:
        """Keep our own handle of a connection: TLS and `http.client` replace or drop theirs."""
        with self._lock:
            self._handles.append(socket.socket(fileno=os.dup(sock.fileno())))

    def _shut(self) -> None:
        with self._lock:
            for handle in self._handles:
                with suppress(OSError):  # the other side has closed it
                    handle.shutdown(socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    """A connection that its exchange can shut."""

    def _new_conn(self) -> socket.socket:
        exchange: Exchange | None = getattr(_current, "exchange", None)
        if exchange is None:
            return super()._new_conn()
        if exchange.over:
            raise ConnectTimeoutError(self, "the budget of this call is spent")
        self.timeout = min(CONNECT_SECONDS, exchange.left) / self._addresses()
        made = super()._new_conn()
        exchange.watch(made)
        return made

    def _addresses(self) -> int:
        with suppress(OSError):  # the attempt to connect reports the error
            return len(socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)) or 1
        return 1

    def request(self, *arguments: Any, **named: Any) -> None:
        """Send a request; watch a connection that comes from the pool."""
        exchange: Exchange | None = getattr(_current, "exchange", None)
        if exchange and self.sock:
            exchange.watch(self.sock)
        super().request(*arguments, **named)


class _WatchedTls(_Watched, HTTPSConnection):
    """A watched connection over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _Adapter(HTTPAdapter):
    """Makes watched connections, directly and through a proxy."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named)
        if not proxy.lower().startswith("socks"):  # it has its own connections
            manager.pool_classes_by_scheme = _POOLS
        return manager


_POOLS = {"http": _Pool, "https": _TlsPool}


def new_session(connections: int) -> requests.Session:
    """Return a session with watched connections.

    It repeats only failed attempts to connect; urllib3 replaces a stale connection of the pool.
    """
    session = requests.Session()
    repeat = Repeat(connect=2, read=0, status=0, other=0)
    adapter = _Adapter(pool_maxsize=connections, max_retries=repeat)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def without_login(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send no login: without an `auth`, `requests` reads .netrc."""
    return request


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an address: only the same three get the key."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    port = parts.port or {"https": 443, "http": 80}.get(scheme, 0)
    return scheme, (parts.hostname or "").lower(), port


def place(url: str) -> str:
    """Return host and port of an address, without a login."""
    return urlsplit(url).netloc.rpartition("@")[2]


def untrusted(exc: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return the certificate error that caused an error; None if it has another cause."""
    while exc:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return exc
        exc = exc.__cause__ or exc.__context__
    return None
