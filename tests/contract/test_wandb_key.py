"""Whether W&B takes our key: asked once a minute, and only W&B's own no is one."""

import pytest

from deploy.local.processes import free_port
from deploy.local.servers.wandb.app import create_app
from deploy.local.servers.wandb.state import State
from deploy.local.serving import serving
from shared.adapters.wandb import Graphql, WandbKey
from shared.core.errors import KeyRefused
from tests.fakes import FakeClock

KEY = "planted-key-" * 4


def test_a_refused_key_is_asked_about_until_it_is_taken_then_once_a_minute() -> None:
    """A burst of launches asks once."""
    state, clock = State(api_keys=["another"]), FakeClock()
    with serving(create_app(state)) as url:
        key = WandbKey(Graphql(url, KEY), lambda: clock().timestamp())
        for _ in range(2):
            with pytest.raises(KeyRefused, match="401: check the API key"):
                key.check()
        state.api_keys = frozenset({KEY})
        for seconds, asked in ((0, 1), (59, 1), (2, 2)):
            clock.pass_(seconds)
            key.check()
            assert state.requests["GetViewer"] == asked
        state.api_keys = frozenset({"another"})
        clock.pass_(60)
        with pytest.raises(KeyRefused):
            key.check()


def test_a_wandb_that_is_down_refuses_no_key(caplog: pytest.LogCaptureFixture) -> None:
    """Launches that need no answer of W&B go on; the log says that the key was not checked."""
    with caplog.at_level("INFO"):
        WandbKey(Graphql(f"http://127.0.0.1:{free_port()}", KEY)).check()
    assert [record.message for record in caplog.records if "key" in record.message] == ["wandb.key_not_checked"]
