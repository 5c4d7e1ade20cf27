"""Names that no setting has: a misspelt one stops the functions, any other is reported."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
