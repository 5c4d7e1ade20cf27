"""YAML's values as values of the SDK's types: each kind of shape, each bound, the words of each refusal."""

from typing import Any

import pytest

from shared.core.errors import Reject
from shared.core.shape import Shape
from shared.runspec.arguments import MAX_SECONDS, display_name, run_arguments, seconds
from shared.runspec.shapes import decimal, fit, fit_all, whole

TEXT, FLAG, WHOLE, NUMBER = Shape("text"), Shape("flag"), Shape("whole"), Shape("number")
GPUS = {
    "UNSPECIFIED": 0,
    "NVIDIA_TESLA_T4": 5,
    "NVIDIA_L4": 9,
    "NVIDIA_TESLA_A100": 7,
    "NVIDIA_A100_80GB": 8,
    "TPU_V2": 6,
}
GPU = Shape("choice", choices=GPUS)
MODE = Shape("choice", choices={"NONE": 0, "FLEX_START": 1, "SPOT_STRICT": 2, "SPOT": 3})
POOL = Shape("message", fields={"count": WHOLE, "b": TEXT, "gpu": GPU})
VALID = "Valid: NVIDIA_TESLA_T4, NVIDIA_L4, NVIDIA_TESLA_A100, NVIDIA_A100_80GB, TPU_V2."
MODES = "Valid: FLEX_START, SPOT_STRICT, SPOT."


@pytest.mark.parametrize(
    ("shape", "value", "sent"),
    [
        (TEXT, "x", "x"),
        (TEXT, None, None),
        (FLAG, " TRUE ", True),
        (FLAG, False, False),
        (WHOLE, "-3", -3),
        (WHOLE, " 12 ", 12),
        (WHOLE, "3.0", 3),
        (WHOLE, 10**15, 10**15),
        (NUMBER, "1e3", 1000.0),
        (NUMBER, 2, 2),
        (NUMBER, -1e15, -1e15),
        (GPU, "nvidia tesla-t4", "NVIDIA_TESLA_T4"),
        (GPU, "AcceleratorType.NVIDIA_L4", "NVIDIA_L4"),
        (GPU, " 5 ", "NVIDIA_TESLA_T4"),
        (GPU, 0, "UNSPECIFIED"),
        (GPU, " ", None),
        (POOL, {"count": "2", "b": None, "gpu": "9"}, {"count": 2, "gpu": "NVIDIA_L4"}),
        (POOL, {}, {}),
        (Shape("text", repeated=True), ["a", "b"], ["a", "b"]),
        (Shape("text", repeated=True), {}, []),
        (Shape("text", repeated=True), None, None),
        (Shape("message", repeated=True, fields={"count": WHOLE}), [{"count": 1}, {}], [{"count": 1}, {}]),
        (Shape(), [1, None], [1, None]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_value_becomes_the_sdks(shape: Shape, value: Any, sent: Any) -> None:
    """In its type; null stays null, and is left out of a message."""
    made = fit(value, "at", shape)
    assert (made, type(made)) == (sent, type(sent))


@pytest.mark.parametrize(
    ("shape", "value", "why"),
    [
        (TEXT, 5, "at: should be a text, but is a number. Write it in quotes."),
        (FLAG, "yes", "at: should be true or false, but is a text."),
        (FLAG, 1, "at: should be true or false, but is a number."),
        (WHOLE, 1.5, "at: is 1.5. Write a whole number."),
        (WHOLE, "1.5", "at: is 1.5. Write a whole number."),
        (WHOLE, True, "at: should be a number, but is true or false."),
        (NUMBER, "many", "at: should be a number, but is 'many'. Write a number."),
        (NUMBER, "--5", "at: should be a number, but is '--5'. Write a number."),
        (NUMBER, [], "at: should be a number, but is empty (a list)."),
        (NUMBER, "nan", "at: is not a number that Vertex AI can hold. Write a smaller number."),
        (NUMBER, 10**15 + 1, "at: is not a number that Vertex AI can hold. Write a smaller number."),
        (WHOLE, -(10**15) - 1, "at: is not a number that Vertex AI can hold. Write a smaller number."),
        (GPU, True, f"at: should be one of the names below, but is true or false. {VALID}"),
        (GPU, None, ""),
        (GPU, 77, f"at: is '77', which Vertex AI does not know. {VALID}"),
        (GPU, "7" * 10, f"at: is '7777777777', which Vertex AI does not know. {VALID}"),
        (GPU, "T4", f"at: is 'T4', which Vertex AI does not know. Did you mean NVIDIA_TESLA_T4? {VALID}"),
        (
            GPU,
            "a100",
            f"at: is 'a100', which Vertex AI does not know. Did you mean NVIDIA_TESLA_A100 or NVIDIA_A100_80GB? "
            f"{VALID}",
        ),
        (
            GPU,
            "A100_80GB_X",
            f"at: is 'A100_80GB_X', which Vertex AI does not know. Did you mean NVIDIA_A100_80GB? {VALID}",
        ),
        (GPU, "NVIDIA_TESLA_P9", f"at: is 'NVIDIA_TESLA_P9', which Vertex AI does not know. {VALID}"),
        (MODE, "FLEX", f"at: is 'FLEX', which Vertex AI does not know. Did you mean FLEX_START? {MODES}"),
        (MODE, "flexstart", f"at: is 'flexstart', which Vertex AI does not know. Did you mean FLEX_START? {MODES}"),
        (MODE, "STRICT", f"at: is 'STRICT', which Vertex AI does not know. Did you mean SPOT_STRICT? {MODES}"),
        (MODE, "cheap", f"at: is 'cheap', which Vertex AI does not know. {MODES}"),
        (Shape("choice"), "x1", "at: is 'x1', which Vertex AI does not know. Valid: ."),
        (POOL, "x", "at: should be an object, but is a text. Write an object with b, count, gpu."),
        (POOL, [{}], "at: should be an object, but is a list. Write the object without its list."),
        (POOL, {"count": "x"}, "at.count: should be a number, but is 'x'. Write a number."),
        (Shape("message", repeated=True), [{}, None], "at[1]: should be an object, but is null."),
        (Shape("whole", repeated=True), [1, "x"], "at[1]: should be a number, but is 'x'. Write a number."),
        (Shape("whole", repeated=True), "x", "at: should be a list, but is a text."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_another_value_is_refused(shape: Shape, value: Any, why: str) -> None:
    """With its path, and the names that are near."""
    refused = ""
    try:
        fit(value, "at", shape)
    except Reject as exc:
        refused = str(exc)
    assert refused == why


def test_arguments_are_fitted_by_their_names() -> None:
    """One without a shape stays as it is."""
    assert fit_all({"a": "1", "b": "1", "c": None}, "run", {"a": WHOLE, "c": WHOLE}) == {"a": 1, "b": "1"}
    with pytest.raises(Reject, match=r"^run\.a: should be a number"):
        fit_all({"a": "x"}, "run", {"a": WHOLE})
    assert (whole("4", "at"), decimal("4", "at"), decimal("4.5", "at")) == (4, 4, 4.5)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (0, 0),
        ("0", 0),
        (MAX_SECONDS, MAX_SECONDS),
        ("3600.00 S", 3600),
        (" 90 s ", 90),
        ("-1", "at: is -1 seconds. Write a number of seconds from 0 to 315576000000."),
        (MAX_SECONDS + 1, "at: is 315576000001 seconds. Write a number of seconds from 0 to 315576000000."),
        ("5m", "at: is '5m', but Vertex AI counts in seconds. Write 300 or \"300s\"."),
        ("2 H", "at: is '2 H', but Vertex AI counts in seconds. Write 7200 or \"7200s\"."),
        ("1d", "at: is '1d', but Vertex AI counts in seconds. Write 86400 or \"86400s\"."),
        ("1.5h", "at: should be a number of seconds, but is '1.5h'. Write 3600 or \"3600s\"."),
        ("1" * 16, f"at: should be a number of seconds, but is '{'1' * 16}'. Write 3600 or \"3600s\"."),
        (False, "at: should be a number of seconds, but is true or false."),
    ],
)
def test_a_duration_is_in_seconds(value: object, read: object) -> None:
    """With `s` or without; another unit is refused with the same time in seconds."""
    try:
        assert seconds(value, "at") == read
    except Reject as refused:
        assert str(refused) == read  # noqa: PT017 - one table


BOARD = "projects/p/locations/us-central1/tensorboards/1"
ACCOUNT = "a@p.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("run", "wanted"),
    [
        ({"timeout": "60s", "max_wait_duration": None}, {"timeout": 60}),
        ({"max_wait_duration": "60s", "network": None}, {"max_wait_duration": 60}),
        ({"create_request_timeout": " 30s"}, {"create_request_timeout": 30}),
        ({"create_request_timeout": 1}, {"create_request_timeout": 1}),
        ({"create_request_timeout": None}, {}),
        ({"create_request_timeout": 0.5}, "run.create_request_timeout: is 0.5. Write a number of seconds from 1."),
        (
            {"max_wait_duration": "x"},
            "run.max_wait_duration: should be a number of seconds, but is 'x'. Write 3600 or \"3600s\".",
        ),
        ({"tensorboard": BOARD, "service_account": ACCOUNT}, {"tensorboard": BOARD, "service_account": ACCOUNT}),
        (
            {"tensorboard": BOARD},
            "run.service_account: is missing. "
            "Write a service account: Vertex AI requires it for a job with a tensorboard.",
        ),
        (
            {"tensorboard": BOARD, "service_account": 5},
            "run.service_account: should be a text, but is a number. Write it in quotes.",
        ),
        (
            {"tensorboard": BOARD, "experiment": "e"},
            "run.experiment: cannot be set together with tensorboard. Leave one of them out.",
        ),
        (
            {"tensorboard": f"{BOARD}/x"},
            f"run.tensorboard: is '{BOARD}/x', not a resource name. "
            "Write projects/PROJECT/locations/REGION/tensorboards/ID.",
        ),
        ({"tensorboard": 5}, "run.tensorboard: should be a text, but is a number. Write it in quotes."),
        ({"tensorboard": "", "experiment": "e"}, {"tensorboard": "", "experiment": "e"}),
        ({"network": 5}, "run.network: should be a text, but is a number. Write it in quotes."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_arguments_of_submit_are_read(run: dict[str, Any], wanted: object) -> None:
    """The request's own are not changed."""
    before = dict(run)
    try:
        assert run_arguments(run, "run", {"network": TEXT}) == wanted
    except Reject as refused:
        assert str(refused) == wanted  # noqa: PT017 - one table
    assert run == before


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (("own ", "at", "run", "id"), "own"),
        (("n" * 128, "at", "run", "id"), "n" * 128),
        ((None, "at", " run ", "id"), "run"),
        ((" ", "at", "", "i" * 129), "i" * 128),
        ((5, "at", "run", "id"), "at: should be a text, but is a number. Write it in quotes."),
        (
            ("n" * 129, "at", "run", "id"),
            f"at: has 129 characters: '{'n' * 20}…{'n' * 20}'. Vertex AI accepts at most 128. "
            "Shorten it, or leave it out: the job then gets the run's name, shortened.",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_job_is_named_by_its_queue_or_by_its_run(given: tuple[Any, str, str, str], name: str) -> None:
    """The queue's name is refused if it is too long; the run's is cut."""
    try:
        assert display_name(*given) == name
    except Reject as refused:
        assert str(refused) == name  # noqa: PT017 - one table
