"""Settings: the environment over the agent's launch-config, and everything wrong in one error."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from wandb.sdk.launch.agent.config import AgentConfig

from shared.config.ladder import Ladder, Region
from shared.config.launch_config import AdmissionPolicy, LaunchConfig, read_launch_config
from shared.config.settings import PollSettings, Settings, StatusSettings, SubmitSettings, load, variables
from shared.core.errors import SettingsError

ROOT = Path(__file__).parent.parent.parent
KINDS: dict[str, type[Settings]] = {"poll": PollSettings, "submit": SubmitSettings, "status": StatusSettings}
ENOUGH = {
    "WANDB_API_KEY": "s3cret" * 7,
    "GOOGLE_CLOUD_PROJECT": "p",
    "VERTEX_LOCATION": "us-central1",
    "LEDGER_BUCKET": "ledger",
    "LAUNCH_ENTITY": "team",
    "LAUNCH_QUEUES": "a, b",
}
CONFIG = """
entity: config-team
queues: [one, two]
max_jobs: 7
max_schedulers: 1
secure_mode: true
stopped_run_timeout: 5
verbosity: 0
environment: {type: gcp, region: europe-west4, project: config-project}
registry: {type: gcp-artifact-registry, uri: europe-docker.pkg.dev/p/r}
builder: {type: noop}
"""


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Read nothing of this machine's."""
    monkeypatch.chdir(tmp_path)
    for kind in KINDS.values():
        for names in variables(kind).values():
            for name in names:
                monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("WANDB_API_KEY_FILE", raising=False)


@pytest.fixture
def enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what is required."""
    for name, value in ENOUGH.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("kind", KINDS.values())
def test_the_required_settings_are_enough(enough: None, kind: type[Settings]) -> None:
    """Everything else has a default, and no key shows."""
    loaded = load(kind)
    assert loaded.topic_path == "projects/p/topics/launch-requests"
    assert "s3cret" not in repr(loaded)


def test_queues_are_separated_by_commas(enough: None) -> None:
    """With or without blanks."""
    assert load(PollSettings).queues == ("a", "b")


def test_the_agents_own_file_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a key and a bucket; what means nothing here is ignored."""
    (tmp_path / "launch-config.yaml").write_text(CONFIG)
    monkeypatch.setenv("WANDB_API_KEY", "k")
    monkeypatch.setenv("LEDGER_BUCKET", "ledger")
    poll, submit, status = (load(kind) for kind in KINDS.values())
    assert isinstance(poll, PollSettings)
    assert (poll.entity, poll.queues, poll.max_jobs) == ("config-team", ("one", "two"), 7)
    assert (poll.google_cloud_project, poll.vertex_location) == ("config-project", "europe-west4")
    assert isinstance(submit, SubmitSettings)
    assert submit.secure_mode
    assert isinstance(status, StatusSettings)
    assert status.stopped_run_timeout == 5


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, enough: None, tmp_path: Path) -> None:
    """Also where the file is elsewhere."""
    path = tmp_path / "agent.yaml"
    path.write_text(CONFIG)
    monkeypatch.setenv("LAUNCH_CONFIG", str(path))
    monkeypatch.setenv("LAUNCH_MAX_JOBS", "-1")
    loaded = load(PollSettings)
    assert (loaded.entity, loaded.max_jobs) == ("team", -1)


NOTHING_BEHIND = "queues: [one]\nenvironment: {type: , region: , project: }\n" + "".join(
    f"{key}:\n"
    for key in ("entity", "max_jobs", "secure_mode", "stopped_run_timeout", "policy", "ladder", "max_schedulers")
)


@pytest.mark.parametrize("text", [NOTHING_BEHIND, "environment:\nqueues:\nmax_jobs: ~\nentity: null\n"])
def test_a_key_with_nothing_behind_it_is_not_set(enough: None, tmp_path: Path, text: str) -> None:
    """So the default holds, and the environment, as with W&B's agent."""
    (tmp_path / "launch-config.yaml").write_text(text)
    loaded = load(PollSettings)
    assert (loaded.entity, loaded.max_jobs, loaded.vertex_location) == ("team", 1, "us-central1")
    assert load(SubmitSettings).secure_mode is False
    assert load(StatusSettings).stopped_run_timeout == 60
    assert read_launch_config(tmp_path / "launch-config.yaml").environment.type == "gcp"


def test_an_empty_required_setting_is_missing(enough: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if its key were not there."""
    (tmp_path / "launch-config.yaml").write_text("entity:\nenvironment: {region: }\n")
    for name in ("LAUNCH_ENTITY", "VERTEX_LOCATION"):
        monkeypatch.delenv(name)
    with pytest.raises(SettingsError) as wrong:
        load(PollSettings)
    assert set(str(wrong.value).split("; ")) == {
        "VERTEX_LOCATION (or environment.region in launch-config.yaml): is missing",
        "LAUNCH_ENTITY (or entity in launch-config.yaml): is missing",
    }


def test_the_installed_agent_takes_the_same_keys_with_nothing_behind_them() -> None:
    """Of those that mean something here; queues, which it refuses, are missing here where nothing else names them."""
    agents: dict[str, Any] = {"entity": "acme", "queues": ["vertex"]}
    for key in LaunchConfig.model_fields.keys() - {"policy", "requests", "ladder", "scheduler", "key_secret", "queues"}:
        assert getattr(AgentConfig(**agents | {key: None}), key) is None
    with pytest.raises(ValidationError, match="queues"):
        AgentConfig(**agents | {"queues": None})


def test_everything_missing_is_in_one_error() -> None:
    """The error has the names that the reader knows."""
    with pytest.raises(SettingsError) as wrong:
        load(PollSettings)
    assert set(str(wrong.value).split("; ")) == {
        "WANDB_API_KEY (or WANDB_API_KEY_FILE): is missing",
        "GOOGLE_CLOUD_PROJECT (or environment.project in launch-config.yaml): is missing",
        "VERTEX_LOCATION (or environment.region in launch-config.yaml): is missing",
        "LEDGER_BUCKET: is missing",
        "LAUNCH_ENTITY (or entity in launch-config.yaml): is missing",
        "LAUNCH_QUEUES (or queues in launch-config.yaml): is missing",
    }


def test_the_key_is_what_its_file_holds_now(enough: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Read at each call, without the line's end that an editor leaves; a key in the environment wins."""
    file = tmp_path / "key"
    monkeypatch.setenv("WANDB_API_KEY_FILE", str(file))
    assert load(PollSettings).api_key == ENOUGH["WANDB_API_KEY"]
    monkeypatch.delenv("WANDB_API_KEY")
    for key in ("first-key", "second-key"):
        file.write_text(f"{key}\n")
        loaded = load(PollSettings)
        assert loaded.api_key == key
        assert key not in repr(loaded)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory. It holds"),
        (b" \n", "is empty. It holds"),
        (b"\xff\xfe", "cannot be read: UnicodeDecodeError"),
    ],
    ids=["missing", "empty", "no text"],
)
def test_a_file_without_a_key_is_named_with_all_other_mistakes(
    enough: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, message: str
) -> None:
    """It is the file that is wrong then, not the variable that is missing."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("WANDB_API_KEY_FILE", str(file))
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.delenv("LEDGER_BUCKET")
    with pytest.raises(SettingsError) as wrong:
        load(PollSettings)
    problems = str(wrong.value).split("; ")
    assert [one.partition(":")[0] for one in problems] == ["WANDB_API_KEY_FILE", "LEDGER_BUCKET"]
    assert f"{file} {message}" in problems[0]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "LAUNCH_MAX_JOBS",
            "many",
            "LAUNCH_MAX_JOBS (or max_jobs in launch-config.yaml): Input should",
        ),
        ("LAUNCH_MAX_JOBS", "-2", "greater than or equal to -1"),
        ("WANDB_BASE_URL", "api.wandb.ai", "WANDB_BASE_URL: is not an address. Write https://HOST"),
        ("WANDB_BASE_URL", "https://u:s3cret@w.test", "WANDB_BASE_URL: has a user or a password in it"),
        ("VERTEX_LOCATION", "us-central1-a", "which is a zone. Did you mean us-central1?"),
        ("VERTEX_LOCATION", "eu", "is 'eu', and Vertex AI runs no job there. Write a region"),
        ("POLL_CONNECTIONS", "0", "POLL_CONNECTIONS: Input should be greater than"),
        (
            "POLL_LEASE_SECONDS",
            "40",
            "POLL_LEASE_SECONDS: is 40 seconds, but must be longer than POLL_BUDGET_SECONDS (55)",
        ),
        (
            "POLL_BUDGET_SECONDS",
            "150",
            "POLL_LEASE_SECONDS: is 150 seconds, but must be longer than POLL_BUDGET_SECONDS",
        ),
        ("LAUNCH_QUEUES", "a," + "é" * 129, "LAUNCH_QUEUES (or queues in launch-config.yaml): has more than 256 bytes"),
        ("LAUNCH_ENTITY", "é" * 129, "LAUNCH_ENTITY (or entity in launch-config.yaml): has more than 256 bytes"),
        ("LAUNCH_QUEUES", " , ", "LAUNCH_QUEUES (or queues in launch-config.yaml): "),
        ("LAUNCH_AGENT_NAME", "My Agent", "LAUNCH_AGENT_NAME: "),
        ("LAUNCH_CONFIG", "/not/there.yaml", "LAUNCH_CONFIG: /not/there.yaml does not exist"),
    ],
)
def test_a_wrong_value_names_its_variable(
    enough: None, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    """The error names an accepted value."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=re.escape(message)) as wrong:
        load(PollSettings)
    assert "s3cret" not in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as YAML"),
        ("- a", "it: Input should be a valid dictionary"),
        ("queues: x, y", "queues: is 'x, y': write a list"),
        ("max_jobs: many", "max_jobs: Input should be a valid integer"),
        ("environment: {region: [1]}", "environment.region: "),
        ("\x00", "cannot be read as YAML"),
        ("[" * 5000, "launch-config.yaml"),
        ("x: 2026-13-01", "launch-config.yaml cannot be read as YAML: month must be in 1..12"),
        ("x: 2026-01-01T00:00:00+99:00", "cannot be read as YAML: offset must be"),
        (r'entity: "a\ud800"', r"it has the character '\ud800' in line 1. Remove it"),
        (r'queues: ["\e[31mred"]', r"it has the character '\x1b' in line 1. Remove it"),
        ("x: !!int many", "cannot be read as YAML: invalid literal"),
        ("x: !!bool perhaps", "cannot be read as YAML: 'perhaps'"),
        ("x: !!int ''", "cannot be read as YAML"),
        ("x: !!timestamp soon", "cannot be read as YAML"),
        ("queues: [null]", "queues.0: Input should be a valid string; put a number, a date, yes or no in quotes"),
        ("policy: {service_account: }", "policy.service_account: is not known; write service_accounts"),
        ("policy: {service_accounts: }", "policy.service_accounts: Input should be"),
    ],
    ids=range(18),
)
def test_a_wrong_file_names_its_key(enough: None, tmp_path: Path, text: str, message: str) -> None:
    """The message has the path of the key and the mistake."""
    (tmp_path / "launch-config.yaml").write_text(text)
    with pytest.raises(SettingsError, match=re.escape(message)):
        load(PollSettings)


LAUGHS = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 9))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("policy:\n  images: [a.b/c]\n  images: [d.e/f]", "the key images appears twice, again in line 3"),
        ("\n".join(LAUGHS), "cannot be read as YAML: it has more than 10 aliases (*name): write their values"),
        ("max_jobs: " + "1:" * 200 + "1.5", "cannot be read as YAML: int too large to convert to float"),
        ("entity: x\n" + "#" * 100_000, "has more than 100,000 bytes"),
        ("queues: [" + "1," * 30 + "]", "yes or no in quotes; and 10 more"),
        ("a: !" + "t" * 9_000 + " x", "cannot be read as YAML: could not determine a constructor"),
        ("queues: " + "x," * 4_000, "for one queue whose name has a comma"),
        ("policy: {? " + "k" * 9_000 + " : 1}", "policy.kkk"),
        ("policy: {images: ['" + "a." * 45_000 + " ']}", "policy.images.0: is 'a.a."),
    ],
    ids=["one key twice", "merged aliases", "sexagesimal", "size", "many errors", "tag", "value", "key", "image"],
)
def test_a_file_that_would_take_for_ever_is_refused_in_a_few_words(tmp_path: Path, text: str, message: str) -> None:
    """Nothing of it is done, and little of it is quoted."""
    path = tmp_path / "launch-config.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(message)) as refused:
        read_launch_config(path)
    assert len(str(refused.value).replace(str(path), "")) < 2_000


def test_a_few_aliases_are_fine(tmp_path: Path) -> None:
    """As one writes them to say a thing once."""
    path = tmp_path / "launch-config.yaml"
    path.write_text("x: &p {project: p}\nentity: &e team\nqueues: [*e]\nenvironment: {<<: *p, region: r}\n")
    config = read_launch_config(path)
    assert (config.queues, config.environment.project, config.environment.region) == (("team",), "p", "r")


def test_a_lease_that_a_create_could_outlast_is_refused(enough: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two jobs could come of it; all three settings are named."""
    monkeypatch.setenv("SUBMIT_LEASE_SECONDS", "520")
    message = (
        "SUBMIT_LEASE_SECONDS: is 520: it has to be longer than "
        "SUBMIT_BUDGET_SECONDS (450) plus SUBMIT_CREATE_SECONDS (70), or two jobs could be created"
    )
    with pytest.raises(SettingsError, match=re.escape(message)):
        load(SubmitSettings)
    monkeypatch.setenv("SUBMIT_CREATE_SECONDS", "69")
    assert load(SubmitSettings).submit_lease_seconds == 520
    monkeypatch.delenv("SUBMIT_LEASE_SECONDS")
    monkeypatch.setenv("SUBMIT_BUDGET_SECONDS", "600")
    with pytest.raises(SettingsError, match="SUBMIT_BUDGET_SECONDS \\(600\\)"):
        load(SubmitSettings)


def test_requests_have_a_headroom_of_their_own(enough: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside max_jobs; -1 is no limit."""
    assert load(SubmitSettings).max_requests == 100
    monkeypatch.setenv("LAUNCH_MAX_REQUESTS", "-1")
    assert load(SubmitSettings).max_requests == -1
    monkeypatch.setenv("LAUNCH_MAX_REQUESTS", "-2")
    with pytest.raises(SettingsError, match="LAUNCH_MAX_REQUESTS"):
        load(SubmitSettings)


def test_the_policy_comes_from_the_file_or_as_json(
    enough: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The variable wins as a whole; without either nothing is limited."""
    assert load(SubmitSettings).policy == AdmissionPolicy()
    (tmp_path / "launch-config.yaml").write_text("policy: {service_accounts: [], images: [gcr.io/p], max_replicas: 4}")
    assert load(SubmitSettings).policy == AdmissionPolicy(service_accounts=(), images=("gcr.io/p",), max_replicas=4)
    monkeypatch.setenv("LAUNCH_POLICY", '{"regions": ["us-central1"]}')
    assert load(SubmitSettings).policy == AdmissionPolicy(regions=("us-central1",))


def test_the_ladder_comes_from_the_file_or_as_json(
    enough: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without either every launch stays in its own place; one that is wrong names what is."""
    assert load(SubmitSettings).ladder == Ladder()
    eu = {"region": "europe-west4", "staging_bucket": "gs://team-eu"}
    (tmp_path / "launch-config.yaml").write_text(yaml.safe_dump({"ladder": {"regions": [eu]}}))
    assert load(SubmitSettings).ladder == Ladder(regions=(Region(**eu),))
    monkeypatch.setenv("LAUNCH_LADDER", '{"strategies": ["SPOT", "STANDARD"]}')
    assert load(SubmitSettings).ladder == Ladder(strategies=("SPOT", "STANDARD"))
    monkeypatch.setenv("LAUNCH_LADDER", '{"strategies": ["CHEAP"]}')
    with pytest.raises(SettingsError, match=r"LAUNCH_LADDER \(or ladder in launch-config.yaml\): strategies: "):
        load(SubmitSettings)


BUILDS = """
builder: {type: kaniko, build-context-store: gs://own/contexts}
registry: {uri: https://us-docker.pkg.dev/p/r/jobs}
"""


def test_an_agents_builder_setting_is_used(enough: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its registry is where images go, if its builder has no destination."""
    (tmp_path / "launch-config.yaml").write_text(BUILDS)
    loaded = load(SubmitSettings)
    assert (loaded.building.destination, loaded.build_context_store) == (
        "us-docker.pkg.dev/p/r/jobs",
        "gs://own/contexts",
    )
    (tmp_path / "launch-config.yaml").write_text(
        BUILDS.replace("kaniko", "docker, destination: us-docker.pkg.dev/p/q/x")
    )
    assert load(SubmitSettings).building.destination == "us-docker.pkg.dev/p/q/x"
    monkeypatch.setenv("LAUNCH_BUILDER", "noop")
    assert load(SubmitSettings).building.destination == ""


@pytest.mark.parametrize("kind", ["kaniko", "docker"])
def test_an_agents_builder_that_pushes_nowhere_is_none(enough: None, tmp_path: Path, kind: str) -> None:
    """Its file goes on working as it is: images run, and nothing was ever built that Vertex AI could pull."""
    (tmp_path / "launch-config.yaml").write_text(f"builder: {{type: {kind}}}")
    assert load(SubmitSettings).building.destination == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "LAUNCH_POLICY (or policy in launch-config.yaml): "),
        ("[]", "LAUNCH_POLICY (or policy in launch-config.yaml): Input should be a valid dictionary"),
        ('{"images": []}', "LAUNCH_POLICY (or policy in launch-config.yaml): images: Value should have at least 1"),
        ('{"max_replica": 1}', "launch-config.yaml): max_replica: is not known; write max_replicas"),
        ('{"machineTypes": []}', "launch-config.yaml): machineTypes: is not known; write machine_types"),
        ('{"images": ["a.b/c"], "images": ["d.e/f"]}', "the key images appears twice"),
    ],
)
def test_a_wrong_policy_keeps_submit_from_starting(
    enough: None, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    """Rather than that nothing is limited."""
    monkeypatch.setenv("LAUNCH_POLICY", text)
    with pytest.raises(SettingsError, match=re.escape(message)):
        load(SubmitSettings)


def test_the_examples_of_limits_are_limits() -> None:
    """Each stands on the page of limits, as YAML."""
    fields = AdmissionPolicy.model_fields
    examples = {name: yaml.safe_load(field.examples[0]) for name, field in fields.items() if field.examples}
    assert AdmissionPolicy(**examples)
    assert examples.keys() == fields.keys()


@given(st.text() | st.binary())
@settings(max_examples=200, deadline=None)
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    """Never another exception."""
    path = tmp_path_factory.mktemp("config") / "launch-config.yaml"
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    try:
        assert isinstance(read_launch_config(path), LaunchConfig)
    except SettingsError as wrong:
        assert "launch-config.yaml" in str(wrong)  # noqa: PT017 - either is right


def test_the_pages_name_every_make_target() -> None:
    """CONTRIBUTING.md or README.md names each target, and no other."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    pages = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE)) - {"help", "clean"}
    assert targets <= set(re.findall(r"make ([a-z]+)", pages))
    assert set(re.findall(r"`make ([a-z]+)`", pages)) <= targets | {"help", "clean"}
