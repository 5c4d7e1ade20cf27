"""YAML files written by hand: what is read, and the words of the refusal of anything else."""

import io
from pathlib import Path
from typing import Any

import pytest

from shared.config.yaml_file import MAX_BYTES, parse_documents, read_bytes, read_yaml
from shared.core.errors import SettingsError

TEN = "".join(f"a{number}: *x\n" for number in range(10))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: 1\nb: [x, {c: null}]\n", {"a": 1, "b": ["x", {"c": None}]}),
        ("a: &a {x: 1}\nb: &b {y: 2}\nc: {<<: *a, <<: *b, z: 3}\n",
         {"a": {"x": 1}, "b": {"y": 2}, "c": {"x": 1, "y": 2, "z": 3}}),
        ("a: {k: 1}\nb: {k: 2}\n", {"a": {"k": 1}, "b": {"k": 2}}),
        (f"x: &x 7\n{TEN}", {"x": 7, **{f"a{number}": 7 for number in range(10)}}),
        ("tab: \"a\\tb\"\nline: \"c\\nd\\x85\"\n", {"tab": "a\tb", "line": "c\nd\x85"}),
    ],
    ids=["empty", "plain", "two merges", "the same key elsewhere", "ten aliases", "blanks"],
)  # fmt: skip
def test_a_file_is_read(tmp_path: Path, text: str, value: Any) -> None:
    """With merges, and up to ten aliases."""
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_yaml(path) == value


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: 1\na: 2\n", "cannot be read as YAML: the key a appears twice, again in line 2"),
        (b"x: {b: 1,\n c: 2,\n b: 3}\n", "cannot be read as YAML: the key b appears twice, again in line 3"),
        (f"x: &x 7\n{TEN}b: *x\n".encode(),
         "cannot be read as YAML: it has more than 10 aliases (*name): write their values out"),
        (b'a: 1\nb: "\\a"\n', "cannot be read as YAML: it has the character '\\x07' in line 2. Remove it"),
        (b"a: 1\n\tb: 2\n",
         "cannot be read as YAML: while scanning for the next token, line 2. Indent with spaces: YAML allows no tabs"),
        (b"a: [1\nb: 2\n", "cannot be read as YAML: while parsing a flow sequence, line 2"),
        (b"a: \xff\n",
         "cannot be read as YAML: 'utf-8' codec can't decode byte 0xff in position 3: invalid start byte"),
        (b"a: !!bool x\n", "cannot be read as YAML: 'x'"),
        (b"? [a, b]\n: 1\n", "cannot be read as YAML: while constructing a mapping, line 1"),
        (b"--- a\n--- b\n", "cannot be read as YAML: expected a single document in the stream, line 2"),
        (b"[" * 5000, "is nested too deeply"),
        (b"#" * (MAX_BYTES + 1), "has more than 100,000 bytes. Shorten it"),
        (b"a: !" + b"t" * 300 + b" x",
         f"cannot be read as YAML: could not determine a constructor for the tag '!{'t' * 52}…{'t' * 99}', line 1"),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_refusal_names_the_file_the_mistake_and_its_line(tmp_path: Path, content: bytes, problem: str) -> None:
    """Of a file, and of documents under any name."""
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        read_yaml(path)
    assert str(refused.value) == f"{path} {problem}"
    if "single document" in problem:
        assert parse_documents(content, "jobs") == ["a", "b"]
        return
    with pytest.raises(SettingsError) as refused:
        parse_documents(content, "jobs")
    assert str(refused.value) == f"jobs {problem}"


def test_a_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    """Also from a stream; one that is missing is named."""
    whole = b"#" * MAX_BYTES
    (tmp_path / "x").write_bytes(whole)
    assert read_bytes(tmp_path / "x") == whole
    stream = io.BytesIO(b"ab")
    assert read_bytes(stream, "-") == b"ab"
    assert not stream.closed
    with pytest.raises(SettingsError, match=r"^- has more than 100,000 bytes"):
        read_bytes(io.BytesIO(whole + b"#"), "-")
    with pytest.raises(SettingsError, match=r"^the file cannot be read as YAML: \[Errno 2\] No such file"):
        read_bytes(tmp_path / "missing", "the file")
    with pytest.raises(SettingsError) as refused:
        read_bytes(tmp_path / "missing")
    assert str(refused.value).startswith(f"{tmp_path / 'missing'} cannot be read as YAML: [Errno 2]")
