"""`vertex-launch board` as a process: where it listens, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from deploy.local.stack import ROOT
from tests.contract.gcs import fresh_bucket, gcs_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give an empty bucket."""
    with gcs_server(tmp_path_factory.mktemp("gcs")) as url:
        yield fresh_bucket(url)


def started(bucket: str, *options: str) -> subprocess.Popen[str]:
    """Start the command as an operator does."""
    command = [sys.executable, "-m", "deploy", "board", "--project=p", f"--bucket={bucket}", *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_it_listens_on_loopback_and_ends_with_ctrl_c(bucket: str) -> None:
    """No other address, no other host, exit code 0; a second board on its port says so and touches nothing."""
    board = started(bucket, "--port=0")
    try:
        assert board.stdout
        line = board.stdout.readline()
        url = line.split()[2]
        answer = requests.get(url, timeout=30)
        assert answer.status_code == 200
        assert "poll has never run" in answer.text
        assert "server" not in answer.headers
        assert requests.get(url, headers={"Host": "evil.example"}, timeout=30).status_code == 421
        listening = [one for one in psutil.Process(board.pid).net_connections() if one.status == psutil.CONN_LISTEN]
        assert [one.laddr.ip for one in listening] == ["127.0.0.1"]
        port = listening[0].laddr.port
        second = started(bucket, f"--port={port}")
        output, _ = second.communicate(timeout=60)
        assert (second.returncode, output) == (1, f"Error: port {port} is taken: --port=0 takes a free one\n")
        assert requests.get(url, timeout=30).status_code == 200
        board.send_signal(signal.SIGINT)
        assert (board.wait(timeout=30), board.stdout.read()) == (0, "")
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port))
    finally:
        board.kill()
        board.wait()


def test_a_bucket_that_is_not_there_is_named(bucket: str, tmp_path: Path) -> None:
    """By the page, which stays up, and by an export, which writes nothing."""
    export = started(f"{bucket}-not", f"--export={tmp_path / 'x.html'}")
    output, _ = export.communicate(timeout=60)
    assert export.returncode == 1
    assert f"gs://{bucket}-not: the bucket does not exist" in output
    assert not (tmp_path / "x.html").exists()
