"""Apply the changes that were not committed when a job was created.

wandb writes them with `git diff`, which names a changed binary file without its content. A build
does the same in shared/adapters/build/fetch_repository.sh.
"""

import re
from pathlib import Path

from shared.runspec.container.output import Problem, called, reason, say

BEGINS = re.compile(rb"^(?:diff --git|--- )", re.M)
WINDOWS = re.compile(rb"^diff --git .*\r$", re.M)  # no line of content begins with its words


def apply_patch(patch: Path, code: Path) -> str:
    """Apply a patch without its binary files; return a warning that names them, or nothing."""
    content = patch.read_bytes()
    if WINDOWS.search(content):  # its writer ended each line as Windows does
        patch.write_bytes(content.replace(b"\r\n", b"\n"))
    if not BEGINS.search(content):
        return ""  # empty, or only words about submodules
    problem = ""
    for strip in ("-p1", "-p0"):  # -p0: git's setting diff.noprefix
        git = ("git", "apply", strip)
        exit_code, lines = called(*git, str(patch), folder=code)
        if not exit_code:
            return ""
        problem = problem or reason(lines)
        left = binaries([*git, "--numstat", "-z", str(patch)], code)
        excluded = ["--exclude=" + re.sub(r"([*?\[\\])", r"\\\1", name) for name in left]
        if left and not called(*git, *excluded, str(patch), folder=code)[0]:
            say(f"diff.patch has no content for {', '.join(left)}: unchanged")
            return f"Unchanged, because diff.patch has no binary content: {', '.join(left)}."
    raise Problem(f"git apply cannot apply diff.patch: {problem}")


def binaries(command: "list[str]", code: Path) -> "list[str]":
    """Return the binary files of a patch, by `git apply --numstat -z`."""
    _, lines = called(*command, folder=code)
    found = (entry.split("\t", 2) for entry in "\n".join(lines).split("\0"))
    return [entry[2] for entry in found if entry[:2] == ["-", "-"]]
