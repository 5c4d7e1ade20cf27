"""What holds for every test."""

import signal

import pytest

# A shell that starts us in the background lets us and all that we start ignore Ctrl-C; wandb interrupts scripts by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST = (  # files that take half a minute or more: begun first, so that no worker ends with one of them
    "tests/deployment/test_whole_deployment.py",
    "tests/e2e/test_chaos.py",
    "tests/e2e/test_crashes.py",
    "tests/e2e/test_demo.py",
    "tests/deployment/test_doctor.py",
    "tests/simulation/test_single_faults.py",
    "tests/simulation/test_pairs_of_faults.py",
    "tests/model/test_ledger_protocol.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; the order of a file's tests stays."""
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.location[0], len(LONGEST)))
