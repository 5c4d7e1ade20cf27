"""What holds for every test."""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from deploy.local.environment import clean
from deploy.local.processes import end_with_parent
from shared.core import redaction
from tests import bounded_calls, error_texts, log_lines

# Nothing of the caller's shell reaches a test or what it starts. The workers of xdist are children of a clean process.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _home = Path(tempfile.mkdtemp(prefix="home-"))
    atexit.register(shutil.rmtree, _home, ignore_errors=True)
    _cleaned = clean(_home, also=("PYTEST_", "HYPOTHESIS_", "COVERAGE_"))
    os.environ.clear()
    os.environ.update(_cleaned)
else:
    end_with_parent()
os.umask(0o022)

# A shell that starts us in the background lets us and all that we start ignore Ctrl-C; wandb interrupts scripts by it.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Ended in another way than by Ctrl-C, tests still clean up what they have started.
for _number in (signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_number) != signal.SIG_IGN:  # as `nohup` sets it
        signal.signal(_number, signal.default_int_handler)

settings.register_profile("any machine", deadline=None)  # what an example takes depends on what else runs
settings.load_profile("any machine")

HERE = Path(__file__).parent
LONGEST = (  # files that take half a minute or more: begun first, so that no worker ends with one of them
    "tests/deployment/test_whole_deployment.py",
    "tests/e2e/test_code_jobs.py",
    "tests/deployment/test_ownership.py",
    "tests/e2e/test_chaos.py",
    "tests/e2e/test_crashes.py",
    "tests/e2e/test_demo.py",
    "tests/security/test_memory.py",
    "tests/deployment/test_doctor.py",
    "tests/deployment/test_buckets.py",
    "tests/security/test_requests.py",
    "tests/security/test_redaction.py",
    "tests/security/test_builds.py",
    "tests/security/test_builds_at_the_door.py",
    "tests/upgrade/test_upgrade.py",
    "tests/simulation/test_single_faults.py",
    "tests/simulation/test_pairs_of_faults.py",
    "tests/model/test_ledger_protocol.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; the order of a file's tests stays."""
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.location[0], len(LONGEST)))


@pytest.fixture(autouse=True)
def _nobody_s_secrets() -> Iterator[None]:
    """Forget the operator's secrets that a test's function has read: they would be removed from later texts."""
    known = redaction._operators  # noqa: SLF001 - a process remembers them for good
    before = dict(known)
    yield
    known.clear()
    known.update(before)


@pytest.fixture(autouse=True)
def _nobody_s_environment() -> Iterator[None]:
    """Take back the variables that a command has set for its process, such as the project of Google's clients."""
    before = dict(os.environ)
    yield
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True)
def _lines_errors_and_calls_as_described(request: pytest.FixtureRequest) -> Iterator[None]:
    """Look at each log line, error and HTTP call of the product that a test causes; other parts cause too many."""
    part = request.path.relative_to(HERE).parts[0]
    if part not in ("unit", "contract", "entrypoints"):
        yield
        return
    # the words of servers vary, as the values that hypothesis makes up
    steady = part == "unit" and not getattr(request.function, "is_hypothesis_test", False)
    with log_lines.compared(), error_texts.compared(steady=steady), bounded_calls.compared():
        yield
