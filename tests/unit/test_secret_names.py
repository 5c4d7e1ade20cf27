"""Names that betray a secret, and the secrets of a run spec that they lead to."""

import pytest

from shared.core.secret_names import is_secret, is_surely_secret, secrets_in

LONG = "x" * 200
SECRET = (
    "PASSWORD DB_PASSWD api-key apiKey HF_TOKEN GHTOKEN DBPASS KEY2 key token my_pwd PWD_OLD AWS_SESSION x_jwt "
    "DATABASE_URL RedisUri GIT_CONFIG_VALUE_0 S3_SECRET authorization Cookie webhookUrl PGPASS BYPASS_KEY a1_token "
    "creds SAS OAUTH2 LAUNCH_TOKEN OLDPWD_TOKEN TOKEN_ID_KEY keys_PRIVATE"
)
NO_SECRET = (
    "A PWD pwd OLDPWD MAX_TOKENS max_token NUM_TOKEN KEY_VERSION TOKENIZERS_PARALLELISM PATIENCE PRIMARY_KEY "
    "launch_key idempotency_key publicKey SSH_KEY_PATH PASSWORD_FILE SECRET_NAME TOKEN_COUNT key_id TOKEN_ID MONKEY "
    "DONKEY HOTKEY COMPASS BYPASS author URL keys tokens passing"
)


@pytest.mark.parametrize("name", SECRET.split())
def test_a_name_of_a_secret(name: str) -> None:
    """In the spelling of variables, flags and fields."""
    assert is_secret(name)


@pytest.mark.parametrize("name", [*NO_SECRET.split(), "", "_", LONG + "_TOKEN", 7, None, ("KEY",)])
def test_another_name(name: object) -> None:
    """It only speaks of a secret, means something else, is too long, or is no text."""
    assert not is_secret(name)


def test_a_long_name_is_read_at_its_beginning() -> None:
    """Its first 200 characters."""
    assert is_secret(f"{'x' * 194}_TOKEN")
    assert not is_secret(f"{'x' * 196}_TOKEN")
    assert is_surely_secret(f"{'x' * 194}SECRET")
    assert not is_surely_secret(f"{'x' * 195}SECRET")


@pytest.mark.parametrize(
    ("name", "sure"),
    [("db_pass_word", True), ("api-key", True), ("apiToken", True), ("key", False), ("token", False), ("auth", False)],
)
def test_names_without_another_meaning(name: str, sure: bool) -> None:
    """Separators do not count."""
    assert is_surely_secret(name) is sure


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ({"_wandb_api_key": "k"}, ["k"]),
        ({"a": [{"b": ({"WANDB_API_KEY": "k"},)}]}, ["k"]),
        ({"name": "DB_PASS", "value": "p"}, ["p"]),
        ({"name": "DB_HOST", "value": "p"}, []),
        ({"name": "DB_PASS", "values": "p"}, []),
        ({"my_token": "t", "key": "C", "session": "s", "password": "p"}, ["t", "p"]),
        ({"mytoken": "t", "myKey": "k", "my-key": "l"}, ["k", "l"]),
        ({"my_token": 7, "db_password": ["x"]}, []),
        ({7: "x", ("a_key",): "y"}, []),
        ({"value": "https://me:p%40ss@h/x"}, ["p%40ss", "p@ss"]),
        ({"name": "A", "value": "http://tok@h and ftp://:two@i"}, ["tok", "two"]),
        ({"other": "https://me:pass@h/x"}, []),
        ({"db_password": "https://me:pass@h/x"}, ["https://me:pass@h/x", "pass"]),
        (["--token", "t", "--lr", "1"], ["t"]),
        (("--token=t", "--token=", "-password", "p"), ["t", "", "p"]),
        (["--token"], [""]),
        (["--token", None, "x"], [""]),
        (["--token", 7], ["7"]),
        (["token", "t", 5, "--lr=token"], []),
        (["--api-key", "--x", "y"], ["--x"]),
        ({"a_secret": '{"user": "u", "password": "inner"}'}, ['{"user": "u", "password": "inner"}', "inner"]),
        ({"a_secret": ' {"my_token": "in"}'}, [' {"my_token": "in"}', "in"]),
        ({"a_secret": "{broken"}, ["{broken"]),
        ({"a_secret": '{"a": "word words1234567"'}, ['{"a": "word words1234567"']),
        ({"a_secret": "machine h login u password longer-pass1"},
         ["machine h login u password longer-pass1", "longer-pass1"]),
        ({"a_secret": "some words that-have-no-digit a1b2"}, ["some words that-have-no-digit a1b2"]),
        ({"a_secret": "  one-word-with-1digit  "}, ["  one-word-with-1digit  "]),
        ({"a_secret": "a 'quoted-part-1',b=second-part-22"},
         ["a 'quoted-part-1',b=second-part-22", "quoted-part-1", "second-part-22"]),
        ("text", []),
        (None, []),
        ([{"a_key": "1"}, {"b_key": "2"}, [{"c_key": "3"}]], ["1", "2", "3"]),
    ],
    ids=range(31),
)  # fmt: skip
def test_secrets_are_found(value: object, secrets: list[str]) -> None:
    """At any depth, with their parts."""
    assert sorted(secrets_in(value)) == sorted(secrets)
