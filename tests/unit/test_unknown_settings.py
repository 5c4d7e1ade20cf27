"""Names that no setting has: a misspelt one stops the functions, any other is reported."""

import logging
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deploy.operate.agent_keys import KEYS
from shared.config import unknown
from shared.config.launch_config import LaunchConfig, read_launch_config
from shared.config.settings import KINDS, PollSettings, StatusSettings, SubmitSettings, load, variables
from shared.core.errors import SettingsError

NAMES = [names[0] for kind in KINDS for names in variables(kind).values()]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the launch-config that the functions read, with all that they require."""
    unknown.report.cache_clear()
    path = tmp_path / "launch-config.yaml"
    path.write_text("entity: team\nqueues: [q]\nenvironment: {type: gcp, region: r1, project: p1}\n")
    monkeypatch.setenv("LAUNCH_CONFIG", str(path))
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setenv("LEDGER_BUCKET", "bucket")
    return path


@pytest.mark.parametrize(
    ("line", "key", "like"),
    [
        ("plicy: {regions: [r1]}", "plicy", "policy"),
        ("Policy: {regions: [r1]}", "Policy", "policy"),
        ("polciy: {}", "polciy", "policy"),
        ("secure-mode: true", "secure-mode", "secure_mode"),
        ("maxjobs: 1", "maxjobs", "max_jobs"),
        ("laddr: {}", "laddr", "ladder"),
        ("builders: {}", "builders", "builder"),
        ("keysecret: x", "keysecret", "key_secret"),
        ("registry: {url: x}", "registry.url", "registry.uri"),
        ("scheduler: {machine-type: x}", "scheduler.machine-type", "scheduler.machine_type"),
    ],
)
def test_a_misspelt_key_stops_each_function(config: Path, line: str, key: str, like: str) -> None:
    """`plicy` would otherwise mean no policy."""
    with config.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    for kind in (PollSettings, SubmitSettings, StatusSettings):
        with pytest.raises(SettingsError, match=f"{key}: is not known; write {like}"):
            load(kind)


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("LAUNCH_POLICYS", "LAUNCH_POLICY"),
        ("LAUNCH_PLICY", "LAUNCH_POLICY"),
        ("LAUNCHPOLICY", "LAUNCH_POLICY"),
        ("POLL_BUDGET_SECOND", "POLL_BUDGET_SECONDS"),
        ("STATUS_BUDGET_SECODNS", "STATUS_BUDGET_SECONDS"),
        ("LEDGER_BUKET", "LEDGER_BUCKET"),
    ],
)
def test_a_misspelt_variable_stops_each_function(monkeypatch: pytest.MonkeyPatch, name: str, like: str) -> None:
    """Also those of the other functions: one deployment gives all three the same."""
    monkeypatch.setenv(name, "{}")
    for kind in (PollSettings, SubmitSettings, StatusSettings):
        with pytest.raises(SettingsError, match=f"{name}: is not known; write {like}"):
            load(kind)


def test_an_unknown_name_is_reported_once(
    config: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may belong to a newer version. Other programs' variables are none of ours."""
    monkeypatch.setenv("LAUNCH_SOMETHING_ELSE", "1")
    monkeypatch.setenv("SOMETHING_ELSE", "1")
    with config.open("a", encoding="utf-8") as file:
        file.write("something: 1\nbuilder: {something: 2}\nverbosity: 1\n")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            load(PollSettings)
    lines = [record.fields for record in caplog.records if record.message == "settings.unknown"]  # type: ignore[attr-defined]
    assert sorted(line["names"] for line in lines) == [["LAUNCH_SOMETHING_ELSE"], ["builder.something", "something"]]


def test_a_macro_may_be_named_as_its_owner_likes(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no setting, however similar."""
    assert config.exists()
    monkeypatch.setenv("LAUNCH_MACROS", "LAUNCH_QUEUE, POLL_BUDGET")
    monkeypatch.setenv("LAUNCH_QUEUE", "x")
    assert load(SubmitSettings).launch_macros == ("LAUNCH_QUEUE", "POLL_BUDGET")


def test_every_key_that_the_agent_knows_passes() -> None:
    """`migrate` explains the same keys."""
    known = dict(unknown.sections(LaunchConfig))
    ours = {f"{section}.{name}".removeprefix(".") for section, names in known.items() for name in names}
    strict = ("policy.", "requests.", "ladder.")
    explained = {key for key in KEYS if key not in ours and not key.startswith(strict)}
    assert explained == unknown.OF_THE_AGENT | {"environment.project"} - ours


def test_no_known_name_is_near_another_programs() -> None:
    """A platform's own variables stop nothing."""
    platform = ["PORT", "K_SERVICE", "K_REVISION", "K_CONFIGURATION", "FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE"]
    wandb = ["WANDB_DIR", "WANDB_MODE", "WANDB_ENTITY", "WANDB_PROJECT", "WANDB_CACHE_DIR", "WANDB_SILENT"]
    others = ["PATH", "HOME", "LANG", "GOOGLE_APPLICATION_CREDENTIALS", "LOG_EXECUTION_ID", "STORAGE_EMULATOR_HOST"]
    assert unknown.variables([*platform, *wandb, *others], NAMES) == {}


@given(st.sampled_from(NAMES), st.data())
def test_one_or_two_edits_are_near(name: str, data: st.DataObject) -> None:
    """A letter too much, too little, wrong, or exchanged with its neighbour."""
    letters = list(name)
    half = len(name) // 2  # a second edit within an exchanged pair would be a third one
    for least, most in data.draw(st.sampled_from([[(0, len(name) - 2)], [(half, len(name) - 2), (0, half - 3)]])):
        place = data.draw(st.integers(least, most))
        match data.draw(st.sampled_from(["more", "less", "other", "exchanged"])):
            case "more":
                letters.insert(place, "X")
            case "less":
                del letters[place]
            case "other":
                letters[place] = "Q"
            case "exchanged":
                letters[place : place + 2] = reversed(letters[place : place + 2])
    assert unknown.near("".join(letters), [name]) == name
    assert unknown.near(f"{''.join(letters)}ABCDE", [name]) == ""


def test_a_file_that_is_no_mapping_is_refused_as_before(tmp_path: Path) -> None:
    """The search for unknown keys does not touch it."""
    path = tmp_path / "launch-config.yaml"
    path.write_text("- a\n")
    with pytest.raises(SettingsError, match="valid dictionary"):
        read_launch_config(path)


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("abce", ["abcd"], "abcd"),  # four letters may have one edit
        ("abef", ["abcd"], ""),
        ("abdc", ["abcd"], "abcd"),
        ("abefe", ["abcde"], "abcde"),  # five may have two
        ("abxyz", ["abcde"], ""),
        ("ABCDE", ["abcde"], "abcde"),
        ("abcde", ["ABCDE"], "ABCDE"),
        ("abcdefg", ["abcde"], "abcde"),
        ("abcdefgh", ["abcde"], ""),
        ("abc", ["abcde"], ""),
        ("abcde", ["abcdefg"], "abcdefg"),
        ("badce", ["abcde"], "abcde"),  # two exchanges are two edits
        ("badcef", ["abcde"], ""),
        ("cabde", ["abcde"], "abcde"),
        ("bcdea", ["abcde"], "abcde"),
        ("abcdexx", ["abcdezz", "abcdex"], "abcdex"),  # the nearest of several
        ("abcdex", ["abcdez", "abcdey"], "abcdey"),
        ("abcdefghij", ["klmnopqrst"], ""),
        ("aabbccdd", ["aabb", "ccdd"], ""),
        ("name", [], ""),
        ("", ["a"], "a"),
        ("", ["ab"], ""),
    ],
)
def test_the_near_name(name: str, known: list[str], near: str) -> None:
    """One edit of a short name, two of a longer one; capitals do not count."""
    assert unknown.near(name, known) == near


def test_the_unknown_keys_of_a_file() -> None:
    """Of the top level and of its sections; those that W&B's agent knows pass."""
    written: dict[Any, Any] = {
        "entity": "team", "verbosity": 1, "entty": 1, "zzz": 2, "policy": {"zzz": 1}, "ladder": {"zzz": 1},
        "builder": {"type": "noop", "uri": "x", "build-context-store": "s", "build-context-stores": "s", "platform": 1},
        "registry": {"image_name": "x", "image-name": "y", "zzz": 1}, "scheduler": "text", 7: {"a": 1},
        "environment": {"tipe": "gcp", "zzz": 1}, "other": {"type": 1},
    }  # fmt: skip
    assert unknown.keys(written, LaunchConfig) == {
        "entty": "entity", "zzz": "", "builder.build-context-stores": "builder.build-context-store",
        "registry.zzz": "", "7": "", "environment.tipe": "environment.type", "environment.zzz": "", "other": "",
    }  # fmt: skip


def test_the_unknown_variables_of_a_process() -> None:
    """A near one, or one with a prefix of ours; known ones in any capitals pass."""
    known = ["LAUNCH_QUEUES", "LOG_LEVEL"]
    given = ["LAUNCH_QUEUE", "launch_queues", "Log_Level", "LOG_LEVLE", "POLL_X", "SUBMIT_X", "STATUS_X", "LAUNCH_X",
             "X_LAUNCH_", "HOME", "poll_x", "LAUNCH_QUEUES"]  # fmt: skip
    assert unknown.variables(given, known) == {
        "LAUNCH_QUEUE": "LAUNCH_QUEUES", "LOG_LEVLE": "LOG_LEVEL", "POLL_X": "", "SUBMIT_X": "", "STATUS_X": "",
        "LAUNCH_X": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"policy": {"imagess": []}}, "is not known; write images"),
        ({"policy": {"zzz": []}}, "is not known; known: accelerator_types, boot_disk_types, buckets, "),
        ({"ladder": {"regions": [{"regio": "x"}]}}, "is not known; write region"),
        ({"ladder": {"regions": [{"zzz": "x"}]}}, "is not known; known: region, staging_bucket"),
        ({"ladder": {"regions": [{"strategies": "x"}]}}, "is not known; known: region, staging_bucket"),
        ({"ladder": {"zzz": "x"}}, "is not known; known: regions, strategies"),
        ({"requests": {"zzz": "x"}}, "is not known; known: entities, projects, queues, sources"),
        ({"entity": 123}, "Input should be a valid string; put a number, a date, yes or no in quotes"),
        (
            {"queues": "a,b"},
            'is \'a,b\': write a list, queues: ["a", "b"], or queues: ["a,b"] for one queue whose name ',
        ),
        ({"max_jobs": -2}, "Input should be greater than or equal to -1"),
    ],
)
def test_the_message_of_a_wrong_key(written: dict[str, object], message: str) -> None:
    """The known key in its place, the keys that are known there, or pydantic's own message."""
    with pytest.raises(ValidationError) as wrong:
        LaunchConfig.model_validate(written)
    messages = [unknown.message(error, LaunchConfig) for error in wrong.value.errors()]
    assert any(each.startswith(message) for each in messages), messages


def test_the_message_of_a_wrong_setting_names_the_place(monkeypatch: pytest.MonkeyPatch, config: Path) -> None:
    """The variable, the key of the file, then the keys within a JSON value; numbers of a list are left out."""
    assert config.exists()
    monkeypatch.setenv("LAUNCH_POLICY", '{"max_replicas": 0}')
    monkeypatch.setenv("LAUNCH_LADDER", '{"regions": [{"region": "us-east1", "staging_bucket": "gs://team", "x": 1}]}')
    monkeypatch.setenv("LAUNCH_MAX_REQUESTS", "-2")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(SettingsError) as wrong:
        load(SubmitSettings)
    assert str(wrong.value).split("; ") == [
        "LOG_LEVEL: String should match pattern '^(DEBUG|INFO|WARNING|ERROR)$'",
        "LAUNCH_LADDER (or ladder in launch-config.yaml): regions: x: is not known",
        "known: region, staging_bucket",
        "LAUNCH_POLICY (or policy in launch-config.yaml): max_replicas: Input should be greater than or equal to 1",
        "LAUNCH_MAX_REQUESTS: Input should be greater than or equal to -1",
    ]
