"""Which deployment a command looks at: the stack of `make up`, or one in the cloud."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import click
import pytest
from click.testing import CliRunner

from deploy.local.ports import Ports
from deploy.local.record import FOLDER, Record
from deploy.local.run_folder import held
from deploy.local.stack import Stack
from deploy.operate.fleet.target import Target, target_options


@click.command()
@target_options
def show(target: Target) -> None:
    """Show what was found."""
    reached = os.environ.get("STORAGE_EMULATOR_HOST", "Google")
    click.echo(f"{target.project} {target.region} {target.bucket_name} {target.agent_name} {target.local} {reached}")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Record]:
    """Give the record of a running stack, in a folder of its own."""
    with held(tmp_path / "stack"):
        record = Record.of(Stack(tmp_path / "stack", Ports.above(8000)))
        record.write()
        yield record


def shown(*options: str, **environ: str) -> str:
    """Run the command in a shell with these variables."""
    with patch.dict(os.environ, environ, clear=True):
        return CliRunner().invoke(show, options, catch_exceptions=False).output.strip()


LOCAL = "local-project us-central1 launch-ledger launch True http://127.0.0.1:8004"


def test_the_stack_is_the_target(stack: Record) -> None:
    """In a shell with its script, and with its variables otherwise gone."""
    assert shown(**stack.environment, **{FOLDER: stack.folder}) == LOCAL
    assert shown(**{FOLDER: stack.folder}) == LOCAL
    assert shown("--project=local-project", **{FOLDER: stack.folder}) == LOCAL


def test_a_project_of_the_cloud_is_never_the_stack(stack: Record) -> None:
    """A shell with the stack's variables would reach the stack under the project's name."""
    place = ("--project=prod", "--region=europe-west4")
    assert shown(*place) == "prod europe-west4 prod-launch-ledger launch False Google"
    message = f"the variables of the stack in {stack.folder}, which is not prod: use another shell"
    assert message in shown(*place, **{FOLDER: stack.folder})


def test_a_stack_that_has_ended_is_named(tmp_path: Path) -> None:
    """Its shell still has the variables."""
    message = f"the variables of the stack in {tmp_path}/none, which has ended: use another shell"
    assert message in shown(GOOGLE_CLOUD_PROJECT="local-project", **{FOLDER: f"{tmp_path}/none"})
