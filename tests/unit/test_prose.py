"""Pages, `--help`, docstrings, comments, names and the product's texts avoid the words of tests/unit/prose.py."""

import pytest

from tests.unit.prose import PRODUCT, QUOTED, ROOT, WORDS, Text, files, help_texts, hits, hits_under

ROOMS = ("functions", "shared", "deploy", "tests")
ROOTS = (
    *sorted(page.name for page in ROOT.glob("*.md")),
    *sorted(f"docs/{entry.name}" for entry in (ROOT / "docs").iterdir()),
    *("cloudbuild.yaml", "pyproject.toml", "Makefile", "main.py"),
    *(f"{room}/{entry.name}" for room in ROOMS for entry in (ROOT / room).iterdir() if entry.name != "__pycache__"),
)


@pytest.mark.parametrize("root", sorted(set(ROOTS)))
def test_prose_is_plain(root: str) -> None:
    """Pages, docstrings, comments and, in the product, refusals, reasons and log events."""
    assert [str(hit) for hit in hits_under((root,))] == []


def test_help_is_plain() -> None:
    """Of every command and subcommand, as click prints it."""
    texts = list(help_texts())
    assert len(texts) > 10
    assert [str(hit) for text in texts for hit in hits(text)] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A launch shall run.", ["shall"]),
        ("It is mended.\nWhoever reads it", ["mended", "Whoever"]),
        ("Whatever is in it, in the place\nof it", ["Whatever is", "in the place of"]),
        ("Nor does it. It fails; nor is it read", ["Nor", "nor"]),
        ("Neither this nor that, in any order, whatever the locale.", []),
        ("They are told apart.", []),
        ("bring it to how it is.", ["how it is"]),
        ("how it is built; marshalled, amended", []),
    ],
)
def test_words_are_found_as_words(text: str, found: list[str]) -> None:
    """In any case, over the end of a line, and not as parts of other words."""
    assert sorted(hit.word for hit in hits(Text("page.md", 1, text))) == sorted(found)


def test_a_hit_names_its_line_and_the_replacement() -> None:
    """So that a reader can click on it."""
    [hit] = hits(Text("page.md", 3, "One.\n\nIt shall run."))
    assert str(hit) == "page.md:5: 'shall': write must, or the present tense"


def test_each_quoted_text_is_still_there() -> None:
    """An exception whose file or text is gone is taken out."""
    for quoted in QUOTED:
        assert quoted.reason
        assert (ROOT / quoted.file).is_file(), quoted.file


def test_every_word_has_a_replacement() -> None:
    """The list helps to write, not only to find."""
    assert all(avoided.instead for avoided in WORDS)


def test_the_product_is_read() -> None:
    """No folder of the product is passed over."""
    assert {file.relative_to(ROOT).parts[0] for file in files(PRODUCT)} == set(PRODUCT)
