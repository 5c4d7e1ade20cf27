"""The clean environment: what of a caller's shell reaches the stack, the demo's commands and the tests."""

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from deploy.local.environment import KEPT, NO_PROXY, ROOT, clean

names = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz", min_size=1)
LEADING = {  # each has stopped the demo or the tests of somebody
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "all_proxy": "socks5://127.0.0.1:9",
    "grpc_proxy": "http://127.0.0.1:9",
    "no_grpc_proxy": "example.com",
    "WANDB_MODE": "offline",
    "WANDB_DIR": "/proc/none",
    "PYTHONWARNINGS": "error",
    "PYTHONSAFEPATH": "1",
    "PYTHONPATH": "/proc/none",
    "PYTHONIOENCODING": "ascii",
    "LC_ALL": "C",
    "GOOGLE_APPLICATION_CREDENTIALS": "/proc/none",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    "CLOUDSDK_CONFIG": "/proc/none",
    "TMPDIR": "/proc/none",
}


def test_nothing_that_leads_elsewhere_is_kept() -> None:
    """Loopback is no proxy's business, and all output is UTF-8."""
    made = clean(caller=LEADING | {"PATH": "/bin"})
    assert {name: made[name] for name in LEADING if name in made} == {}
    assert made.items() >= (NO_PROXY | {"PATH": "/bin", "LANG": "C.UTF-8", "PYTHONUTF8": "1"}).items()


@given(st.dictionaries(names, st.text()))
def test_only_the_list_is_kept(caller: dict[str, str]) -> None:
    """A variable that nobody has thought of is not kept; cleaning twice changes nothing."""
    made = clean(caller=caller)
    own = {*NO_PROXY, "HOME", "LANG", "PYTHONUTF8", "PYTHONUNBUFFERED", "TMPDIR"}
    assert made.keys() <= {*KEPT, *own}
    assert clean(caller=made) == made


def test_home_and_scratch_can_be_written(tmp_path: Path) -> None:
    """HOME is the given folder; TMPDIR stays only if it exists and can be written."""
    assert clean(tmp_path, {"HOME": "/proc/none"})["HOME"] == str(tmp_path)
    assert clean(caller={"TMPDIR": str(tmp_path)})["TMPDIR"] == str(tmp_path)
    assert "TMPDIR" not in clean(caller={"TMPDIR": "relative"})


def test_these_tests_run_in_it() -> None:
    """In the worker as in the process that was started, so whatever a test starts inherits it."""
    assert not [name for name in os.environ if name.startswith(("WANDB_", "GOOGLE_", "CLOUDSDK_", "PYTHONWARN"))]
    assert os.environ["no_proxy"] == NO_PROXY["no_proxy"]
    assert "home-" in os.environ["HOME"]


def test_make_hides_the_shells_python_variables() -> None:
    """-E: Python ignores PYTHONHOME, PYTHONSAFEPATH and the like before any code of ours could."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert 'RUN := "$(VENV)/bin/python" -E -X utf8\n' in text
    recipes = [line for line in text.splitlines() if line.startswith("\t")]
    assert not [line for line in recipes if "bin/python" in line]
