"""Every gcloud command that we run, print or write down is one that gcloud's own parser accepts."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from deploy.cloud.bootstrap import bootstrap, submit_command
from deploy.cloud.deployment import Deployment
from deploy.cloud.iam import bind_command, bindings
from tests.deployment.commands import UNKNOWN, Found, in_comments, in_markdown, in_shell
from tests.deployment.rehearsal import CONFIG, GIVEN, ROOT, Recorder, rehearsal

GCLOUD = shutil.which("gcloud")
judged_by_gcloud = pytest.mark.skipif(
    GCLOUD is None, reason="gcloud is not installed: the commands are judged by its own parser"
)
KEY = "projects/p1/locations/us-central1/keyRings/k/cryptoKeys/c"
OPTIONAL = {
    "_KMS_KEY": KEY,
    "_VPC_CONNECTOR": "projects/p1/locations/us-central1/connectors/c",
    "_EGRESS": "all",
    "_WORKER_POOL": "projects/p1/locations/us-central1/workerPools/w",
    "_PIP_INDEX_URL": "https://mirror.example.com/simple",
    "_BINARY_AUTHORIZATION": "default",
    "_FUNCTION_FLAGS": "--min-instances=1 --update-labels=team=cats",
    "_SETTINGS": "LAUNCH_MAX_JOBS=9;LOG_LEVEL=DEBUG",
}
TRAINER = "trainer@p1.iam.gserviceaccount.com"
ANY_VALUE = re.compile(r"^(--(?:member|role)=).+")  # the parser takes any: one of each is enough
NOTHING_IS_THERE = """
case "$*" in
  *'projects describe'*) echo '{"projectNumber": "12"}' ;;
  *describe*) echo 'NOT_FOUND' >&2; exit 1 ;;
  *list*) echo '[]' ;;
esac
"""
ALL_DIFFERS = """
case "$*" in
  *'projects describe'*) echo '{"projectNumber": "12"}' ;;
  *'buckets describe'*) echo '{"projectNumber": "12"}' ;;
  *describe*) echo '{"includedPermissions": []}' ;;
  *list*) echo '[]' ;;
esac
"""


# --- what there is


def documented() -> Iterator[Found]:
    """Yield what the documentation says, and the comments of what a build runs."""
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        yield from in_markdown(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8"))
    for file in [CONFIG, *sorted((ROOT / "deploy/cloud").glob("*.sh"))]:
        yield from in_comments(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8"))


SERVES = """case "$*" in
  "run services describe"*) echo "$4-00002-def=100" ;;
  "run revisions describe"*) echo "DEPLOYED_BUILD=projects/p1/locations/us-central1/builds/b1" ;;
  "builds describe"*) echo SUCCESS ;;
esac"""


def run_by_a_build() -> Iterator[Found]:
    """Yield what the steps run, without and with what is optional, and with something to roll back to."""
    build = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    for more in ({}, OPTIONAL):
        for step in build["steps"][1:]:
            names = {**GIVEN, **build["substitutions"], **more}
            with rehearsal(names, python="exit 1", gcloud=SERVES) as stage:
                (stage.workspace / ".previous").mkdir()
                for verb in ("poll", "submit", "status"):
                    (stage.workspace / f".previous/launch-{verb}").write_text(f"launch-{verb}-00001-abc=100")
                stage.run(step["script"])
                calls = [call for call in stage.calls() if call[0] == "gcloud"]
            yield from (Found(f"cloudbuild.yaml, step {step['id']}", tuple(call)) for call in calls)


def run_by_bootstrap(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Found]:
    """Yield what bootstrap prints, and what it runs where nothing is there yet, and where all is otherwise."""
    config = folder / "launch-config.yaml"
    builder = "builder: {type: cloud-build, destination: us-central1-docker.pkg.dev/p1/launch-jobs/code}"
    config.write_text(f"policy: {{service_accounts: [{TRAINER}]}}\n{builder}\n")
    options = ["--project=p1", "--region=us-central1", f"--kms-key={KEY}", f"--config={config}"]
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    for what, answers in (("nothing is there", NOTHING_IS_THERE), ("all differs", ALL_DIFFERS)):
        (folder / what).mkdir()
        recorder = Recorder(folder / what)
        recorder.program("gcloud", answers)
        monkeypatch.setenv("PATH", recorder.path)
        done = CliRunner().invoke(bootstrap, options, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        yield from (Found(f"bootstrap, where {what}", tuple(call)) for call in recorder.calls())
    monkeypatch.undo()
    printed = CliRunner().invoke(bootstrap, ["--print", *options], catch_exceptions=False)
    yield from in_shell("bootstrap --print", printed.stdout)
    deployment = Deployment("p1", "us-central1", kms_key=KEY)
    yield from in_shell("submit_command", submit_command(deployment))
    for binding in bindings(deployment):
        command = bind_command(binding, deployment)
        yield Found(f"binding on {binding.kind}", ("gcloud", *(word or UNKNOWN for word in command)))


# --- gcloud's verdict


def refusals(commands: Iterable[Found], folder: Path) -> list[str]:
    """Return what gcloud's parser has against commands; it is asked once, for all of them."""
    alike: dict[tuple[str, ...], list[Found]] = {}
    for found in commands:
        shape = tuple(ANY_VALUE.sub(r"\1", word) for word in found.words if word != "--quiet")
        alike.setdefault((*shape, *(["--help"] if found.mention else [])), []).append(found)
    groups = list(alike.values())
    readings = [_readings(group[0]) for group in groups]
    asked = {f"{number}.{nth}": text for number, texts in enumerate(readings) for nth, text in enumerate(texts)}
    file = folder / "commands.json"
    file.write_text(json.dumps([{"id": name, "command_string": text} for name, text in asked.items()]))
    done = subprocess.run(
        [str(GCLOUD), "meta", "lint-gcloud-commands", f"--commands-file={file}", "--serialize"],
        cwd=ROOT,  # where the files are that some commands name
        env=_alone(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    verdicts = {name: answer[0] for name, answer in json.loads(done.stdout).items()}
    refused = []
    for number, (group, texts) in enumerate(zip(groups, readings, strict=True)):
        judged = [verdicts[f"{number}.{nth}"] for nth in range(len(texts))]
        if not any(verdict["success"] for verdict in judged):
            where = ", ".join(dict.fromkeys(found.where for found in group))
            reason = judged[-1]["error_message"].partition("\n")[0]
            refused.append(f"{where}: {texts[-1]}: {reason}")
    return refused


def _readings(found: Found) -> tuple[str, ...]:
    """Return how a command may be meant, as the linter takes it, which reads `--flag word` as `--flag=word`."""
    if found.mention:
        return (shlex.join([*found.words, "--help"]),)  # only the command itself is looked up
    words, flags = ([word for word in found.words if word.startswith("--") == is_flag] for is_flag in (False, True))
    return tuple(dict.fromkeys((shlex.join([*words, *flags]), shlex.join(found.words))))


def _alone(folder: Path) -> dict[str, str]:
    """Return an environment in which gcloud knows nobody, asks nobody, and leaves the user's configuration alone."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CLOUDSDK_CONFIG": str(folder / "config"),
        "CLOUDSDK_CORE_PROJECT": "p1",
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "0",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
    }


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Collect them all."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        bootstrapped = list(run_by_bootstrap(tmp_path_factory.mktemp("bootstrap"), monkeypatch))
    return [*documented(), *run_by_a_build(), *bootstrapped]


PLANTED = {
    "a flag of no command": (
        "gcloud functions deploy f --gen2 --entry-pont=poll",
        "unrecognized arguments: --entry-pont",
    ),
    "no such command": ("gcloud functions redeploy f", "Invalid choice: 'redeploy'"),
    "nothing to deploy": ("gcloud functions deploy --gen2 --region=us-central1", "NAME must be specified"),
    "no value": ("gcloud run services describe f --region", "argument --region: expected one argument"),
    "no number": ("gcloud functions deploy f --concurrency=four", "argument --concurrency"),
    "one word too many": ("gcloud secrets describe s t --project=p1", "unrecognized arguments: t"),
    "after a line that goes on": ("gcloud storage buckets create \\\n  gs://b --lifecycle=x", "unrecognized arguments"),
    "inside another": ('echo "$(gcloud config get-value)"', "argument SECTION/PROPERTY: Must be specified"),
    "mentioned": ("see `gcloud pubsub topics creat`", "Invalid choice: 'creat'"),
}
GOOD = """
gcloud run services describe f --region us-central1 --format 'value(status.traffic[0].revisionName)' >out 2>&1
gcloud pubsub subscriptions seek dead --time=$(date -u +%FT%TZ)
gcloud storage rm --recursive "gs://${PROJECT_ID}-ledger" && gcloud projects describe "$(gcloud config get project)"
"""


@pytest.fixture(scope="module")
def refused(commands: list[Found], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Have them judged, with some that are wrong among them: asking takes seconds."""
    planted = [found for name, (text, _) in PLANTED.items() for found in planted_in(name, text)]
    return refusals([*commands, *planted, *in_shell("good", GOOD)], tmp_path_factory.mktemp("lint"))


def planted_in(name: str, text: str) -> Iterator[Found]:
    """Find a planted command as one in the documentation is found."""
    return in_markdown(f"planted, {name}", text if text.startswith("see ") else f"As so:\n\n```sh\n{text}\n```\n")


@judged_by_gcloud
def test_gcloud_accepts_every_command(refused: list[str]) -> None:
    """Its parser refuses none of those that we run, print or write down."""
    assert [line for line in refused if not line.startswith("planted")] == []


@judged_by_gcloud
@pytest.mark.parametrize("name", PLANTED)
def test_gcloud_refuses_what_is_planted(refused: list[str], name: str) -> None:
    """A wrong command in the documentation is refused, and named by its place and the mistake."""
    lines = [line for line in refused if line.startswith(f"planted, {name}:")]
    assert len(lines) == 1
    assert PLANTED[name][1] in lines[0]


def test_no_command_of_the_scripts_is_overlooked(commands: list[Found]) -> None:
    """Each gcloud in a script is one that ran: what is judged is what a build does."""
    steps = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["steps"]
    files = set((ROOT / "deploy/cloud").glob("*.sh")) - {ROOT / "deploy/cloud/check_sources.sh"}  # a person runs it
    texts = [file.read_text(encoding="utf-8") for file in files]
    lines = "\n".join([*texts, *(step["script"] for step in steps)]).splitlines()
    code = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    written = {tuple(found.split()) for found in re.findall(r"(?<!\")\bgcloud(?: [a-z][a-z-]+)+", code)}
    assert ("gcloud", "functions", "deploy") in written
    ran = [found.words for found in commands if found.where.startswith("cloudbuild.yaml, step")]
    assert [words for words in written if not any(call[: len(words)] == words for call in ran)] == []


def test_bootstrap_runs_what_it_prints(commands: list[Found]) -> None:
    """Where nothing is there, each command of the script that creates or binds is run; the others look or update."""
    script = {found.words for found in commands if found.where.startswith("bootstrap --print")}
    printed = {words for words in script if {"create", "enable", "add-iam-policy-binding"} & set(words)}
    printed = {words for words in printed if "title=first-days" not in str(words)}  # its end is computed
    ran = {found.words[:-1] for found in commands if found.where == "bootstrap, where nothing is there"}
    assert len(printed) > 20
    assert printed <= ran


def test_commands_are_found_in_markdown() -> None:
    """Blocks of shell and inline code are read as a shell reads them; other blocks are left alone."""
    text = """
Set `gcloud config set project P` first; `gcloud auth login` is enough.

```sh
# gcloud is not called in a comment
REGION=us-central1 gcloud builds submit \\
  --region=${REGION:-x} --substitutions="_A=$(gcloud config get-value project),B=$(git rev-parse HEAD)"
printf %s "$KEY" | gcloud secrets versions add <secret name> --data-file=- > /dev/null 2>&1
if gcloud run services list --filter='a > b
  OR c'; then exec gcloud version; fi
$ gcloud info  # shows all
it isn't gcloud that says this
```

```yaml
gcloud: gcloud is no command here
```
"""
    found = list(in_markdown("d.md", text))
    assert [(f.where, " ".join(f.words[1:])) for f in found] == [
        ("d.md:6", "config get-value project"),
        ("d.md:6", "builds submit --region=us-central1 --substitutions=_A=x-1,B=x-1"),
        ("d.md:8", "secrets versions add x-1 --data-file=-"),
        ("d.md:9", "run services list --filter=a > b\n  OR c"),
        ("d.md:9", "version"),
        ("d.md:11", "info"),
        ("d.md:2", "config set project P"),
        ("d.md:2", "auth login"),
    ]
    assert [f.mention for f in found] == [False] * 6 + [True] * 2


def test_a_quote_that_stays_open_is_named() -> None:
    """A command that no shell could read is an error with its place, not a command left out."""
    with pytest.raises(ValueError, match=r"d\.md:2: a quote stays open"):
        list(in_markdown("d.md", "```\ngcloud projects describe 'p1\n```\n"))
