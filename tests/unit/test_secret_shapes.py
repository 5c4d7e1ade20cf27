"""A secret's form, at its limits: what is removed, and the nearest text that stays."""

import pytest

from shared.core.secret_shapes import without_shapes

RANDOM = "a1B2c3D4e5F6"
HEX = "0123456789abcdef0123456789abcdef01234567"
RUN = RANDOM * 4


def blocks(of_three: int, of_two: int) -> str:
    """Return blocks of small letters, capitals and digits in turn: first those of three characters."""
    sizes = [3] * of_three + [2] * of_two
    return "".join("qZ7"[number % 3] * size for number, size in enumerate(sizes))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"sent Bearer {RANDOM}", "sent Bearer [redacted]"),
        (f"sent basic  {RANDOM}", "sent basic  [redacted]"),
        ("sent Bearer authentication of the client", "sent Bearer authentication of the client"),
        ("sent Basic abcdefg=", "sent Basic [redacted]"),  # padded base64
        ("sent Basic abcdef=", "sent Basic abcdef="),  # too short for a scheme's value
        ("sent Basic abcdefgh=", "sent Basic abcdefgh="),  # no base64 has this length
        ("sent Basic some-path/of-words", "sent Basic some-path/of-words"),
        # 40 hexadecimal digits: the nearest word before decides, then the words after
        (f"key {HEX}", "key [redacted]"),
        (f"commit {HEX}", f"commit {HEX}"),
        (f"commit of the key {HEX}", "commit of the key [redacted]"),
        (f"the key of commit {HEX}", f"the key of commit {HEX}"),
        (f"{HEX} is the key", "[redacted] is the key"),
        (f"{HEX} is the commit", f"{HEX} is the commit"),
        (f"{HEX} is the key of a commit", f"{HEX} is the key of a commit"),
        (f"{HEX} alone", f"{HEX} alone"),
        (f"{HEX}\nis the key", f"{HEX}\nis the key"),
        (f"key {'x ' * 30}{HEX}", f"key {'x ' * 30}{HEX}"),  # too far before
        (f"{HEX} {'x ' * 15}key", f"{HEX} {'x ' * 15}key"),  # too far after
        # values of names
        ("api_key=abc", "api_key=[redacted]"),
        ('{"password": "a b c", "x": 1}', '{"password": "[redacted]", "x": 1}'),
        ("password=xyz, token_count=5", "password=[redacted], token_count=5"),
        ("password=none and password=true", "password=none and password=true"),
        ("<password>hunter2</password>", "<password>[redacted]</password>"),
        ("password>hunter2", "password>hunter2"),
        ("--password hunter2 --lr 1", "--password [redacted] --lr 1"),
        ("-password hunter2", "-password hunter2"),
        ("--password --verbose", "--password --verbose"),
        ("the password hunter2", "the password hunter2"),
        ("['--password', 'hunter2']", "['--password', '[redacted]']"),
        ('{"name": "DB_PASSWORD", "value": "hunter2"}', '{"name": "DB_PASSWORD", "value": "[redacted]"}'),
        ('{"name": "DB_HOST", "value": "hunter2"}', '{"name": "DB_HOST", "value": "hunter2"}'),
        ("key: some-words", "key: some-words"),  # prose and code: the value decides
        (f"key: {RANDOM}", "key: [redacted]"),
        ("key: abcdefgh", "key: abcdefgh"),
        ("key: abc1def2", "key: [redacted]"),  # eight letters with two digits look random
        ("key: ab1def2", "key: ab1def2"),  # seven do not
        ("key: abcdef-12", "key: abcdef-12"),
        ("KEY: some-words", "KEY: [redacted]"),
        ("--secret my-secret-name", "--secret my-secret-name"),  # gcloud's flag for a resource
        ("password=one;password=two", "password=[redacted]"),  # one value may contain a semicolon
        ('password="one"two three', 'password="[redacted]"two three'),
        ("password=hunter2X, x", "password=[redacted], x"),
        (f"(password={'x' * 100}X) x", "(password=[redacted]) x"),
        ("password=none and password=hunter2", "password=none and password=[redacted]"),
        ("password=&api_key=abc", "password=&api_key=[redacted]"),
        ('password="api_key=abc" api_key=def', 'password="[redacted]" api_key=[redacted]'),
        # long runs that encode no text: letters and digits change as by chance
        (f"of {RUN[:40]}", "of [redacted]"),
        (f"of {RUN[:39]}", f"of {RUN[:39]}"),
        (f"of {RUN[:40].lower()}", f"of {RUN[:40].lower()}"),
        (f"of {RUN[:16]}/some-other-words-and-more", "of [redacted]"),
        (f"of {RUN[:15]}/some-other-words-and-more1", f"of {RUN[:15]}/some-other-words-and-more1"),
        (f"of {blocks(8, 8)}", f"of {blocks(8, 8)}"),  # 15 changes in 40 characters
        (f"of {blocks(6, 11)}", "of [redacted]"),  # 16 changes
        # base64
        ("of YXBpOmh1bnRlcjJX", "of [redacted]"),  # api:hunter2W
        ("of YXBpOmh1bnRlcjI=", "of YXBpOmh1bnRlcjI="),  # api:hunter2 is too short for a password
        ("of YXBpOmh1bnRlcjJodW50ZXIy", "of [redacted]"),  # api:hunter2hunter2
    ],
)
def test_a_form_is_removed_and_its_neighbour_stays(text: str, left: str) -> None:
    """The text around it stays, letter by letter."""
    assert without_shapes(text) == left
