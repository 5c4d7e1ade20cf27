"""The program that our commands run as gcloud."""

import subprocess
from typing import Any

import pytest

from deploy.cloud import gcloud


def test_gcloud_is_run_by_the_path_that_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows it is `gcloud.cmd`, which nothing starts by the name `gcloud`."""
    ran: list[str] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.extend(command)
        return subprocess.CompletedProcess(command, 0, "[]", "")

    monkeypatch.setattr("shutil.which", lambda name: rf"C:\sdk\bin\{name}.cmd")
    monkeypatch.setattr(subprocess, "run", run)
    assert gcloud.run(("projects", "list")) == "[]"
    assert ran == [r"C:\sdk\bin\gcloud.cmd", "projects", "list", "--quiet"]
