"""`migrate` reads what people have, writes the new file, and shows the difference; it never shows a secret.

The shapes are those of wandb/helm-charts (charts/launch-agent), of W&B's pages old and new (setup-launch-kubernetes,
setup-agent-advanced, walkthrough, run-agent), and of wandb/terraform's launch-helm.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from deploy.__main__ import main
from deploy.operate.agent_surroundings import CHART, MAP, VARIABLES
from shared.config.launch_config import read_launch_config
from shared.config.settings import KINDS, variables

KEY = "0123456789abcdef" * 2 + "01234567"
PLAIN = {"entity": "acme", "queues": ["vertex"], "max_jobs": 4}
GCP = {"type": "gcp", "region": "us-central1", "project": "acme-ml"}
AGENT = {**PLAIN, "environment": GCP, "builder": {"type": "noop"}}
IMAGE = "us-central1-docker.pkg.dev/acme-ml/launch/code"
CHART_VALUES = {
    "agent": {"labels": {}, "apiKey": KEY, "image": "wandb/launch-agent:latest", "startTimeout": 3600},
    "namespace": "wandb",
    "baseUrl": "https://w.example.com/wandb",
    "additionalTargetNamespaces": ["default"],
    "gitCreds": "https://me:hunter2@example.com\n",
    "sshAuthSecrets": [{"name": "hunter2", "host": "example.com"}],
    "additionalEnvVars": [{"name": "TEAM", "value": "hunter2"}],
    "additionalSecretEnvVars": [{"name": "HF_TOKEN", "value": "hunter2"}],
    "azureStorageAccessKey": "hunter2",
    "serviceAccount": {"annotations": {"iam.gke.io/gcp-service-account": "a@b.c"}},
    "customCABundle": {"configMap": {"name": "ca", "key": "ca.crt"}},
    "kanikoPvcName": None,
}
Run = Callable[..., Result]


def text(value: Any) -> str:
    """Return a value as YAML."""
    return yaml.safe_dump(value, sort_keys=False)


def config_map(config: str) -> dict[str, Any]:
    """Return the ConfigMap of W&B's pages."""
    data = {"wandb-base-url": "https://w.example.com", "launch-config.yaml": config}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wandb-launch-configmap"}, "data": data}


SECRET = {"apiVersion": "v1", "kind": "Secret", "data": {"password": "aHVudGVyMg=="}, "stringData": {"k": "hunter2"}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "spec": {
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "launch-agent",
                        "env": [
                            {"name": "WANDB_API_KEY", "valueFrom": {"secretKeyRef": {"name": "hunter2"}}},
                            {"name": "WANDB_LAUNCH_MAX_JOBS", "value": "7"},
                            {"name": "WANDB_BASE_URL", "value": "https://w.example.com"},
                        ],
                    }
                ]
            }
        }
    },
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs the command on a text, in a folder of its own and with none of the settings of this machine."""
    monkeypatch.chdir(tmp_path)
    for names in (names for kind in KINDS for names in variables(kind).values()):
        monkeypatch.delenv(names[0], raising=False)

    def run(given: str, *options: str, variables: str = "", stdin: bool = False) -> Result:
        Path("agent.yaml").write_text(given, encoding="utf-8")
        if variables:
            Path("agent.env").write_text(variables, encoding="utf-8")
            options = ("--variables", "agent.env", *options)
        source = "-" if stdin else "agent.yaml"
        return CliRunner().invoke(main, ["migrate", source, *options], input=given)

    return run


def effects(result: Result) -> dict[str, str]:
    """Return the effect of each key."""
    table = result.stdout.partition("setting\n")[2].partition("\n\n")[0]
    return {key: rest[1] for key, *rest in (re.split(" {2,}", line.strip()) for line in table.splitlines())}


def written(result: Result, name: str = "new.yaml") -> Any:
    """Return the new file's content, which the product's own model has read."""
    assert "hunter" not in result.output
    assert KEY not in result.output
    assert "hunter" not in Path(name).read_text(encoding="utf-8")
    read_launch_config(Path(name))
    return yaml.safe_load(Path(name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("given", "new"),
    [
        (text(AGENT), AGENT),
        (text({**CHART_VALUES, "launchConfig": text(AGENT)}), AGENT),
        (text({**CHART_VALUES, "launchConfig": AGENT}), AGENT),  # as YAML instead of text
        (text({"agentConfig": text(AGENT)}), AGENT),  # the name of W&B's newer page
        (text({"global": {}, "launch-agent": {**CHART_VALUES, "launchConfig": text(AGENT)}}), AGENT),  # a subchart
        (text(config_map(text(AGENT))), AGENT),
        (text({"apiVersion": "v1", "kind": "List", "items": [SECRET, config_map(text(AGENT))]}), AGENT),
        ("---\n".join(map(text, (SECRET, DEPLOYMENT, config_map(text(AGENT))))), {**AGENT, "max_jobs": 7}),
        ("---\n" + text(AGENT) + "---\n", AGENT),
        ("USER-SUPPLIED VALUES:\n" + text({"launchConfig": text(AGENT)}), AGENT),  # of `helm get values`
        (json.dumps(config_map(text(AGENT))), AGENT),  # of `kubectl get -o json`
        (text(config_map(text(AGENT))) + "  other.yaml: 'entity: other'\n", AGENT),
        (text({**SECRET, "data": {}, "stringData": {"launch-config.yaml": text(AGENT)}}), AGENT),
        (text({**SECRET, "data": {"launch-config.yaml": b64encode(text(AGENT).encode()).decode()}}), AGENT),
        (
            text({**AGENT, "environment": {**GCP, "project": 123456}}),
            {**AGENT, "environment": {**GCP, "project": "123456"}},
        ),
        (text(AGENT).replace("entity: acme", "entity: >\n  acme"), AGENT),
        *(
            (text({"apiVersion": "v1", "kind": kind, "spec": spec}), AGENT)
            for values in [{"launchConfig": text(AGENT), "agent": {"apiKey": KEY}}]
            for kind, spec in (
                ("HelmRelease", {"values": values}),
                ("Application", {"source": {"helm": {"values": text(values)}}}),
                ("Application", {"source": {"helm": {"valuesObject": values}}}),
                ("Application", {"sources": [{"ref": "v"}, {"helm": {"values": text(values)}}]}),
            )
        ),
        # the registry by its parts, of which older pages have only two
        (
            text({**AGENT, "registry": {"type": "gcr", "repository": "launch", "image-name": "code"}}),
            AGENT,
        ),
        *(
            (
                text({**PLAIN, "environment": GCP, "builder": {"type": kind, **store}, "registry": registry}),
                {**PLAIN, "environment": GCP, "builder": {"type": kind, "destination": IMAGE, **store}},
            )
            for kind, store in (("kaniko", {"build-context-store": "gs://b-1/x"}), ("docker", {}))
            for registry in (
                {"type": "gcr", "repository": "launch", "image-name": "code"},
                {"type": "gcr", "repository": "launch", "image_name": "code"},
                {"type": "gcr", "repository": "launch", "image-name": "code", "region": "us-central1"},
                {"repository": "launch", "image-name": "code", "region": "us-central1", "project": "acme-ml"},
                {"type": "gcr", "uri": f"https://{IMAGE}"},
                {"type": "gcp-artifact-registry", "repository": "launch", "image-name": "code"},
                {"type": "gcr", "uri": IMAGE},
            )
        ),
        # on one of W&B's pages
        (
            text({**PLAIN, "environment": GCP, "builder": {"type": "kaniko", "uri": IMAGE}}),
            {**PLAIN, "environment": GCP, "builder": {"type": "kaniko", "destination": IMAGE}},
        ),
        (text({**PLAIN, "base_url": "https://w.example.com", "metadata": {"name": "x"}}), PLAIN),
        (text({**PLAIN, "queue": "large", "verbosity": 2, "project": "x"}), {**PLAIN, "queues": ["vertex", "large"]}),
        (text({**PLAIN, "queues": "vertex"}), PLAIN),
        (text({**PLAIN, "registry": {"type": None, "uri": None}, "environment": None, "builder": {}}), PLAIN),
        (text({**PLAIN, "key_secret": "projects/p/secrets/s", "policy": {"max_replicas": 2}}), None),
        (text({**PLAIN, "policy": {"accelerator_types": []}, "requests": {"sources": []}}), None),  # none is allowed
        (text({**PLAIN, "builder": {"type": "noop", "git_credentials": {"h.test": "projects/p/secrets/s"}}}), None),
        (text({**PLAIN, "ladder": {"regions": [{"region": "us-east1", "staging_bucket": "gs://b-1"}]}}), None),
    ],
)
def test_the_new_file_is_written_and_loads(run: Run, given: str, new: Any) -> None:
    """From a file and from stdin alike; its difference begins with both names."""
    result = run(given, "--write", "new.yaml")
    assert result.exit_code == 0, result.output
    assert written(result) == (yaml.safe_load(given) if new is None else new)
    again = run(given, stdin=True)
    assert again.exit_code == 0, again.output
    assert "+++ launch-config.yaml\n" in again.stdout or "None: it is the same." in again.stdout


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"environment": {"type": "aws", "region": "us-east-1"}}, "environment.type = aws: "),
        ({"environment": {"type": "azure"}}, "environment.type = azure: "),
        ({"environment": {"type": "kubernetes"}}, "environment.type = kubernetes: "),
        ({"environment": {"type": "local"}}, "environment.type = local: "),
        ({"environment": {**GCP, "region": "us-central1-a"}}, "which is a zone. Did you mean us-central1?"),
        ({"builder": {"type": "docker", "destination": "gcr.io/P/I"}}, "builder.type = docker: "),
        ({"builder": {"type": "kaniko"}, "registry": {"type": "ecr", "repository": "r"}}, "builder.type = kaniko: "),
        (
            {"builder": {"type": "kaniko"}, "registry": {"type": "ecr", "uri": "1.dkr.ecr.r.amazonaws.com/x"}},
            "kaniko: ",
        ),
        ({"builder": {"type": "docker"}, "registry": {"type": "acr", "uri": "https://x.azurecr.io/y"}}, "docker: "),
        ({"builder": {"type": "docker"}, "registry": {"type": "anon", "uri": "docker.io/me/x"}}, "docker: "),
        ({"builder": {"type": "kaniko"}, "registry": {"type": "local"}}, "has no destination"),
        (
            {"builder": {"type": "kaniko", "destination": IMAGE, "build-context-store": "s3://b/x"}},
            "build-context-store",
        ),
        ({"builder": {"type": "buildpack"}}, "builder.type = buildpack: "),
        ({"max_jobs": "many"}, "max_jobs = many: "),
        ({"quues": ["x"]}, "Write queues"),
    ],
)
def test_what_needs_a_decision_is_a_problem_and_the_rest_is_written(
    run: Run, changed: dict[str, Any], problem: str
) -> None:
    """The file loads all the same, and the exit code says that it is not finished."""
    result = run(text({**PLAIN, **changed}), "--write", "new.yaml")
    assert result.exit_code == 1
    assert problem in result.stdout.partition("Problems\n")[2].partition("\n\n")[0]
    assert "your decision" in result.stdout or "unknown" in result.stdout
    assert written(result)["queues"] == ["vertex"]


def test_a_charts_values_are_explained_key_by_key(run: Run) -> None:
    """Each has an effect; the values of those that could be secret are not shown."""
    result = run(text({**CHART_VALUES, "launchConfig": text(AGENT)}), "--write", "new.yaml")
    written(result)
    found = effects(result)
    expected = {
        "agent.apiKey": "moved",
        "agent.image": "no meaning here",
        "agent.startTimeout": "moved",
        "baseUrl": "moved",
        "namespace": "no meaning here",
        "gitCreds": "your decision",
        "sshAuthSecrets": "your decision",
        "TEAM": "your decision",
        "HF_TOKEN": "your decision",
        "azureStorageAccessKey": "no meaning here",
        "kanikoPvcName": "not set",
        "customCABundle.configMap.name": "your decision",
        "entity": "kept",
    }
    assert {key: found[key] for key in expected} == expected
    assert "https://w.example.com/wandb" in result.stdout


@pytest.mark.parametrize(
    ("lines", "new"),
    [
        (f"WANDB_API_KEY={KEY}\nWANDB_ENTITY=other\nWANDB_LAUNCH_MAX_JOBS=9\n", {"entity": "other", "max_jobs": 9}),
        ("export WANDB_ENTITY='other team'\n# a comment\n\nPATH=/bin\n", {"entity": "other team"}),
        (
            f'[Service]\nExecStart=/usr/bin/wandb launch-agent\nEnvironment=WANDB_ENTITY=o "WANDB_API_KEY={KEY}"\n',
            {"entity": "o"},
        ),
        ("GOOGLE_CLOUD_PROJECT=p1\nGOOGLE_CLOUD_REGION=r1\n", {"environment": {"project": "p1", "region": "r1"}}),
        ("WANDB_LAUNCH_MAX_JOBS=many\nHF_TOKEN=hunter2\nA=b=c\n", {}),
        ("WANDB_ENTITY=\n", {}),
        ("\ufeffWANDB_ENTITY=o\r\n", {"entity": "o"}),  # PowerShell
        ("A=1\0WANDB_ENTITY=o\0", {"entity": "o"}),  # /proc/PID/environ
        ('declare -x WANDB_ENTITY="o"\n', {"entity": "o"}),  # `export -p`
        ("WANDB_ENTITY=o\x1b\x07\n", {"entity": "o"}),
    ],
)
def test_the_environment_of_an_agent_on_a_vm_is_read(run: Run, lines: str, new: dict[str, Any]) -> None:
    """Its entity and its number of jobs win over the file, as with the agent."""
    result = run(text(PLAIN), "--write", "new.yaml", variables=lines)
    assert result.exit_code == 0, result.output
    assert written(result) == {**PLAIN, **new}


def test_variables_fill_in_the_name_of_images(run: Run) -> None:
    """A registry of older pages has no project."""
    old = {**PLAIN, "builder": {"type": "docker"}, "registry": {"repository": "launch", "image-name": "code"}}
    result = run(
        text({**old, "environment": {"type": "gcp", "region": "us-central1"}}),
        "--write",
        "new.yaml",
        variables="GOOGLE_CLOUD_PROJECT=acme-ml\nBASH_FUNC_x%%=() { a\n}\n",
    )
    assert written(result)["builder"] == {"type": "docker", "destination": IMAGE}
    assert result.exit_code == 0


def test_an_environment_that_is_none_is_refused(run: Run) -> None:
    """Without its content."""
    result = run(text(PLAIN), variables="hunter2\n")
    assert (result.exit_code, result.stderr) == (1, "Error: agent.env has no line NAME=VALUE\n")


def test_a_file_that_cannot_be_written_is_one_line(run: Run) -> None:
    """And no traceback."""
    result = run(text(PLAIN), "--write", "none/new.yaml")
    assert result.exit_code == 1
    assert "none/new.yaml cannot be written: No such file" in result.stderr


def test_an_existing_file_is_replaced_only_on_request(run: Run) -> None:
    """The agent's own file too; without a name it is the file that the build reads."""
    assert run(text(PLAIN), "--write").exit_code == 0
    assert written(run(text(AGENT)), "launch-config.yaml") == PLAIN
    refused = run(text(AGENT), "--write")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "launch-config.yaml exists: add --force to replace it, or name another" in refused.stderr
    assert written(run(text(AGENT), "--force", "--write"), "launch-config.yaml") == AGENT
    assert "add --force" in run(text(AGENT), "--write", "agent.yaml").stderr


def test_the_difference_has_no_secret(run: Run) -> None:
    """Neither of the old file nor of the new one; a value that looks like a secret is not copied."""
    old = {
        **PLAIN,
        "entity": KEY,
        "token": "hunter2",
        "registry": {"uri": "https://me:hunter2@x.test/i", "credentials": {"a": ["hunter2"]}},
        "builder": {"type": "kaniko", "secret-key": "hunter2"},
        "runner": {"password": "hunter2"},
    }
    result = run(text(old), "--write", "new.yaml")
    assert "entity" not in written(result)
    assert "-entity: '[not shown]'" in result.stdout
    assert "entity = [not shown]: it looks like a secret" in result.stdout
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            text(AGENT) + "---\n" + text(PLAIN),
            "holds 2 configurations (agent.yaml, document 1; agent.yaml, doc",
        ),
        (text(SECRET), "has no keys of an agent"),
        ("queues:\n\t- vertex\n", "Indent with spaces"),
        (text({"launchConfig": "queues: ["}), "agent.yaml, launchConfig cannot be read as YAML"),
        (text({"launchConfig": "text"}), "agent.yaml, launchConfig has no keys"),
        (text(config_map("[1]")), "launch-config.yaml has no keys"),
        ("a: &a [*a]\n" * 1, "queues"),
        ("x: " + "[" * 5000, "nested too deeply"),
        ("#" * 100_001, "more than 100,000 bytes"),
    ],
)
def test_an_input_that_cannot_be_read_is_one_line(run: Run, given: str, message: str) -> None:
    """And no traceback."""
    result = run(given, "--write", "new.yaml")
    assert result.exit_code == 1
    assert message in result.output
    assert isinstance(result.exception, SystemExit)


def test_each_entry_says_what_it_means() -> None:
    """In a sentence; a setting is one of the functions'."""
    known = {names[0] for kind in KINDS for names in variables(kind).values()} | {""}
    for entry in (*CHART, *MAP, *VARIABLES):
        assert entry.meaning.endswith(".")
        assert entry.setting in known
