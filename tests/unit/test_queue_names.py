"""Names of queues that no separator can hold: with commas, spaces around them, quotes and brackets."""

import json
from pathlib import Path

import pytest
import yaml

from shared.config.launch_config import read_launch_config
from shared.config.settings import PollSettings, SubmitSettings, joined_names, load, split_names
from shared.core.errors import SettingsError
from tests.deployment.rehearsal import rehearsal
from tests.unit.test_settings import ENOUGH

NAMES = ("small, cheap", " around ", "[prod]", 'it\'s "big"', "team/a;b", "a\\b", "größe 猫", "^@^x", "a=b", "${x}")


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set what is required but the queues, in a folder of its own; return the launch-config's path."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENOUGH.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("LAUNCH_QUEUES")
    return tmp_path / "launch-config.yaml"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("vertex", ("vertex",)),
        ("a, b ,c", ("a", "b", "c")),
        ('["a, b", " c "]', ("a, b", " c ")),
        ("[prod] a, [prod] b", ("[prod] a", "[prod] b")),  # no JSON: names may begin with a bracket
        ("[prod]", ("[prod]",)),
        ("[1]", ("[1]",)),
        ('["a", 1]', ('["a"', "1]")),
        ('"a"', ('"a"',)),
        ("{}", ("{}",)),
        (joined_names(NAMES), NAMES),
    ],
)
def test_a_variable_holds_any_names(
    enough: Path, monkeypatch: pytest.MonkeyPatch, text: str, names: tuple[str, ...]
) -> None:
    """For poll and for submit."""
    monkeypatch.setenv("LAUNCH_QUEUES", text)
    assert load(PollSettings).queues == load(SubmitSettings).queues == split_names(text) == names


@pytest.mark.parametrize("names", [NAMES, *((name,) for name in NAMES)])
def test_the_file_holds_any_names(enough: Path, names: tuple[str, ...]) -> None:
    """In a list, or one alone without a comma."""
    enough.write_text(yaml.safe_dump({"queues": list(names)}), encoding="utf-8")
    assert load(PollSettings).queues == names
    if len(names) == 1 and "," not in names[0]:
        enough.write_text(yaml.safe_dump({"queues": names[0]}), encoding="utf-8")
        assert read_launch_config(enough).queues == names


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("queues: vertex, large", 'write a list, queues: ["vertex", "large"], or queues: ["vertex, large"] for one'),
        ("queues: {a: b}", "queues: Input should be a valid tuple"),
        ("queues: 3", "queues: Input should be a valid tuple"),
        ("queues: ''", "queues: Input should be a valid tuple"),
        ("queues: [a, '']", "has an empty name"),
        ("queues: [' ']", "has an empty name"),
        ("queues: []", "LAUNCH_QUEUES (or queues in launch-config.yaml): "),
    ],
)
def test_a_text_that_could_be_several_names_is_refused(enough: Path, line: str, message: str) -> None:
    """With both lists to choose from; so is a queue without a name."""
    enough.write_text(line, encoding="utf-8")
    with pytest.raises(SettingsError) as refused:
        load(PollSettings)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("given", "separator", "variables"),
    [
        ("LAUNCH_QUEUES=a,b;LOG_LEVEL=DEBUG", ";", {"LAUNCH_QUEUES": "a,b", "LOG_LEVEL": "DEBUG"}),
        (
            f"^@@^LAUNCH_QUEUES={json.dumps(['a;b', 'c, d & e'])}@@LOG_LEVEL=DEBUG",
            "@@",
            {"LAUNCH_QUEUES": '["a;b", "c, d & e"]', "LOG_LEVEL": "DEBUG"},
        ),
        ("^&^LAUNCH_QUEUES=a;b", "&", {"LAUNCH_QUEUES": "a;b"}),
        ("", ";", {}),
    ],
)
def test_a_build_passes_any_names_to_gcloud(given: str, separator: str, variables: dict[str, str]) -> None:
    """_SETTINGS may choose its own separator, as each list of gcloud's may."""
    names = {"PROJECT_ID": "p1", "COMMIT_SHA": "c0ffee", "_REGION": "us-central1", "_NAME": "launch"}
    with rehearsal({**names, "_SETTINGS": given}) as build:
        build.run("exec deploy/cloud/function.sh poll scheduler --timeout=120s")
        [flag] = [word for call in build.calls() for word in call if word.startswith("--set-env-vars=^")]
    _, chosen, rest = flag.removeprefix("--set-env-vars=").split("^", 2)
    read = dict(pair.split("=", 1) for pair in rest.split(separator))
    assert chosen == separator
    assert read.items() >= {**variables, "LAUNCH_TOPIC": "launch-requests", "LAUNCH_AGENT_NAME": "launch"}.items()
