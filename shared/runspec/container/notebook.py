"""Run a notebook as a script: the text of this program is the command of a notebook's job.

It is `python3 -c TEXT NOTEBOOK ARGUMENTS…`. nbconvert makes the script, as in W&B's agent. Without
nbconvert, nbclient runs the notebook in a kernel. The image needs one of the two.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

CONVERT = ["-m", "nbconvert", "--to", "python", "--log-level", "ERROR"]
EXECUTE = """import sys, nbformat, nbclient
nbclient.NotebookClient(nbformat.read(sys.argv[1], 4), kernel_name="python3").execute()"""


def main() -> None:
    """Become the notebook's process."""
    notebook, arguments = Path(sys.argv[1]), sys.argv[2:]
    if not notebook.is_file():
        sys.exit(f"vertex-launch: there is no notebook {notebook}")
    if has("nbconvert"):
        subprocess.run([sys.executable, *CONVERT, str(notebook)], check=False)
        script = notebook.with_suffix(".py")
        if not script.is_file():
            sys.exit(f"vertex-launch: nbconvert cannot convert {notebook}")
        magic = "get_ipython()" in script.read_text(encoding="utf-8")
        become(
            *(["-m", "IPython", "--"] if magic and has("IPython") else []), str(script), *arguments
        )
    if has("nbclient") and has("ipykernel"):
        become("-c", EXECUTE, str(notebook), *arguments)
    sys.exit(
        f"vertex-launch: {notebook} is a notebook, and this image has no nbconvert. Add nbconvert "
        "to the code's requirements.txt, or use a base image that contains it."
    )


def has(module: str) -> bool:
    """Tell whether a module can be imported."""
    return importlib.util.find_spec(module) is not None


def become(*arguments: str) -> None:
    """Replace this process by Python."""
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 - no shell, on purpose


if __name__ == "__main__":
    main()
