"""The places that the Pub/Sub contract suite runs on."""

from collections.abc import Iterator

import pytest

from tests.contract import pubsub


@pytest.fixture(scope="module", params=["ours-emulator", "ours-cloudevent", "google"])
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
