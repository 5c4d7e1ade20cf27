"""The folder of a run: held by one run at a time, emptied by its holder only."""

import os
from pathlib import Path

import click
import pytest

from deploy.local.run_folder import clear, held, lack_of_room


def test_a_second_run_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    """It names the process that runs, which keeps its logs."""
    with held(tmp_path):
        (tmp_path / "gcs.log").write_text("running")
        with pytest.raises(click.ClickException, match=f"process {os.getpid()} already runs"), held(tmp_path):
            pass
        assert (tmp_path / "gcs.log").read_text() == "running"


def test_files_of_an_earlier_run_are_deleted(tmp_path: Path) -> None:
    """Its lock ended with it."""
    with held(tmp_path):
        (tmp_path / "jobs").mkdir()
        (tmp_path / "jobs" / "log").touch()
        (tmp_path / "link").symlink_to("/etc")
    with held(tmp_path):
        clear(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    """`--folder ~` must not delete a home."""
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(click.ClickException, match="no earlier run created it"), held(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["file/below", "file"])
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, name: str) -> None:
    """As in a checkout that may only be read."""
    (tmp_path / "file").touch()
    with pytest.raises(click.ClickException, match=r"cannot be written \(Not a directory\)"), held(tmp_path / name):
        pass


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """Before anything starts, and while the demo waits."""
    assert lack_of_room(tmp_path, 0) == ""
    assert "is full" in lack_of_room(tmp_path, 1 << 60)
