"""The record of a running stack: how another terminal finds it, and what a second `make up` reports."""

import json
import subprocess
from dataclasses import asdict, fields, replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deploy.local.commands import holding
from deploy.local.ports import Ports
from deploy.local.project import API_KEY
from deploy.local.record import FOLDER, RECORD, SCRIPT, Record, find, running
from deploy.local.run_folder import held
from deploy.local.stack import Stack
from deploy.local.up import HIGHEST, up


def made(folder: Path) -> Record:
    """Return the record of a stack that is not started."""
    return Record.of(Stack(folder, Ports.above(8000), {"LAUNCH_MAX_JOBS": "3"}))


def test_the_record_names_what_commands_need(tmp_path: Path) -> None:
    """In the functions' own names; without a builder, it has no address of one."""
    record = made(tmp_path)
    assert (record.project, record.region, record.ledger_bucket) == ("local-project", "us-central1", "launch-ledger")
    assert (record.entity, record.queues, record.agent_name) == ("local-team", "vertex", "launch")
    assert record.topics["requests"] == "projects/local-project/topics/launch-requests"
    assert record.addresses["pubsub"] == record.environment["PUBSUB_EMULATOR_HOST"] == "127.0.0.1:8002"
    assert record.addresses["wandb"] == record.environment["WANDB_BASE_URL"] == "http://127.0.0.1:8001"
    assert record.addresses.keys() == Ports().by_name(build=False).keys() - {"board"}
    assert list(record.pages) == ["W&B", "Vertex AI"]
    assert (record.environment["WANDB_API_KEY"], record.environment["LAUNCH_MAX_JOBS"]) == (API_KEY, "3")


def test_it_counts_only_while_its_stack_runs(tmp_path: Path) -> None:
    """A killed stack leaves the file, and nobody holds the folder. A later version may add fields."""
    with held(tmp_path / "s"):
        assert running(tmp_path / "s") is None
        record = made(tmp_path / "s")
        record.write()
        assert running(tmp_path / "s") == record
        (tmp_path / "s" / RECORD).write_text(json.dumps(asdict(record) | {"later": 1}))
        assert running(tmp_path / "s") == record
        assert find({FOLDER: str(tmp_path / "s")}) == record
        (tmp_path / "s" / RECORD).write_text("[]")
        assert running(tmp_path / "s") is None
    record.write()
    assert running(tmp_path / "s") is None
    assert running(tmp_path / "none") is None


def test_a_reader_never_keeps_a_stack_from_starting(tmp_path: Path) -> None:
    """It locks the folder for a moment only."""
    with held(tmp_path):
        pass
    assert running(tmp_path) is None
    with held(tmp_path):
        pass


def test_the_script_makes_a_shell_use_the_stack(tmp_path: Path) -> None:
    """It quotes its values, keeps the shell's own programs first, and leaves its other no_proxy in place."""
    folder = tmp_path / "it's a $HOME"
    record = replace(made(folder), environment={"LAUNCH_QUEUES": "a b'$c", "WANDB_API_KEY": "k"})
    record.write()
    show = (
        'set -eu; . "$1"; printf "%s\\n" "$WANDB_API_KEY" "$LAUNCH_QUEUES" "$no_proxy" "$PATH" "$VERTEX_LAUNCH_FOLDER"'
    )
    command = ["sh", "-c", show, "sh", str(folder / SCRIPT)]
    env = {"PATH": "/usr/bin:/bin", "no_proxy": "example.com"}
    shown = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.splitlines()
    assert shown[:3] == ["k", "a b'$c", "127.0.0.1,localhost,::1,example.com"]
    assert shown[3].startswith("/usr/bin:/bin:/")
    assert shown[4] == str(folder)


def test_a_second_run_reports_the_first(tmp_path: Path) -> None:
    """Its process, its pages and how to go on; nothing of it is touched."""
    with holding(tmp_path, ""):
        record = made(tmp_path)
        record.write()
        with pytest.raises(click.ClickException) as refused, holding(tmp_path, 'make up ARGS="--port-base 9000"'):
            pass
        assert running(tmp_path) == record
    first, wandb, vertex, use, end, another = refused.value.message.splitlines()
    assert first.startswith(f"a stack is up already in {tmp_path} (process {record.pid}, since 20")
    assert (wandb, vertex) == ("  W&B: http://127.0.0.1:8001/", "  Vertex AI: http://127.0.0.1:8003/")
    assert (use.split()[-1], end.split()[-1]) == (f"{tmp_path}/{SCRIPT}", str(record.pid))
    assert another == 'Start another: make up ARGS="--port-base 9000"'


@pytest.mark.parametrize(
    ("base", "advice"), [("80", "use 1023 to"), ("1022", "use 1023 to"), (str(HIGHEST + 1), "0<=x<="), ("-1", "0<=x<=")]
)
def test_ports_that_cannot_be_are_refused(tmp_path: Path, base: str, advice: str) -> None:
    """As a usage error, before anything is touched."""
    done = CliRunner().invoke(up, ["--folder", str(tmp_path / "s"), "--port-base", base])
    assert done.exit_code == 2
    assert advice in done.output
    assert not (tmp_path / "s").exists()


def test_the_page_describes_each_field() -> None:
    """In the order of the record."""
    page = Path(__file__).parent.parent.parent / "docs/reference/local-stack.md"
    cells = [line.split("|")[1] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = [name.strip(" `") for cell in cells for name in cell.split(",")]
    assert named == [field.name for field in fields(Record)]
