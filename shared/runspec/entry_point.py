"""The command of a job's code, as Linux runs it: the same with a builder and without one."""

import re
from pathlib import PureWindowsPath

from shared.core.errors import Reject
from shared.core.shorten import quoted
from shared.runspec.programs import NOTEBOOK

_PYTHON = re.compile(r"python[\d.]*")
_LAUNCHER = re.compile(r"(?:.*\\)?py(?:\.exe)?", re.I)
_SCRIPT = (".py", ".ipynb", ".sh")


def started(command: list[str], field: str, *, own_image: bool) -> list[str]:
    r"""Return the command that starts an entry point; `field` is the name for a refusal.

    A job that was created on Windows names `python.exe` and `src\train.py`. A run names the Python
    of its own machine, such as `python3.9`, but packages are installed for the image's `python3`.
    An image of the code's own Dockerfile (`own_image`) keeps its Python. A notebook becomes a
    script.

    Raises:
        Reject: the script is a path of another machine.
    """
    if not command:
        return command
    program = _program(command[0], field)
    words = [program, *command[1:]]
    if _LAUNCHER.fullmatch(command[0]) and re.fullmatch(r"-[23][\d.-]*", "".join(words[1:2])):
        del words[1]  # the version that Windows' launcher chooses
    is_python = _PYTHON.fullmatch(program) is not None
    if is_python and not own_image:
        words[0] = "python3"
    script = _place_of_script(words, is_python=is_python)
    if script:
        words[script] = _relative(words[script], field)
    if words[script].lower().endswith(".ipynb") and (is_python or not script):
        return ["python3", "-c", NOTEBOOK, *words[script:]]
    return words


def _program(word: str, field: str) -> str:
    """Return a program's name on Linux: without the folder and the suffix of Windows."""
    name = PureWindowsPath(word).name.lower()
    if not name.endswith(".exe") and name != "py":
        return _relative(word, field)
    return re.sub(r"^(?:pyw?|pythonw)(?=[\d.]*$)", "python", name.removesuffix(".exe"))


def _place_of_script(words: list[str], *, is_python: bool) -> int:
    """Return the place of the script's path; 0 if there is none, or if it is the program."""
    for place, word in enumerate(words[1:], 1):
        if word in ("-m", "-c"):
            return 0
        if is_python and words[place - 1] in ("-W", "-X"):  # its value
            continue
        if not word.startswith("-") and word.lower().endswith(_SCRIPT):
            return place
        if is_python and not word.startswith("-"):
            return 0  # a script without a suffix; the next words are its arguments
    return 0


def _relative(word: str, field: str) -> str:
    """Return the path of a script with the separators of Linux."""
    if "\\" not in word and not re.match(r"[A-Za-z]:/", word):
        return word
    path = PureWindowsPath(word)
    if path.drive or path.root:
        problem = f"starts {quoted(word, 200)}, a path of another machine"
        fix = "Write a path within the code."
        raise Reject(field, problem, fix)
    return path.as_posix()
