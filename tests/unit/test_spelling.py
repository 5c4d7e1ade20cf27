"""Names in other spellings, and texts that are shortened in the middle."""

from collections.abc import Callable

import pytest

from shared.core.redaction import hiding
from shared.core.shorten import quoted, shortened, shown
from shared.core.spelling import holding, nearest, plain, same

KNOWN = ("worker_pool_specs", "image_uri", "service_account", "labels")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("workerPoolSpecs", "worker_pool_specs"),
        ("--worker-pool-specs=a=b", "worker_pool_specs"),
        (" Run ", "run"),
        ("Service  Account", "service_account"),
        ("max2Jobs", "max2_jobs"),
        ("HTTPPort", "httpport"),
        ("--a", "a"),
        ("--Xs", "xs"),
        ("a-", "a_"),
        (f"{'a' * 80}b", "a" * 80),
        ("", ""),
    ],
)
def test_a_name_in_pythons_spelling(written: str, name: str) -> None:
    """Without dashes, capitals and a value; of a long name, its first 80 characters."""
    assert plain(written) == name


@pytest.mark.parametrize(
    ("find", "written", "found"),
    [
        (same, "workerpoolspecs", "worker_pool_specs"),
        (same, "worker_pool_spec", ""),
        (same, "IMAGE-URI", "image_uri"),
        (same, "_labels_", "labels"),
        (holding, "image", "image_uri"),
        (holding, "Account", "service_account"),
        (holding, "mag", ""),
        (holding, "image_uri", ""),
        (nearest, "imageUri", "image_uri"),
        (nearest, "worker_pool", "worker_pool_specs"),
        (nearest, "label", "labels"),
        (nearest, "xyz", ""),
        (nearest, "serv", ""),
    ],
)
def test_the_known_name_that_a_name_means(find: Callable[..., str], written: str, found: str) -> None:
    """As it is known; empty if there is none."""
    assert find(written, KNOWN) == found


def test_the_nearest_name_is_found_within_a_likeness() -> None:
    """The caller may ask for more or for less of it."""
    assert nearest("abcdef", ["abcxyz"], 0.5) == "abcxyz"
    assert nearest("abcdef", ["abcxyz"]) == ""
    assert nearest("abcde", ["abcxy"]) == "abcxy"
    assert nearest("abcde", ["abcxy"], 0.7) == ""
    assert nearest("labels", ["lebals", "label", "Labels"]) == "Labels"


@pytest.mark.parametrize(
    ("text", "most", "left"),
    [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "ab … ijk"),
        ("éééééé", 12, "éééééé"),
        ("éééééé", 11, "é … é"),
        ("éééééé", 9, "é … é"),
        ("a\ud800b", 3, "a?b"),
        ("abcdefghi\ud800", 9, "ab … i?"),
        ("password=hunter2 and more", 25, "password=hunter2 and more"),
        ("password=hunter2hunter2hunter2", 29, "password=[redacted]"),
        ("password=hunter2 and more", 22, "password …  and more"),
    ],
)
def test_bytes_are_left_out_in_the_middle(text: str, most: int, left: str) -> None:
    """No character is cut, and no secret stays in half."""
    assert shortened(text, most) == left
    assert len(left.encode()) <= most


def test_a_text_is_redacted_before_it_is_cut() -> None:
    """Half a secret has no form that shows it."""
    with hiding(["planted-secret"]):
        assert shown("x" * 70 + "planted-secret") == f"{'x' * 70}[redacted]"
        assert shown("x" * 75 + "planted-secret") == f"{'x' * 40}…{'x' * 30}[redacted]"
        assert shown("planted-secret") == "planted-secret"  # the whole leaves through another `redacted`


def test_characters_are_left_out_in_the_middle() -> None:
    """Of texts, and of quoted values of any type."""
    assert shown("abcdefghij", 10) == "abcdefghij"
    assert shown("abcdefghijk", 10) == "abcde…ghijk"
    assert shown("abcdefghijk", 9) == "abcd…ghijk"
    assert shown("x" * 80) == "x" * 80
    assert shown("x" * 81) == f"{'x' * 40}…{'x' * 40}"
    assert quoted("it's\n") == '"it\'s\\n"'
    assert quoted(["a"]) == "\"['a']\""
    assert quoted("x" * 81) == f"'{'x' * 40}…{'x' * 40}'"
    assert quoted(12345, 4) == "'12…45'"
