"""`plan` and submit agree: both call Preparation.prepare, on any run spec."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.planner import LAUNCHED, REFUSED, Planner
from deploy.wandb_queues import PendingItem, QueueView
from shared.core.launch import Outcome, State
from shared.core.message import Ticket
from shared.core.ports import CustomJobCall
from shared.runspec import render as rendering
from tests.unit.specs import put, run_spec
from tests.unit.submitting import QUEUE, Scene

VALUES: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-2, 3) | st.text(max_size=5) | st.just({}) | st.just([])
)
PLACES = [
    ("entity",),
    ("job",),
    ("docker", "docker_image"),
    ("overrides", "args"),
    ("resource_args", "gcp-vertex", "spec", "staging_bucket"),
    ("resource_args", "gcp-vertex", "spec", "labels"),
    ("resource_args", "gcp-vertex", "run", "timeout"),
    ("resource_args", "gcp-vertex", "runs"),
]


def planned(scene: Scene, spec: dict[str, Any]) -> tuple[str, str, CustomJobCall | None]:
    """Return what plan shows for an item: its outcome, the reason of a refusal, and the call."""
    planner = Planner(None, "team", scene.preparation)  # type: ignore[arg-type] # it asks W&B nothing here
    view = QueueView(id="1", entity=QUEUE.entity, name=QUEUE.name, resource="gcp-vertex", config={})
    shown = planner._item(view, PendingItem(id="item-1", run_spec=spec))  # noqa: SLF001 - without a W&B
    return shown.outcome, str(shown.refusal or ""), shown.call


@given(st.sampled_from(PLACES), VALUES)
@settings(max_examples=60, deadline=None)
def test_plan_shows_what_submit_does(place: tuple[str, ...], value: object) -> None:
    """The same call, or the same refusal."""
    scene = Scene()
    scene.prepare_with(render=rendering.render)
    spec = put(run_spec(), place, value)
    outcome, reason, call = planned(scene, spec)
    ticket: Ticket = scene.open(**spec)
    event = scene.deliver(ticket)
    launch = scene.launch(ticket)
    if outcome == REFUSED:
        assert (launch.entry.outcome, launch.reason) == (Outcome.REJECTED, reason)
    else:
        assert (outcome, event, launch.entry.state) == (LAUNCHED, "launch.submitted", State.SUBMITTED)
        assert scene.vertex.calls == [call]
