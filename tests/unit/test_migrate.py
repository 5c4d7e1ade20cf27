"""`migrate`: the meaning of an agent's file here, complete, without a secret, compared with the installed wandb."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import wandb.sdk.launch
from click.testing import CliRunner, Result
from pydantic import BaseModel, ValidationError
from wandb.sdk.launch.agent.config import AgentConfig

from deploy.__main__ import main
from deploy.cloud.bootstrap import submit_command
from deploy.cloud.deployment import Deployment
from deploy.cloud.iam import bindings
from deploy.operate.agent_keys import FIXES, KEYS, KNOWN
from shared.config.launch_config import AdmissionPolicy, LaunchConfig
from shared.config.requests import RequestLimits
from shared.config.settings import KINDS, Settings, load, variables
from shared.core.errors import SettingsError

LAUNCH = Path(wandb.sdk.launch.__path__[0])
FULL = """
entity: acme
queues: [vertex, vertex-large]
max_jobs: 8
max_schedulers: 2
secure_mode: true
stopped_run_timeout: 120
verbosity: 1
project: cats
environment: {type: gcp, region: europe-west4, project: acme-ml}
registry: {type: gcr, uri: europe-west4-docker.pkg.dev/acme-ml/launch/image}
builder: {type: kaniko, build-context-store: gs://acme-build/context, kaniko-config: {spec: {}}}
runner: {type: vertex}
policy: {service_accounts: [trainer@acme-ml.iam.gserviceaccount.com], images: [gcr.io/acme], max_replicas: 8}
"""
MINIMAL = "entity: acme\nqueues: [vertex]\n"
Run = Callable[[str], Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs the command on a file, in a folder of its own and with none of the settings of this machine."""
    monkeypatch.chdir(tmp_path)
    for names in (names for kind in KINDS for names in variables(kind).values()):
        monkeypatch.delenv(names[0], raising=False)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(text: str, name: str = "agent.yaml") -> Result:
        Path(name).write_text(text, encoding="utf-8")
        return CliRunner().invoke(main, ["migrate", name])

    return run


def rows(result: Result) -> dict[str, list[str]]:
    """Return the table of keys: under each, its value, effect and meaning, and its setting where there is one."""
    table = result.stdout.partition("setting\n")[2].partition("\n\n")[0]
    return {key: rest for key, *rest in (re.split(" {2,}", line.strip()) for line in table.splitlines())}


def section(result: Result, title: str) -> str:
    """Return what stands under a title."""
    return result.stdout.partition(f"{title}\n")[2].partition("\n\n")[0]


def test_a_full_file_is_explained_key_by_key(run: Run) -> None:
    """Each key, those of sections after a dot, with its value, its effect and the setting that takes its place."""
    result = run(FULL)
    table = rows(result)
    assert result.exit_code == 0, result.output
    assert {key: (row[0], row[1], *row[3:]) for key, row in table.items()} == {
        "entity": ("acme", "kept", "LAUNCH_ENTITY"),
        "queues": ("vertex, vertex-large", "kept", "LAUNCH_QUEUES"),
        "max_jobs": ("8", "kept", "LAUNCH_MAX_JOBS"),
        "max_schedulers": ("2", "kept", "LAUNCH_MAX_SCHEDULERS"),
        "secure_mode": ("true", "kept", "LAUNCH_SECURE_MODE"),
        "stopped_run_timeout": ("120", "kept", "LAUNCH_STOPPED_RUN_TIMEOUT"),
        "verbosity": ("1", "changes", "LOG_LEVEL"),
        "project": ("cats", "no meaning here"),
        "environment.type": ("gcp", "kept"),
        "environment.region": ("europe-west4", "kept", "VERTEX_LOCATION"),
        "environment.project": ("acme-ml", "changes", "GOOGLE_CLOUD_PROJECT"),
        "registry.type": ("gcr", "no meaning here"),
        "registry.uri": ("europe-west4-docker.pkg.dev/acme-ml/launch/image", "moved", "LAUNCH_BUILD_DESTINATION"),
        "builder.type": ("kaniko", "changes", "LAUNCH_BUILDER"),
        "builder.build-context-store": ("gs://acme-build/context", "kept", "LAUNCH_BUILD_CONTEXT_STORE"),
        "builder.kaniko-config": ("{…}", "no meaning here"),
        "runner": ("{…}", "no meaning here"),
        "policy.service_accounts": ("trainer@acme-ml.iam.gserviceaccount.com", "kept"),
        "policy.images": ("gcr.io/acme", "kept"),
        "policy.max_replicas": ("8", "kept"),
    }
    assert all(row[2].endswith(".") for row in table.values())
    assert "the file works here" in section(result, "Problems")


def test_every_limit_of_the_policy_is_explained() -> None:
    """With what is to be written where it is wrong."""
    assert {f"policy.{name}" for name in AdmissionPolicy.model_fields} - FIXES.keys() == {"policy.service_accounts"}


def test_every_limit_of_requests_is_explained() -> None:
    """In the same way."""
    assert {f"requests.{name}" for name in RequestLimits.model_fields} <= FIXES.keys()


def test_a_builder_that_builds_nothing_changes_nothing(run: Run) -> None:
    """Unlike one that does."""
    assert rows(run(f"{MINIMAL}builder: {{type: noop}}"))["builder.type"][1] == "kept"


@pytest.mark.parametrize(
    ("builder", "problem"),
    [
        ("{type: kaniko}", "has no destination, so jobs' code would run in a base image"),
        ("{type: docker, destination: gcr.io/p/x}", "write REGION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE"),
        ("{type: buildpack}", "Write one of cloud-build, kaniko, docker"),
        ("[kaniko]", "Write builder: {type: noop}"),
        ("{type: [kaniko]}", "Write builder: {type: noop}"),
        ("{type: kaniko, destination: 1.dkr.ecr.us-east-1.amazonaws.com/r}", "write REGION-docker.pkg.dev/PROJECT/"),
    ],
)
def test_a_builder_that_cannot_build_keeps_the_file_from_moving_over(run: Run, builder: str, problem: str) -> None:
    """With what to write."""
    result = run(f"{MINIMAL}builder: {builder}")
    assert result.exit_code == 1
    assert problem in section(result, "Problems")


def test_every_setting_that_is_named_is_one_of_the_functions() -> None:
    """Those that stand over a key are found by their place in the file, the others are written out."""
    assert {k.setting for k in KNOWN if k.setting} <= {n[0] for kind in KINDS for n in variables(kind).values()}


def test_the_missing_settings_are_all_that_the_functions_require(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the file and these settings each of them starts; without one of these, at least one does not."""
    listed = section(run(MINIMAL), "Required settings that the file lacks")
    missing = [line.split()[0] for line in listed.splitlines()[1:]]
    assert missing == ["WANDB_API_KEY", "GOOGLE_CLOUD_PROJECT", "VERTEX_LOCATION", "LEDGER_BUCKET"]
    monkeypatch.setenv("LAUNCH_CONFIG", "agent.yaml")
    for name in missing:
        monkeypatch.setenv(name, "given")
    assert all(load(kind) for kind in KINDS)
    for name in missing:
        with monkeypatch.context() as without:
            without.delenv(name)
            assert any(name in refusal(kind) for kind in KINDS)


def refusal(kind: type[Settings]) -> str:
    """Return what a function says of its settings, empty where it starts."""
    try:
        load(kind)
    except SettingsError as exc:
        return str(exc)
    return ""


def test_the_ledgers_bucket_has_its_name(run: Run) -> None:
    """That of the deployment in the file's project."""
    assert "gs://acme-ml-launch-ledger" in section(run(FULL), "Required settings that the file lacks")


def test_the_permissions_shown_are_those_that_bootstrap_and_the_build_bind(run: Run) -> None:
    """Every role of the table of bindings, with an account's permissions on jobs, and the accounts jobs run as."""
    text = section(run(FULL), "Permissions")
    deployment = Deployment("acme-ml", "europe-west4", config=LaunchConfig.model_validate({}))
    named = {binding.role.rpartition("projects/acme-ml/roles/")[2] for binding in bindings(deployment)}
    assert {role for role in named - {"launch_submit", "launch_status"} if role not in text} == set()
    assert re.search(r"launch-submit +\S+create \S+get \S+list +acme-ml\n", text)
    assert re.search(r"launch-status +\S+cancel \S+get \S+list +acme-ml\n", text)
    assert re.search(r"launch-submit +roles/iam.serviceAccountUser +trainer@acme-ml.iam.gserviceaccount.com\n", text)
    assert "Jobs may run as trainer@acme-ml.iam.gserviceaccount.com (policy.service_accounts)" in text


def test_it_says_where_no_account_to_run_as_is_listed(run: Run) -> None:
    """The message shows how to list one."""
    text = section(run(MINIMAL), "Permissions")
    assert "policy.service_accounts lists no account" in text
    assert "policy: {service_accounts: [NAME@PROJECT.iam.gserviceaccount.com]}" in text


def test_the_next_commands_come_in_order_and_uncut(run: Run) -> None:
    """To look, to prepare, to deploy and to check, before the agent is stopped."""
    text = section(run(FULL), "Next")
    where = "--project acme-ml --region europe-west4"
    commands = [
        "cp agent.yaml launch-config.yaml",
        "WANDB_API_KEY=… vertex-launch plan",
        f"vertex-launch bootstrap {where}",
        submit_command(Deployment("acme-ml", "europe-west4")),
        f"vertex-launch doctor {where}",
        "Stop the agent",
        f"gcloud ai custom-jobs list {where} --filter 'labels.wandb-run-id:* AND NOT labels.launch_agent:*",
    ]
    found = [text.find(command) for command in commands]
    assert -1 not in found, text
    assert found == sorted(found)


def test_plan_gets_the_settings_that_the_file_does_not_give(run: Run) -> None:
    """Its settings are those of the functions, but for the ledger."""
    text = section(run(MINIMAL), "Next")
    assert "WANDB_API_KEY=… GOOGLE_CLOUD_PROJECT=… VERTEX_LOCATION=… vertex-launch plan\n" in text
    assert "--project PROJECT --region REGION" in text


def test_a_file_in_its_place_is_not_copied(run: Run) -> None:
    """The build takes launch-config.yaml from where it is."""
    assert "cp " not in CliRunner().invoke(main, ["migrate", _written("launch-config.yaml")]).stdout


def _written(name: str) -> str:
    Path(name).write_text(MINIMAL, encoding="utf-8")
    return name


def test_in_a_narrow_terminal_tables_fold_and_commands_stay_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that they can be copied; in the tables nothing is cut."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", run(FULL).stdout)
    assert submit_command(Deployment("acme-ml", "europe-west4")) in shown
    assert "…" not in shown.replace("{…}", "").replace("=…", "")


@pytest.mark.parametrize(
    ("line", "problem", "fix"),
    [
        ("max_jobs: many", "max_jobs = many: ", "Write a whole number"),
        ("max_jobs: -2", "max_jobs = -2: ", "-1 for no limit"),
        ("secure_mode: perhaps", "secure_mode = perhaps: ", "Write true or false"),
        ("stopped_run_timeout: soon", "stopped_run_timeout = soon: ", "Write a number of seconds"),
        ("queues:", "queues = nothing: there is no queue to serve", "queues: [NAME]"),
        ("policy: {service_accounts: }", "policy.service_accounts = nothing: ", "Write policy: {"),
        ("queues: vertex, large", "queues = vertex, large: ", 'write a list, queues: ["vertex", "large"]'),
        ("queues: [vertex, [a]]", "queues.1 = a: ", "Write a list of names"),
        ("queues: []", "queues = nothing: there is no queue to serve", "queues: [NAME]"),
        ("entity: [acme]", "entity = acme: ", "entity: TEAM"),
        ("environment: local", "environment.type = local: ", "Write type: gcp."),
        ("environment: {region: [r]}", "environment.region = r: ", "{type: gcp, region: REGION, project: PROJECT}"),
        ("environment: {type: aws}", "environment.type = aws: ", "Write type: gcp"),
        ("policy: {service_accounts: [a@b.c, trainer]}", "policy.service_accounts.1 = trainer: ", "Write policy: {"),
        ("policy: {images: [train]}", "policy.images.0 = train: ", "the registry first"),
        ("policy: {max_replicas: 0}", "policy.max_replicas = 0: ", "Write a whole number"),
        ("policy: {service_account: a@b.c}", "policy.service_account = ", "Did you mean policy.service_accounts?"),
        ("policy: {1: 2}", "policy.1 = ", "Write policy: {"),
        ("ladder: up", "ladder = up: ", "Write ladder: {regions: "),
        ("ladder: {strategies: [CHEAP]}", "ladder.strategies.0 = CHEAP: ", "Write strategies: [SPOT, "),
        (
            "ladder: {regions: [{region: us-central1}]}",
            "ladder.regions.0.staging_bucket = [not shown]: ",
            "Write ladder:",
        ),
    ],
)
def test_a_wrong_value_keeps_it_from_moving_over(run: Run, line: str, problem: str, fix: str) -> None:
    """The key, its value and the fix are named, its line says so, and the exit code is 1."""
    key = line.partition(":")[0]
    result = run("\n".join(one for one in MINIMAL.splitlines() if not one.startswith(f"{key}:")) + f"\n{line}\n")
    shown = next(one for one in section(result, "Problems").splitlines() if problem in one)
    assert fix in shown
    assert result.exit_code == 1
    assert "cannot be used yet" in result.stderr
    assert {row[1] for name, row in rows(result).items() if name.partition(".")[0] == key} <= {
        "your decision",
        "unknown",
    }


@pytest.mark.parametrize("key", ["max_jobs", "secure_mode", "stopped_run_timeout", "entity", "environment", "policy"])
def test_a_key_with_nothing_behind_it_is_as_if_it_were_left_out(run: Run, key: str) -> None:
    """A message says that; a setting that is then missing is listed as if the key were not there."""
    without = "\n".join(line for line in MINIMAL.splitlines() if not line.startswith(key))
    left_out, result = run(without), run(f"{without}\n{key}:\n")
    value, effect, meaning, *_ = rows(result)[key]
    assert (value, effect) == ("nothing", "not set")
    assert meaning.startswith("As if it were left out. ")
    for title in ("Problems", "Required settings that the file lacks", "Permissions", "Next"):
        assert section(result, title) == section(left_out, title)
    assert result.exit_code == left_out.exit_code == 0


def test_beside_wrong_values_all_other_keys_are_explained(run: Run) -> None:
    """Also of the same section and the same list."""
    result = run(
        "queues: [vertex]\nenvironment: {type: aws, region: r1}\npolicy: {service_accounts: [nobody, a@b.c]}\n"
        "ladder: {regions: [{staging_bucket: gs://b-1}]}"
    )
    assert len(section(result, "Problems").splitlines()) == 3
    assert rows(result)["environment.region"][1:] == ["no meaning here", "It is of another cloud.", "VERTEX_LOCATION"]
    assert "--region REGION" in section(result, "Next")
    assert "Jobs may run as a@b.c (" in section(result, "Permissions")


@pytest.mark.parametrize(
    ("line", "key", "meant"),
    [
        ("PROJECT: cats", "PROJECT", "project"),
        ("builder: {context-store: gs://b}", "builder.context-store", "builder.build-context-store"),
    ],
)
def test_an_unknown_key_is_asked_for(run: Run, line: str, key: str, meant: str) -> None:
    """A message says that it is ignored; the file works here."""
    result = run(f"{MINIMAL}{line}\n")
    assert rows(result)[key][1:] == ["unknown", f"It is ignored. Did you mean {meant}?"]
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("line", "key", "meant"),
    [
        ("maxjobs: 3", "maxjobs", "max_jobs"),
        ("stopped-run-timeout: 5", "stopped-run-timeout", "stopped_run_timeout"),
        ("environment: {Region: r1}", "environment.Region", "environment.region"),
        ("builder: {build_context_store: gs://b}", "builder.build_context_store", "builder.build-context-store"),
    ],
)
def test_a_misspelt_key_is_refused(run: Run, line: str, key: str, meant: str) -> None:
    """The functions would not start with it: the problem names the known key."""
    result = run(f"{MINIMAL}{line}\n")
    assert rows(result)[key][1:] == ["unknown", f"It is refused. Did you mean {meant}?"]
    assert f"{key} = [not shown]: it is not known. Write {meant}." in section(result, "Problems")
    assert result.exit_code == 1


def test_an_unknown_key_of_policy_is_refused(run: Run) -> None:
    """Not ignored, for it may have been meant to keep something out."""
    result = run(f"{MINIMAL}policy: {{service_account: a@b.c}}\n")
    assert rows(result)["policy.service_account"][2].startswith("It is refused.")


def test_an_unknown_key_like_no_other_is_not_asked_for(run: Run) -> None:
    """Markup in it stays text."""
    assert rows(run(f'{MINIMAL}"[bold]:x:": 1\n'))["[bold]:x:"] == ["[not shown]", "unknown", "It is ignored."]


def test_no_secret_is_printed(run: Run) -> None:
    """Wherever one has been put: under a key that says so, an unknown one, in an address, or by mistake."""
    key = "0123456789abcdef" * 3
    result = run(f"""
entity: {key}
queues: [local-{key}]
max_jobs: {key}
api_key: hunter1
whatever: hunter2
environment: {{type: {key}, region: r1}}
registry: {{credentials: hunter3, uri: "https://me:hunter4@registry.example/image"}}
builder: {{secret-key: hunter5, type: kaniko}}
policy: {{token: hunter6, whatever: hunter7}}
""")
    assert "hunter" not in result.output
    assert key not in result.output
    assert rows(result)["registry.uri"][0] == "https://[not shown]@registry.example/image"
    assert len(section(result, "Problems").splitlines()) == 8


def test_an_empty_file_has_no_queue(run: Run) -> None:
    """All required settings are listed, and nothing else is wrong."""
    result = run("")
    assert section(result, "Problems").strip().startswith("queues = nothing: there is no queue to serve.")
    assert "LAUNCH_ENTITY" in section(result, "Required settings that the file lacks")
    assert section(result, "Key by key") == "  None: the file is empty."
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("entity: acme\nqueues: [vertex\n", "cannot be read as YAML: while parsing a flow sequence, line 3"),
        ("entity: a: b", "cannot be read as YAML: mapping values are not allowed here, line 1"),
        ("entity: \x07", "cannot be read as YAML"),
        ("entity: 2026-13-01", "cannot be read as YAML: month must be in 1..12"),
        ("entity: !!bool acme", "cannot be read as YAML"),
        ("[" * 5000, "is nested too deeply"),
        ("- entity", "has no keys"),
        ("vertex", "has no keys"),
    ],
)
def test_an_invalid_file_is_refused_in_one_line(run: Run, text: str, message: str) -> None:
    """Of what is wrong, and no traceback."""
    result = run(text)
    assert result.exit_code == 1
    assert re.fullmatch(rf"Error: agent.yaml {re.escape(message)}.*\n", result.stderr)
    assert isinstance(result.exception, SystemExit)


def test_bytes_that_are_no_text_are_one_line(run: Run) -> None:
    """So are a missing file and a folder."""
    Path("image").write_bytes(b"\xff\xfe\x00")
    Path("folder").mkdir()
    for name, message in {"image": "cannot be read", "none": "does not exist", "folder": "is a directory"}.items():
        result = CliRunner().invoke(main, ["migrate", name])
        assert message in result.stderr
        assert isinstance(result.exception, SystemExit)
        assert result.exit_code


def test_a_file_that_holds_itself_is_explained_like_any_other(run: Run) -> None:
    """YAML allows it."""
    result = run("queues: &a [*a]\nx: &b {c: *b}\nenvironment: &e {region: *e}\n")
    assert len(section(result, "Problems").splitlines()) == 2


def test_help_says_what_it_reads_and_when_it_fails() -> None:
    """And where an agent has its file."""
    text = " ".join(CliRunner().invoke(main, ["migrate", "--help"]).stdout.split())
    assert "LAUNCH_CONFIG" in text
    assert "Exit code 1 if there are problems that you must fix first." in text


def agents_keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Return the keys that a model of the agent's takes."""
    found = set()
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        found.add(key)
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found |= agents_keys(kind, f"{key}.")
    return found


def read_in(section: str, folder: str) -> set[str]:
    """Return the keys that the agent's builders or registries read by name, which its model lets through."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (LAUNCH / folder).glob("*.py"))
    return {f"{section}.{key}" for key in re.findall(r'\bconfig(?:\.get\(|\[)\s*"([^"]+)"', sources)}


def test_every_key_that_the_installed_agent_reads_is_known() -> None:
    """So a wandb package that reads another fails here, and somebody says what that means."""
    start = (LAUNCH / "_launch.py").read_text(encoding="utf-8")
    reads: dict[str, set[str]] = {
        "its model": agents_keys(AgentConfig),
        "its start": set(re.findall(r'\bresolved_config(?:\.get\(|\[)\s*"([^"]+)"', start)),
        "its builders": read_in("builder", "builder"),
        "its registries": read_in("registry", "registry"),
    }
    assert all(reads.values()), "wandb reads its file in another way: find out how"
    assert {where: keys - set(KEYS) for where, keys in reads.items()} == {where: set() for where in reads}


@pytest.mark.parametrize("key", ["policy", "runner", "project", "queue"])
def test_the_installed_agent_starts_with_no_other_key(key: str) -> None:
    """As the table says of policy; so its model names all keys, and what older ones took is in no file it serves."""
    agents: dict[str, Any] = {"entity": "acme", "queues": ["vertex"]}
    AgentConfig(**agents)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        AgentConfig(**agents, **{key: {}})
