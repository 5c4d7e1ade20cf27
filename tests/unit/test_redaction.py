"""Texts without what is secret, found by its name or by its form."""

import base64
import html
import json
from urllib.parse import quote

import pytest

from shared.core.redaction import hide, hiding, redacted, remember, secrets_in

SPEC = {
    "_wandb_api_key": "own-key-1",
    "idempotency_key": "42",
    "overrides": {"run_config": {"key": "C major", "tokens": "many"}},
    "resource_args": {
        "vertex": {
            "spec": {
                "encryption_spec_key_name": "projects/p/k",
                "worker_pool_specs": [
                    {"container_spec": {"env": [{"name": "DB_PASSWORD", "value": "pass-word"}]}},
                    {"container_spec": {"env": [{"name": "my_token", "value": "to-ken"}, {"name": "A", "value": "b"}]}},
                    {"container_spec": {"env": [{"name": "X_KEY", "value": {"x": "y"}}, {"name": 5, "value": "n"}, 7]}},
                    {"container_spec": {"env": [{"name": ["A_KEY"], "value": "l"}, {"name": {}, "value": "m"}]}},
                    {"container_spec": {"env": [{"name": "WANDB_API_KEY", "value": "queues-key"}]}},
                ],
            }
        }
    },
}


def test_secrets_of_arguments_and_fields_are_found() -> None:
    """Flags with their values, fields of several words, and passwords of addresses under any name."""
    spec = {
        "args": ["--token", "to-ken-1", "--lr=1", "--db-password=pass-2", "--epochs", "3", "--key"],
        "template_variables": {"db_pass": "pass-3", "session": "morning", "sort_key": "name"},
        "env": [{"name": "MIRROR", "value": "https://me:p%40ss-4@h/x"}],
    }
    assert set(secrets_in(spec)) == {"to-ken-1", "pass-2", "", "pass-3", "p%40ss-4", "p@ss-4"}


def test_secrets_are_found_by_their_names() -> None:
    """Keys of W&B anywhere, and variables; no other entry, under any name."""
    assert list(secrets_in(SPEC)) == ["own-key-1", "pass-word", "to-ken", "queues-key"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a secret-1, a secret-12", "a [redacted], a [redacted]"),
        ("pools[1] and 1", "pools[1] and 1"),
        ("https://u:p@h.test/x and git+ssh://git@h/y", "https://[redacted]@h.test/x and git+ssh://[redacted]@h/y"),
        ("https://h.test/@scope a@b.test", "https://h.test/@scope a@b.test"),
        (
            "?X-Goog-Signature=ab%2F&Expires=1 Signature=x/y=",
            "?X-Goog-Signature=[redacted]&Expires=1 Signature=[redacted]",
        ),
        ("_wandb_api_key: contains half of a pair", "_wandb_api_key: contains half of a pair"),
        ('{"url": "https://u:p@h"}', '{"url": "https://[redacted]@h"}'),
    ],
)
def test_a_text_is_left_without_them(text: str, left: str) -> None:
    """The longest first; what is too short to be one stays, or nothing could be read; logins and signatures go."""
    assert redacted(text, ["secret-1", "secret-12", "1", ""]) == left


@pytest.mark.parametrize("text", ['Write ["--password=hunter2"].', "PASSWORD=hunter2, x", "(HF_TOKEN=hunter2)"])
def test_a_text_without_secrets_stays_as_it_is(text: str) -> None:
    """A refusal is redacted where it is written, and again where it leaves."""
    once = redacted(text)
    assert "hunter2" not in once
    assert redacted(once) == once


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ({"DB_PASSWORD": "pw"}, {"DB_PASSWORD": "[redacted]"}),
        ({"DB_PASSWORD": ""}, {"DB_PASSWORD": ""}),
        ({"DB_PASSWORD": True}, {"DB_PASSWORD": True}),
        ({"DB_PASSWORD": 7}, {"DB_PASSWORD": "[redacted]"}),
        ({"DB_PASSWORD": ["pw"]}, {"DB_PASSWORD": "[redacted]"}),
        ({"DB_PASSWORD": {"a": "b"}}, {"DB_PASSWORD": {"a": "b"}}),
        ({"my_token": 7}, {"my_token": 7}),
        ({"my_token": "projects/p/secrets/s"}, {"my_token": "projects/p/secrets/s"}),
        ({"key": "C major"}, {"key": "C major"}),
        ({"WANDB_API_KEY": {"a": 1}}, {"WANDB_API_KEY": "[redacted]"}),
        ({"name": "DB_PASSWORD", "value": {"a": 1}}, {"name": "DB_PASSWORD", "value": "[redacted]"}),
        ({"name": "A", "value": "b"}, {"name": "A", "value": "b"}),
        ({"known-1": "known-1", "a": ("known-1", 1, None)}, {"[redacted]": "[redacted]", "a": ["[redacted]", 1, None]}),
        ([{"known-1"}, 1.5, False], [["[redacted]"], 1.5, False]),
    ],
    ids=str,
)
def test_a_structure_is_left_without_them(value: object, left: object) -> None:
    """A name hides any secret under it, but no count, name or empty value; the rest keeps its form."""
    assert redacted(value, ["known-1"]) == left


RANDOM = "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8"  # 24 characters, as a key's
ODD = 'se"cr\\et&é/1'


@pytest.mark.parametrize(
    ("secret", "text", "left"),
    [
        ("secret-1", f"a {base64.b64encode(b'secret-1').decode()} b", "a [redacted]E= b"),
        ("secret-1", f"a {base64.b64encode(b'x:secret-1').decode()} b", "a eDp[redacted]Q== b"),
        ("secret-1", f"a {base64.b64encode(b'x:secret-1yz').decode()} b", "a eDp[redacted]Xl6 b"),
        ("secret-1", "hex 7365637265742d31", "hex [redacted]"),
        ("secret-1", "s e c\nr\\net-1 and 'se'+'cret-1'", "[redacted] and 'se'+'cret-1'"),
        (ODD, f"text {ODD}", "text [redacted]"),
        (ODD, f"JSON {json.dumps(ODD)}", 'JSON "[redacted]"'),
        (ODD, f"JSON in JSON {json.dumps(json.dumps(ODD))}", 'JSON in JSON "\\"[redacted]\\""'),
        (ODD, f"Unicode {json.dumps(ODD, ensure_ascii=False)}", 'Unicode "[redacted]"'),
        (ODD, f"repr {ODD!r}", "repr '[redacted]'"),
        (ODD, f"html {html.escape(ODD)}", "html [redacted]"),
        (ODD, f"path {quote(ODD)}", "path [redacted]"),
        (ODD, f"url {quote(ODD, safe='')} {quote(ODD, safe='').lower()}", "url [redacted] [redacted]"),
        ("a b c d e", "form a+b+c+d+e", "form [redacted]"),
        ("a b c d e", "close abcde", "close abcde"),  # without blanks it has five characters
        ("12345", "short 12345", "short 12345"),
        ("123456", "short 123456", "short [redacted]"),
        (RANDOM, f"cut {RANDOM[:12]} and {RANDOM[:11]}", f"cut [redacted] and {RANDOM[:11]}"),
        (RANDOM, f"cut {RANDOM[3:20]}…{RANDOM[-12:]}.", "cut [redacted]…[redacted]."),
        (RANDOM, f"{RANDOM[:13]}{RANDOM[:12]}", "[redacted]"),
        ("a-word-that-is-long-and-no-key", "a-word-that-is and long", "a-word-that-is and long"),
        (RANDOM[:19], RANDOM[:12], RANDOM[:12]),
    ],
    ids=range(22),
)
def test_a_known_secret_is_removed_in_any_form(secret: str, text: str, left: str) -> None:
    """Encoded, escaped, broken over lines; of a random one also a piece of twelve characters."""
    assert redacted(text, [secret]) == left


def test_the_longest_secret_is_removed_first() -> None:
    """A shorter one may be a part of it."""
    assert redacted("a-b-secret-c", ["b-secret", "a-b-secret-c", "z-secret"]) == "[redacted]"


def test_a_long_text_is_cut_in_the_middle() -> None:
    """With a margin at the cut, in which half a secret could stand."""
    text = "a" * 50_000 + "-secret-1-" * 10 + "b" * 50_000
    assert redacted(text, ["secret-1"]) == f"{'a' * 45_000} … {'b' * 45_000}"
    assert redacted("a" * 100_000) == "a" * 100_000


def test_a_process_remembers_fifty_secrets_of_the_operator() -> None:
    """The latest ones; an empty one is none."""
    remember([f"planted-{number:03}" for number in range(51)])
    remember(["", "another-1"])
    assert redacted("planted-000 planted-001 planted-002 another-1") == "planted-000 planted-001 [redacted] [redacted]"


def test_the_secrets_at_hand_end_with_their_block() -> None:
    """Blocks nest; outside of them nothing is hidden."""
    hide(["outside-1"])
    with hiding(["outer-1"]):
        hide(["hidden-1"])
        with hiding(["inner-1"]):
            hide(["hidden-2"])
            assert redacted("outer-1 hidden-1 inner-1 hidden-2") == " ".join(["[redacted]"] * 4)
        assert redacted("outer-1 hidden-1 inner-1 hidden-2") == "[redacted] [redacted] inner-1 hidden-2"
    assert redacted("outer-1 hidden-1 outside-1") == "outer-1 hidden-1 outside-1"


def test_what_is_too_deep_is_removed_as_a_whole() -> None:
    """No part of it could be looked at."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert redacted(deep) == "[redacted]"
