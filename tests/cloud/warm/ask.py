"""Send a gcloud command to the process at a socket: `ask.py SOCKET ARGUMENT…`."""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as asking:
    asking.connect(sys.argv[1])
    wanted = {"folder": os.getcwd(), "environ": dict(os.environ), "arguments": sys.argv[2:]}  # noqa: PTH109
    socket.send_fds(asking, [json.dumps(wanted).encode()], [0, 1, 2])
    answer = asking.recv(1)
sys.exit(answer[0] if answer else "gcloud ended without an answer")
