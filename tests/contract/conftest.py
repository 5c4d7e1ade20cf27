"""The places that the Pub/Sub contract suite runs on, and the marker of tests that start a client of W&B."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import pubsub

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that run W&B's client as a process: its import alone takes two seconds."""
    for item in items:
        if HERE in item.path.parents and "client_env" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(
    scope="module", params=["ours-emulator", "ours-cloudevent", pytest.param("google", marks=pytest.mark.slow)]
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[pubsub.Place]:
    """Serve each of the three in turn."""
    if request.param == "google":
        serving = pubsub.googles(tmp_path_factory.mktemp("emulator"))
    else:
        serving = pubsub.ours(request.param, request.param.removeprefix("ours-"))
    with serving as place:
        yield place


@pytest.fixture(scope="module")
def target() -> Iterator[pubsub.Target]:
    """Serve the function that is pushed to."""
    with pubsub.serving() as target:
        yield target
