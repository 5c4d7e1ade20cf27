"""A pytest plugin for the run of one mutant: the nearest tests first.

The more functions a test calls on its way, the farther it is from each. mutmut's statistics tell
which functions a test calls. The tests of a file stay together, because they share fixtures.
"""

from collections import Counter, defaultdict
from statistics import mean

import pytest
from mutmut.state import state


def nearest(tests: set[str], most: float) -> list[str]:
    """Return the nearest of these tests, nearest first, for this many seconds at most.

    All the tests of a widely used function take minutes.
    """
    chosen, seconds = list[str](), 0.0
    distance = _distances()
    for test in sorted(tests, key=lambda test: (distance[_file(test)], test)):
        seconds += state().duration_by_test[test]
        if chosen and seconds > most:
            break
        chosen.append(test)
    return chosen


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files by their distance; the order of a file's tests stays."""
    distance = _distances()
    items.sort(key=lambda item: (distance[_file(item.nodeid)], _file(item.nodeid)))


def _distances() -> dict[str, float]:
    """Return how many functions a test of each file calls on average."""
    called = Counter[str]()
    for tests in state().tests_by_mangled_function_name.values():
        called.update(tests)
    files = defaultdict[str, list[int]](list)
    for test, count in called.items():
        files[_file(test)].append(count)
    return defaultdict(float, {file: mean(counts) for file, counts in files.items()})


def _file(test: str) -> str:
    return test.partition("::")[0]
