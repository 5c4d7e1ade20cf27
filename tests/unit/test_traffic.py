"""What an adapter notes about the answers of a system, until the next round reads it."""

import pytest

from shared.core.traffic import Seen, Traffic


def headers(remaining: str | None, reset: str | None, limit: str | None = "1000") -> dict[str, str]:
    """Return W&B's headers of a limit; None leaves one out."""
    names = {"RateLimit-Remaining": remaining, "RateLimit-Reset": reset, "RateLimit-Limit": limit}
    return {name: value for name, value in names.items() if value is not None}


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (headers("0", "17"), 17),
        (headers("50", "17.5"), 17.5),
        (headers("51", "17"), 0),
        (headers("0", "61"), 60),
        (headers("0", "-3"), 0),
        (headers("0", "17", None), 17),
        (headers("1", "17", None), 0),
        (headers("0", "17", "odd"), 17),
        (headers("0", "17", "-1000"), 17),
        (headers(None, "17"), 0),
        (headers("0", None), 0),
        (headers("nan", "17"), 0),
        (headers("0", "nan"), 0),
        (headers("0", ""), 0),
        ({}, 0),
    ],
)
def test_a_limit_that_is_nearly_spent_resets_later(sent: dict[str, str], seconds: float) -> None:
    """The last twentieth is left to people; a minute is the longest wait."""
    traffic = Traffic()
    traffic.answered(200, sent)
    assert traffic.seen() == Seen(1, refused=False, reset=seconds)


@pytest.mark.parametrize(
    ("status", "refused"), [(200, False), (400, False), (403, False), (429, True), (500, False), (502, True),
                            (503, True), (504, True)]
)  # fmt: skip
def test_an_answer_may_ask_for_fewer_calls(status: int, refused: bool) -> None:
    """429, or a system that is busy."""
    traffic = Traffic()
    traffic.answered(status, {})
    assert traffic.seen() == Seen(1, refused=refused)


def test_the_calls_of_a_round_add_up() -> None:
    """One that was refused, or had no answer, counts for all; the latest reset stays; a reading begins again."""
    traffic = Traffic()
    traffic.answered(200, headers("0", "20"))
    traffic.answered(429, headers("0", "5"))
    traffic.answered(200, {})
    assert traffic.seen() == Seen(3, refused=True, reset=20)
    assert traffic.seen() == Seen()
    traffic.answered(200, headers("0", "20"))
    traffic.unanswered()
    assert traffic.seen() == Seen(2, refused=True, reset=20)
