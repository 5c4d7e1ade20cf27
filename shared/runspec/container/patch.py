"""Apply the changes that were not committed when a job was created.

wandb writes them with `git diff`, which names a changed binary file without its content. A build
does the same in shared/adapters/build/fetch_repository.sh.
"""

import re
from pathlib import Path

from shared.runspec.container.output import SHOWN, Problem, called, reason, say

HEADER = re.compile(rb"^diff --git", re.M)
# git's setting diff.noprefix leaves them out
PREFIXES = re.compile(rb'^diff --git "?[abciow]/.* "?[abciow]/', re.M)
BEGINS = re.compile(rb"^(?:diff --git|--- )", re.M)
COLOR = re.compile(rb"\x1b\[[0-9;]*[mK]")
COLORED = re.compile(rb"^\x1b\[[0-9;]*mdiff --git", re.M)  # git's setting color.diff=always
WORDS = re.compile(rb"(?:Submodule |\* Unmerged path |  [<>] ).*")  # lines that change no file
WINDOWS = re.compile(rb"^diff --git .*\r$", re.M)  # no line of content begins with its words


def apply_patch(patch: Path, code: Path) -> str:
    """Apply a patch without its binary files; return a warning that names them, or nothing."""
    content = patch.read_bytes()
    if COLORED.search(content):
        content = COLOR.sub(b"", content)
        patch.write_bytes(content)
    if WINDOWS.search(content):  # its writer ended each line as Windows does
        patch.write_bytes(content.replace(b"\r\n", b"\n"))
    if not BEGINS.search(content):
        if all(WORDS.fullmatch(one) or not one.strip() for one in content.splitlines()):
            return ""
        warning = "diff.patch is no output of git diff: the code runs without its changes."
        say(warning)
        return warning
    noprefix = HEADER.search(content) and not PREFIXES.search(content)
    git = ("git", "apply", "-p0" if noprefix else "-p1")
    exit_code, lines = called(*git, str(patch), folder=code)
    if not exit_code:
        return ""
    left = binaries([*git, "--numstat", "-z", str(patch)], code)
    excluded = ["--exclude=" + re.sub(r"([*?\[\]\\])", r"\\\1", name) for name in left]
    if not left or called(*git, *excluded, str(patch), folder=code)[0]:
        raise Problem(f"git apply ended with exit code {exit_code}: {reason(lines)}")
    warning = "Unchanged, because diff.patch has no binary content: "
    say(f"{warning}{', '.join(left)}.")
    more = f", and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
    return f"{warning}{', '.join(left[:SHOWN])}{more}."


def binaries(command: "list[str]", code: Path) -> "list[str]":
    """Return the binary files of a patch, by `git apply --numstat -z`."""
    _, lines = called(*command, folder=code)
    found = (entry.split("\t", 2) for entry in "\n".join(lines).split("\0"))
    return [entry[2] for entry in found if entry[:2] == ["-", "-"]]
