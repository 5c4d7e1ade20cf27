"""Replace gcloud.py in gcloud's own Python: `serve.py GCLOUD.PY SOCKET`.

A request is a JSON object with a command's folder, environment and arguments, and has its three
standard files; the answer is its exit code, one byte.
"""

import importlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

IMPORTED = (  # further imports of nearly every command
    "googlecloudsdk.api_lib.util.apis",
    "googlecloudsdk.core.credentials.requests",
    "googlecloudsdk.command_lib.iam.iam_util",
)


def serve(program: Path, address: str) -> None:
    """Import gcloud, then fork for each request."""
    others = [path for path in sys.path if Path(path) not in (Path(__file__).parent, Path.cwd())]
    sys.path[:] = [str(program.parent / "third_party"), str(program.parent), *others]
    gcloud = importlib.import_module("googlecloudsdk.gcloud_main")
    for name in IMPORTED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # only the client waits for its command
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{address}-")
        listening.listen(64)
        Path(f"{address}-").rename(address)  # the socket appears once it listens
        while True:
            asking, _ = listening.accept()
            with asking:
                if os.fork() == 0:
                    listening.close()
                    os._exit(_carry_out(asking, program, gcloud))


def _carry_out(asking: socket.socket, program: Path, gcloud: Any) -> int:
    """Run one command as the requested process; send its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, files, _, _ = socket.recv_fds(asking, 1 << 20, 3)
    wanted = json.loads(message)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.chdir(wanted["folder"])
    os.environ.pop("PYTHONPATH")
    os.environ.update(wanted["environ"])
    sys.argv = [str(program), *wanted["arguments"]]
    try:
        ended = gcloud.main()
    except SystemExit as exit_:
        ended = exit_.code
    code = ended if isinstance(ended, int) else int(ended is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    asking.sendall(bytes([code]))
    return code


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
