"""The words that our prose avoids. `python -m tests.unit.prose [FOLDER or FILE] …` prints where they are.

The list is a floor. A program cannot tell the meaning of "where" (if) and "so" (thus): only a reader finds those.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from deploy.__main__ import COMMANDS, main

ROOT = Path(__file__).parent.parent.parent
PRODUCT = ("main.py", "functions", "shared", "deploy")
COMMENTED = (".yaml", ".yml", ".toml", ".sh", ".txt", "Makefile")
HIDDEN = re.compile(r"^build/|(^|/)(\.|__pycache__|[\w.-]+\.egg-info)")
READ_LENGTH = 25  # characters: a shorter constant is a key or a word, not a sentence
VERBS = (
    "is|are|was|were|has|had|does|did|can|could|may|might|must|will|would|comes|came|goes|happens|happened|"
    "else|it is|they are|needs|wants|reads|writes|calls|stands|hangs|fails|starts|runs|waits|raises|made|begins|ends"
)


@dataclass(frozen=True)
class Avoided:
    """Words to avoid, as an expression, and the proposed replacement."""

    pattern: str
    instead: str
    exact_case: bool = False

    def found(self, text: str) -> Iterator[re.Match[str]]:
        """Yield each place in a text."""
        case = 0 if self.exact_case else re.IGNORECASE
        return re.finditer(rf"\b(?:{self.pattern})\b", text, case)


WORDS = (
    Avoided(r"shall|shan't", "must, or the present tense"),
    Avoided(r"mend(?:s|ed|ing)?", "fix, resolve"),
    Avoided(r"who(?:so|m)?ever", "the noun: the caller, a process that …"),
    # "In any order, whatever the locale" is English: there, the word is not a subject.
    Avoided(rf"whatever\s+(?:{VERBS})", "any, all, the noun"),
    Avoided(r"let(?:ting)?\s+(?:in|at)", "accept, allow, give access to"),
    Avoided(r"be\s+it", "whether … or …"),
    Avoided(r"likewise", "also, too"),
    # "Neither … nor" is English; a sentence that begins with it is read twice.
    Avoided(r"(?:Nor|(?<=[.;:]\s)nor)", "and … not, or a new sentence", exact_case=True),
    Avoided(r"beneath", "under, below"),
    # As words, too, not only as names. "To tell apart" has no shorter word.
    Avoided(r"told(?!\s+apart)", "settings, notified, reads"),
    Avoided(r"said", "message, text, reported"),
    Avoided(r"for\s+want\s+of", "because there is no …"),
    Avoided(r"otherwise\s+than", "differently from, not as"),
    # "How it is built" is English; "bring it to how it is" is not.
    Avoided(r"how\s+(?:it|they)\s+(?:is|are)(?=\s*(?:[.,;:)]|$))", "the state, the noun"),
    Avoided(r"(?:is|are|was|were)\s+to\s+be\s+had", "is available"),
    Avoided(r"in\s+the\s+place\s+of", "instead of"),
    Avoided(r"as\s+long\s+as\s+(?:one|you)\s+likes?", "without a limit"),
)
# One search for all of them: most texts have none.
ANY = re.compile("|".join(avoided.pattern for avoided in WORDS), re.IGNORECASE)


@dataclass(frozen=True)
class Quoted:
    """Words of others: a file, the expression of the quoted text, and the reason why it stays."""

    file: str
    pattern: str
    reason: str


QUOTED: tuple[Quoted, ...] = ()


@dataclass(frozen=True)
class Text:
    """A text that people read: its file, its first line and itself."""

    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Hit:
    """A word to avoid, and the place that has it."""

    file: str
    line: int
    word: str
    instead: str

    def __str__(self) -> str:
        """Return the line that a reader clicks on."""
        return f"{self.file}:{self.line}: {self.word!r}: write {self.instead}"


def files(roots: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files under these roots that are ours: neither hidden nor generated."""
    for root in roots:
        path = ROOT / root
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and not HIDDEN.search(_name(file)):
                yield file


def texts(file: Path) -> Iterator[Text]:
    """Yield what people read in a file: a page, docstrings, comments and, in product code, long constants."""
    name, source = _name(file), file.suffix
    if source == ".md":
        yield Text(name, 1, file.read_text(encoding="utf-8"))
    elif source == ".py":
        yield from _of_python(name, file.read_text(encoding="utf-8"))
    elif file.name.endswith(COMMENTED):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            yield Text(name, number, line.partition("#")[2])


def help_texts() -> Iterator[Text]:
    """Yield the `--help` of every command and of its subcommands."""
    with click.Context(main, info_name="vertex-launch") as context:
        yield Text("--help", 1, main.get_help(context))
        for name in COMMANDS:
            command = main.get_command(context, name)
            if command is not None:
                yield from _help_of(command, context, name)


def hits(text: Text) -> Iterator[Hit]:
    """Yield the words to avoid in one text, without those in quoted words of others."""
    if not ANY.search(text.text):
        return
    kept = text.text
    for quoted in QUOTED:
        if quoted.file == text.file:
            kept = re.sub(quoted.pattern, lambda found: re.sub(r"[^\n]", " ", found[0]), kept)
    for avoided in WORDS:
        for found in avoided.found(kept):
            # A page and a docstring have lines; an f-string's parts have the line of its beginning.
            line = text.line + kept.count("\n", 0, found.start())
            yield Hit(text.file, line, " ".join(found[0].split()), avoided.instead)


def hits_of_names(file: Path) -> Iterator[Hit]:
    """Yield the words to avoid in the names of a Python file: each name once, at its first line."""
    seen = set()
    for token in tokenize.generate_tokens(io.StringIO(file.read_text(encoding="utf-8")).readline):
        if token.type != tokenize.NAME or token.string in seen:
            continue
        seen.add(token.string)
        for hit in hits(Text(_name(file), token.start[0], token.string.replace("_", " "))):
            yield Hit(hit.file, hit.line, token.string, hit.instead)


def hits_under(roots: tuple[str, ...]) -> Iterator[Hit]:
    """Yield all words and names to avoid in the files under these roots."""
    for file in files(roots):
        for text in texts(file):
            yield from hits(text)
        if file.suffix == ".py":
            yield from hits_of_names(file)


def _name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def _of_python(name: str, source: str) -> Iterator[Text]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(name, token.start[0], token.string)
    tree = ast.parse(source)
    product = name.startswith(PRODUCT)
    nodes = list(ast.walk(tree))
    of_format = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in of_format:
            text = node.value
        else:
            continue
        if id(node) in docstrings or (product and _is_a_sentence(text)):
            yield Text(name, node.lineno, text)


def _is_a_sentence(text: str) -> bool:
    """Return whether people read a constant: it is long, has a space, and is neither GraphQL, a query nor a script."""
    document = re.match(r"\s*(?:query|mutation|fragment|subscription)\b[^.]*\{|\s*(?:SELECT|import |#!)", text)
    return len(text) > READ_LENGTH and " " in text and document is None


def _help_of(command: click.Command, parent: click.Context, name: str) -> Iterator[Text]:
    with click.Context(command, parent=parent, info_name=name) as context:
        yield Text(f"{context.command_path} --help", 1, command.get_help(context))
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                further = command.get_command(context, below)
                if further is not None:
                    yield from _help_of(further, context, below)


if __name__ == "__main__":
    for hit in hits_under(tuple(sys.argv[1:]) or (".",)):
        click.echo(hit)
    if not sys.argv[1:]:
        for help_text in help_texts():
            for hit in hits(help_text):
                click.echo(hit)
