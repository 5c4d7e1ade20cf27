"""W&B's address: one form of it for functions, jobs and commands, and addresses below its path."""

import re

import pytest

from shared.adapters.wandb.downloads import chunks
from shared.adapters.wandb.server import Server
from shared.config.base_url import base_url
from shared.runspec.container import fetch_code
from tests.security.test_redirects import CONTENT, served


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("https://api.wandb.ai/", "https://api.wandb.ai"),
        ("HTTPS://W.Example:8443/WandB//", "https://w.example:8443/WandB"),  # a path keeps its capitals
        (" http://localhost:8080/wandb/ ", "http://localhost:8080/wandb"),
        ("https://[::1]:80/w", "https://[::1]:80/w"),
        ("https://w.test/a/b", "https://w.test/a/b"),
        ("https://w.test/a@b", "https://w.test/a@b"),
    ],
)
def test_an_address_has_one_form(written: str, address: str) -> None:
    """Also if it is read again."""
    assert base_url(written) == base_url(address) == address


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("w.test/wandb", "Write https://HOST"),
        ("ftp://w.test", "Write https://HOST"),
        ("https://", "Write https://HOST"),
        ("https:///wandb", "Write https://HOST"),
        ("https://w.test:x", "a port that is not a number"),
        ("https://w.test:99999", "a port that is not a number"),
        ("https://w.test/wandb?x=1", "Write only https://HOST/PATH"),
        ("https://w.test/a b", "Write only https://HOST/PATH"),
        ("https://w.test\\x", "Write only https://HOST/PATH"),
        ("https://me:hunter2@w.test", "Remove it"),
        ("https://me:hunter2@w.test/a://b", "Remove it"),
        ("https://wandb.ai", "Write https://api.wandb.ai"),  # wandb's own client refuses these three
        ("https://app.wandb.ai/home", "Write https://api.wandb.ai"),
        ("http://api.wandb.ai", "Write https://api.wandb.ai"),
        ("https://w.test/wandb/graphql", "Remove that"),
    ],
)
def test_another_text_is_refused_with_what_to_write(written: str, fix: str) -> None:
    """Without its login."""
    with pytest.raises(ValueError, match=re.escape(fix)) as refused:
        base_url(written)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("base", "address", "path"),
    [
        ("/wandb", "/files/x", "/wandb/files/x"),  # wandb's client puts its base URL before it
        ("/wandb", "/wandb/files/x", "/wandb/files/x"),
        ("/wandb", "/wandbox/x", "/wandb/wandbox/x"),
        ("/a/wandb/", "/files/x", "/a/wandb/files/x"),
        ("", "/files/x", "/files/x"),
        ("/wandb", "{url}/files/x", "/files/x"),
    ],
)
def test_a_file_is_fetched_below_wandbs_path(
    monkeypatch: pytest.MonkeyPatch, base: str, address: str, path: str
) -> None:
    """By the functions and by the program in a job's container alike."""
    with served() as wandb:
        monkeypatch.setenv("WANDB_BASE_URL", wandb.url + base)
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
        server = Server(f"{base_url(wandb.url + base)}/graphql", "k" * 40)
        address = address.format(url=wandb.url)
        assert b"".join(chunks(server, address, 1000, 10)) == fetch_code.fetched(address) == CONTENT
        assert wandb.asked == [(path, True)] * 2
