"""Finds gcloud commands in texts: in Markdown, in the comments of a script, in what is printed."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

PLAUSIBLE = {
    "PROJECT": "p1",
    "PROJECT_ID": "p1",
    "REGION": "us-central1",
    "NAME": "launch",
    "PROJECT_NUMBER": "12",
    "folder": "deploy/cloud",
    "KEY": "projects/p1/locations/us-central1/keyRings/k/cryptoKeys/c",
}
UNKNOWN = "x-1"  # what any other variable, and the output of any command but `date`, stands for
MOMENT = "2026-11-23T12:00:00Z"
SHELLS = ("", "sh", "bash", "shell", "console")
FENCE = re.compile(r"^ *(```+|~~~+) *(\w*)[^\n]*\n(.*?)^ *\1 *$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`(gcloud [^`]+)`(?!`)")
VARIABLE = re.compile(r"\$(?:\{(\w+)[^}]*\}|(\w+))")
PLACEHOLDER = re.compile(r"<([A-Za-z][\w -]*)>")
INNER = re.compile(r"\$\(((?:'[^']*'|[^()'])*)\)")
BEFORE = r"\w+=\S*|if|then|else|do|!|exec|sudo|patiently|command"  # what may stand before a command's first word
CALL = re.compile(rf"(?:^|[;&|(]|(?<!\S)(?:{BEFORE})\s)\s*gcloud\s")
SEPARATORS = re.compile(r"[;&|()<>]+")


@dataclass(frozen=True)
class Found:
    """A command: where it stands, and its words, the first of which is gcloud.

    A mention names a command in a sentence, without a flag: it need not be complete.
    """

    where: str
    words: tuple[str, ...]
    mention: bool = False


def in_markdown(name: str, text: str) -> Iterator[Found]:
    """Yield the commands of blocks in a shell's language, and those that stand `inline`."""
    for fence in FENCE.finditer(text):
        if fence[2] in SHELLS:
            yield from in_shell(name, fence[3], first=text.count("\n", 0, fence.start(3)) + 1)
    prose = FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), text)
    for inline in INLINE.finditer(prose):
        where = f"{name}:{prose.count(chr(10), 0, inline.start()) + 1}"
        for words in _commands(" ".join(inline[1].split()), where):
            yield Found(where, words, mention=not any(word.startswith("-") for word in words))


def in_comments(name: str, script: str) -> Iterator[Found]:
    """Yield the commands of a script's comments: lines that begin with gcloud, and those that stand `inline`."""
    lines = [line.lstrip() for line in script.splitlines()]
    comments = [line.lstrip("# ") if line.startswith("#") else "" for line in lines]
    command, commands = False, []
    for line in comments:
        command = command or line.startswith("gcloud ")
        commands.append(line if command else "")
        command = command and line.endswith("\\")
    yield from in_shell(name, "\n".join(commands))
    yield from in_markdown(name, "\n".join(comments))


def in_shell(name: str, script: str, first: int = 1) -> Iterator[Found]:
    """Yield the commands of lines of shell, those of `$(…)` too; `first` is the number of the first line."""
    lines = iter(enumerate(script.splitlines(), start=first))
    for number, line in lines:
        whole = line.strip().removeprefix("$ ")
        while _goes_on(whole):
            _, more = next(lines, (0, None))
            if more is None:
                break
            whole = f"{whole[:-1]} {more.strip()}" if whole.endswith("\\") else f"{whole}\n{more}"
        where = f"{name}:{number}"
        yield from (Found(where, words) for words in _commands(whole, where))


def _goes_on(line: str) -> bool:
    """Tell whether the next line belongs to it: after a backslash, or inside quotes of a line with a command."""
    if line.endswith("\\") and not line.startswith("#"):
        return True
    return bool(CALL.search(line)) and not line.startswith("#") and not _split(line)


def _split(line: str) -> list[str]:
    """Return a line's words and separators; nothing where a quote is open."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    try:
        return list(reader)
    except ValueError:
        return []


def _commands(line: str, where: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each gcloud command of one line, with values in place of variables.

    Raises:
        ValueError: where a quote stays open.
    """
    if line.startswith("#") or not CALL.search(line) or '"$@"' in line:  # a caller gives the words
        return
    while inner := INNER.search(line):
        yield from _commands(inner[1], where)
        output = MOMENT if inner[1].startswith("date ") else UNKNOWN
        line = line[: inner.start()] + output + line[inner.end() :]
    line = VARIABLE.sub(lambda found: PLAUSIBLE.get((found[1] or found[2]).lstrip("_"), UNKNOWN), line)
    line = PLACEHOLDER.sub(UNKNOWN, line)
    words = _split(line)
    if not words:
        raise ValueError(f"{where}: a quote stays open: {line}")
    command: list[str] = []
    redirected = False
    for word in [*words, ";"]:
        if redirected:
            redirected = False
        elif not SEPARATORS.fullmatch(word):
            command.append(word)
        elif set(word) & set("<>"):
            redirected = True
            command = command[:-1] if command and command[-1] in ("1", "2") else command
        else:
            while command and re.fullmatch(BEFORE, command[0]):
                command.pop(0)
            if command[:1] == ["gcloud"]:
                yield tuple(command)
            command = []
