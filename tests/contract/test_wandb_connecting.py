"""How a connection to W&B begins: its time for each address of a name, its repetitions, and a proxy in between."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from shared.adapters.wandb.graphql import Graphql
from shared.adapters.wandb.transport import new_session
from shared.core.budget import Budget
from shared.core.errors import LaunchError
from tests.contract.test_wandb_transport import ASK, KEY, SLOW, trickling


@pytest.mark.parametrize(
    ("addresses", "budget", "seconds"),
    [(1, 30, 5.0), (2, 30, 2.5), (5, 30, 1.0), (0, 30, 5.0), (None, 30, 5.0), (1, 3, 3.0), (2, 3, 1.5)],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_all_addresses_of_a_name_share_the_seconds_to_connect(
    monkeypatch: pytest.MonkeyPatch, scheme: str, addresses: int | None, budget: float, seconds: float
) -> None:
    """A name that cannot be resolved counts as one. A failed attempt is repeated twice: nothing was sent."""
    attempts: list[tuple[object, object]] = []
    names: list[tuple[object, ...]] = []

    def connect(address: object, timeout: object, **_: object) -> None:
        attempts.append((address, timeout))
        raise OSError("unreachable")

    def resolve(*name: object, type: object) -> list[int]:  # noqa: A002 - the name in the standard library
        names.append((*name, type))
        if addresses is None:
            raise socket.gaierror("no such name")
        return [0] * addresses

    monkeypatch.setattr("urllib3.connection.connection.create_connection", connect)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(LaunchError):
        Graphql(f"{scheme}://wandb.test", KEY).mutate(ASK, {}, Budget(budget, lambda: 0.0))
    port = {"http": 80, "https": 443}[scheme]
    assert attempts == [(("wandb.test", port), seconds)] * 3
    assert names == [("wandb.test", port, socket.SOCK_STREAM)] * 3


def test_a_call_through_a_proxy_ends_with_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections are watched like those to W&B itself."""
    with trickling(*SLOW["headers"]) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "")
        budget = Budget(0.3)
        with pytest.raises(LaunchError):
            Graphql("http://wandb.test", KEY).mutate(ASK, {}, budget)
        assert -10 < budget.left < 0.1
    assert asked[0].startswith(b"POST http://wandb.test/graphql ")


@pytest.mark.parametrize(("proxy", "watched"), [("http://p:1", True), ("HTTPS://p:1", True), ("SOCKS5h://p:1", False)])
def test_a_socks_proxy_has_its_own_connections(monkeypatch: pytest.MonkeyPatch, proxy: str, watched: bool) -> None:
    """Others would connect past it."""
    made: list[tuple[str, dict[str, Any]]] = []

    def manager_for(_: HTTPAdapter, address: str, **named: Any) -> Any:
        made.append((address, named))
        return SimpleNamespace(pool_classes_by_scheme="its own")

    monkeypatch.setattr(HTTPAdapter, "proxy_manager_for", manager_for)
    adapter: Any = new_session(3).get_adapter("https://wandb.test")
    found = adapter.proxy_manager_for(proxy, headers=1).pool_classes_by_scheme
    direct = adapter.poolmanager.pool_classes_by_scheme
    assert found == (direct if watched else "its own")
    assert {scheme: kind.__name__ for scheme, kind in direct.items()} == {"http": "_Pool", "https": "_TlsPool"}
    assert made == [(proxy, {"headers": 1})]


def test_only_a_failed_attempt_to_connect_is_repeated() -> None:
    """Anything else may have had its effect. No cookie is kept: another port of the host would get it."""
    session = new_session(3)
    repeat: Any = session.get_adapter("http://wandb.test").max_retries  # type: ignore[attr-defined]
    assert (repeat.connect, repeat.read, repeat.status, repeat.other) == (2, 0, 0, 0)
    assert session.cookies._policy.is_not_allowed("wandb.test")  # type: ignore[attr-defined]  # noqa: SLF001
