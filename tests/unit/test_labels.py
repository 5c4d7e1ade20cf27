"""Labels of a job: the queue's own, ours beside them, and the words of each refusal."""

from typing import Any

import pytest

from shared.core.errors import Reject
from shared.runspec.labels import all_labels, label_value
from tests.unit.specs import launch_of, run_spec

LAUNCH = launch_of(run_spec(run_id="Run_1"))
OURS = {"wandb-run-id": "run_1", "launch_key": LAUNCH.key, "launch_attempt": "0", "launch_agent": "agent"}
RULE = "Write lower-case letters, digits, _ and -, at most 64 of them; a key starts with a letter."


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [
        ({}, {}),
        ({"team": "cats", "empty": ""}, {"team": "cats", "empty": ""}),
        ({"version": 3, "debug": True, "rate": 2}, {"version": "3", "debug": "true", "rate": "2"}),
        ({"a" * 64: "b" * 64}, {"a" * 64: "b" * 64}),
        ({f"k{number}": "v" for number in range(60)}, {f"k{number}": "v" for number in range(60)}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_queues_labels_stand_beside_ours(wanted: dict[str, Any], labels: dict[str, str]) -> None:
    """YAML's numbers and flags become text; Vertex AI allows 64 labels."""
    assert all_labels(wanted, "spec.labels", LAUNCH, "agent") == ({**labels, **OURS}, [])


def test_ours_replace_labels_of_their_names() -> None:
    """With a warning for each, in order."""
    wanted = {"wandb-run-id": "x", "launch_key": "y", "team": "cats"}
    labels, warnings = all_labels(wanted, "spec.labels", LAUNCH, "agent")
    assert labels == {"team": "cats", **OURS}
    assert warnings == [
        "the label launch_key is reserved; its value was replaced",
        "the label wandb-run-id is reserved; its value was replaced",
    ]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"Team": "x"}, f"spec.labels.Team: is not a valid label: 'Team': 'x'. {RULE}"),
        ({"1a": "x"}, f"spec.labels.1a: is not a valid label: '1a': 'x'. {RULE}"),
        ({"": "x"}, f": is not a valid label: '': 'x'. {RULE}"),
        ({"a": "X"}, f"spec.labels.a: is not a valid label: 'a': 'X'. {RULE}"),
        ({"a": "x y"}, f"spec.labels.a: is not a valid label: 'a': 'x y'. {RULE}"),
        ({"a": "b" * 65}, RULE),
        ({"a" * 65: "b"}, RULE),
        ({f"k{number}": "v" for number in range(61)}, "spec.labels: has 61 labels. Write at most 60: "
         "W&B Launch adds 4."),
        ({"a": None}, "spec.labels.a: "),
        ({"a": ["x"]}, "spec.labels.a: "),
        (["a"], "spec.labels: "),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_label_that_vertex_refuses_is_named(wanted: Any, words: str) -> None:
    """By its path in the queue's configuration."""
    with pytest.raises(Reject) as raised:
        all_labels(wanted, "spec.labels", LAUNCH, "agent")
    assert words in str(raised.value)
    assert str(raised.value).startswith("spec.labels")


@pytest.mark.parametrize(("text", "value"), [("Run.1", "run-1"), ("a" * 70, "a" * 63), ("é_-", "-_-")])
def test_a_run_id_becomes_a_value(text: str, value: str) -> None:
    """W&B's ids may have capitals and other signs."""
    assert label_value(text) == value
