"""A pytest plugin for the run of one mutant: the nearest tests first.

The more functions a test calls on its way, the farther it is from each. mutmut's statistics tell
which functions a test calls. The tests of a file stay together, because they share fixtures.
"""

import resource
import time
from collections import Counter, defaultdict
from statistics import mean

import pytest
from mutmut.mutation.trampoline import get_mutant_under_test
from mutmut.state import state

START = 20.0  # seconds of CPU time that pytest may need beside the tests
LONGER = 4.0  # times the CPU time of its tests, a mutant ends as one that does not end


def nearest(tests: set[str], most: float) -> list[str]:
    """Return the nearest and fastest of these tests, for this many seconds at most.

    All the tests of a widely used function take minutes.
    """
    chosen, seconds = list[str](), 0.0
    calls, durations = _calls(), state().duration_by_test
    for test in sorted(tests, key=lambda test: (calls[test] * (durations[test] + 0.01), test)):
        seconds += durations[test]
        if chosen and seconds > most:
            break
        chosen.append(test)
    return chosen


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files by the calls of their tests; the order of a file's tests stays."""
    calls = _calls()
    files = defaultdict[str, list[int]](list)
    for item in items:
        files[_file(item)].append(calls[item.nodeid])
    items.sort(key=lambda item: (mean(files[_file(item)]), _file(item)))
    if "__mutmut_" in get_mutant_under_test():
        seconds = sum(state().duration_by_test[item.nodeid] for item in items)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + START + LONGER * seconds), hard))


def _calls() -> Counter[str]:
    """Return the number of functions that each test calls."""
    return Counter(test for tests in state().tests_by_mangled_function_name.values() for test in tests)


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]
