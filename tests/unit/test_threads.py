"""Threads that work for one call know what their caller knows."""

import contextvars

from shared.core.threads import threads

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")


def test_a_thread_has_its_callers_context() -> None:
    """As it was when the threads were made; what a thread changes stays in it."""
    token = WHO.set("the caller")
    try:
        with threads(2) as pool:
            assert list(pool.map(lambda _: WHO.get(), range(4))) == ["the caller"] * 4
            pool.submit(WHO.set, "a thread").result()
            assert WHO.get() == "the caller"
    finally:
        WHO.reset(token)
