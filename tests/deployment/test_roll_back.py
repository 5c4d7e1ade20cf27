"""What serves after a build that died, wherever it died, also several times in a row.

The scripts of cloudbuild.yaml run with a `gcloud` that keeps revisions, their variables, the traffic and the builds'
results. The whole deployment tests the same scripts with Google's own gcloud.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
STEPS = {step["id"]: step for step in yaml.safe_load((ROOT / "cloudbuild.yaml").read_text(encoding="utf-8"))["steps"]}
VERBS = ("poll", "submit", "status")
# A file for each service's traffic, each revision's variables, and each build's status. FAIL is a pattern of the
# steps and calls that fail.
GCLOUD = """#!/usr/bin/env bash
set -eu
if [[ -n ${FAIL:-} && "${STEP} $*" =~ ${FAIL} ]]; then echo "planted" >&2; exit 1; fi
traffic=${STATE}/${4:-}.traffic
case "$*" in
  "run services describe "*) cat "${traffic}" 2>/dev/null || { echo "Cannot find service" >&2; exit 1; } ;;
  "run revisions describe "*) cat "${STATE}/$4.env" ;;
  "builds describe "*) cat "${STATE}/builds/$3" 2>/dev/null || { echo "NOT_FOUND: no build" >&2; exit 1; } ;;
  "functions deploy "*)
    new=$3-$(($(cat "${STATE}/$3.count" 2>/dev/null || echo 0) + 1))
    echo "${new##*-}" >"${STATE}/$3.count"
    for word in "$@"; do
      if [[ ${word} == --set-env-vars=* ]]; then tr ';' '\\n' <<<"${word#*^;^}" >"${STATE}/${new}.env"; fi
    done
    if [[ ! -e ${STATE}/$3.pinned ]]; then echo "${new}=100" >"${STATE}/$3.traffic"; fi ;;
  "run services update-traffic "*)
    if [[ "$*" == *--to-latest* ]]; then
      rm -f "${STATE}/$4.pinned"
      echo "$4-$(cat "${STATE}/$4.count")=100" >"${traffic}"
    else
      touch "${STATE}/$4.pinned"
      for word in "$@"; do
        if [[ ${word} == --to-revisions=* ]]; then tr ',' '\\n' <<<"${word#*=}" >"${traffic}"; fi
      done
    fi ;;
  "run services get-iam-policy "* | "functions add-invoker-policy-binding "*) ;;
  *) echo "unexpected: $*" >&2; exit 2 ;;
esac
"""
PYTHON = '#!/usr/bin/env bash\n[[ ! "${STEP} $*" =~ ${FAIL:-nothing} ]]\n'


@dataclass(frozen=True)
class Death:
    """How a build dies: which calls fail (a pattern), or after which step somebody cancels it."""

    fail: str = ""
    cancelled_after: str = ""
    status: str = "FAILURE"


@dataclass
class Builds:
    """A project in which builds deploy."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    output: str = ""

    def __post_init__(self) -> None:
        """Put our gcloud, and a Python for the other steps, in place of the real ones."""
        self.state = self.folder / "state"
        (self.state / "builds").mkdir(parents=True)
        self._program("bin/gcloud", GCLOUD)

    def build(self, death: Death | None = None) -> str:
        """Run the steps of one build in a workspace of its own; return its status."""
        number, died = f"b{next(self.numbers)}", death or Death()
        workspace = self.folder / number
        workspace.mkdir()
        (workspace / "deploy").symlink_to(ROOT / "deploy")
        self._program(f"{number}/.venv/bin/python", PYTHON)
        status = self.state / "builds" / number
        status.write_text("WORKING")
        status.write_text(self._run(workspace, number, died))
        return status.read_text()

    def serving(self, *verbs: str) -> list[str]:
        """Return what serves, for each function or for these."""
        return [(self.state / f"launch-{verb}.traffic").read_text().strip() for verb in verbs or VERBS]

    def _run(self, workspace: Path, number: str, died: Death) -> str:
        self.output, failed = "", False
        for name, step in STEPS.items():
            environ = {"PROJECT_ID": "p", "BUILD_ID": number, "LOCATION": "us-central1", "COMMIT_SHA": f"c{number}"}
            names = {"_REGION": "us-central1", "_NAME": "launch", "_KMS_KEY": "", "_LAUNCH_CONFIG": "-"}
            path = f"{self.folder / 'bin'}:/usr/bin:/bin"
            done = subprocess.run(
                ["bash", "-c", step["script"]] if name != "install" else ["true"],
                cwd=workspace,
                env={**environ, **names, "PATH": path, "STATE": str(self.state), "STEP": name, "FAIL": died.fail},
                capture_output=True,
                text=True,
                check=False,
            )
            self.output += done.stdout + done.stderr
            assert done.returncode < 2, self.output
            if done.returncode and not step.get("allowFailure"):
                failed = True
                break
            if name == died.cancelled_after:
                return died.status
        return "FAILURE" if failed else "SUCCESS"

    def _program(self, name: str, script: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script, encoding="utf-8")
        file.chmod(0o755)


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    """Return builds of a project in which nothing is deployed."""
    return Builds(tmp_path)


SMOKE = Death("deploy smoke")
RESTORED = {
    "a function cannot be described": Death("services describe launch-status"),
    "the traffic cannot be pinned": Death("^hold.*update-traffic launch-poll"),
    "a deploy step fails": Death("functions deploy launch-poll"),
    "another deploy step fails": Death("functions deploy launch-submit"),
    "the last deploy step fails": Death("functions deploy launch-status"),
    "a caller cannot be bound": Death("add-invoker-policy-binding launch-status"),
    "provision fails": Death("provision --complete"),
    "the first function is not routed": Death("update-traffic launch-submit.*to-latest"),
    "the last function is not routed": Death("update-traffic launch-poll.*to-latest"),
    "the smoke test fails": SMOKE,
    "cancelled after a deploy step": Death(cancelled_after="deploy-submit", status="CANCELLED"),
    "timed out in provision": Death(cancelled_after="provision-trigger", status="TIMEOUT"),
}
LEFT = {  # Cloud Build runs no further step: the next build restores
    "cancelled after route": Death(cancelled_after="route", status="CANCELLED"),
    "timed out after smoke": Death(cancelled_after="smoke", status="TIMEOUT"),
    "the roll-back fails": Death("deploy smoke|^roll-back.*launch-status"),
}


@pytest.mark.parametrize("death", RESTORED.values(), ids=RESTORED.keys())
def test_what_served_before_a_failed_build_serves_after_it(builds: Builds, death: Death) -> None:
    """Also after the second one in a row; the next good build serves."""
    assert builds.build() == "SUCCESS"
    good = builds.serving()
    for died in (death, SMOKE):
        assert builds.build(died) != "SUCCESS"
        assert builds.serving() == good, builds.output
    assert builds.build() == "SUCCESS"
    newest = [f"launch-{verb}-{(builds.state / f'launch-{verb}.count').read_text().strip()}=100" for verb in VERBS]
    assert builds.serving() == newest


@pytest.mark.parametrize("first", LEFT.values(), ids=LEFT.keys())
@pytest.mark.parametrize("second", [SMOKE, Death("functions deploy launch-submit")], ids=["smoke", "deploy"])
def test_revisions_that_a_dead_build_left_in_service_are_not_restored(
    builds: Builds, first: Death, second: Death
) -> None:
    """The next build asks Cloud Build how theirs ended, and goes back to the revisions before them."""
    builds.build()
    good = builds.serving()
    for _ in range(2):
        assert builds.build(first) == first.status
    assert builds.serving() != good
    assert builds.build(second) == "FAILURE"
    assert builds.serving() == good
    assert "Before it, launch-" in builds.output or "serves again" in builds.output


def test_one_function_that_cannot_be_seen_does_not_stop_the_others(builds: Builds) -> None:
    """Their traffic is restored, although the build stops there."""
    builds.build()
    good = builds.serving("status", "submit")
    builds.build(LEFT["cancelled after route"])
    assert builds.build(Death("^hold.*services describe launch-poll")) == "FAILURE"
    assert builds.serving("status", "submit") == good
    assert "launch-poll: cannot hold its traffic: planted" in builds.output


def test_a_function_that_could_not_be_rolled_back_is_named_with_its_command(builds: Builds) -> None:
    """The other two are rolled back; the command can be copied."""
    builds.build()
    good = builds.serving()
    assert builds.build(LEFT["the roll-back fails"]) == "FAILURE"
    assert builds.serving("poll", "submit") == good[:2]
    command = "gcloud run services update-traffic launch-status --region=us-central1 --project=p --quiet"
    assert f"could not be rolled back. Repeat by hand: {command} --to-revisions=launch-status-1=100" in builds.output


@pytest.mark.parametrize("death", [SMOKE, Death("functions deploy launch-status")], ids=["smoke", "deploy"])
def test_a_failed_first_build_has_nothing_to_restore(builds: Builds, death: Death) -> None:
    """The build fails, also the second time; then the next good one serves, and its revisions are restored later."""
    for _ in range(2):
        assert builds.build(death) == "FAILURE"
    assert builds.build() == "SUCCESS"
    good = builds.serving()
    assert builds.build(SMOKE) == "FAILURE"
    assert builds.serving() == good


def test_traffic_that_an_operator_has_routed_comes_back(builds: Builds) -> None:
    """To an older revision, or to two: a failed build restores exactly that, and a good one replaces it."""
    builds.build()
    builds.build()
    for traffic in ("launch-poll-1=100", "launch-poll-1=30\nlaunch-poll-2=70"):
        (builds.state / "launch-poll.traffic").write_text(f"{traffic}\nlaunch-poll-2=\n")  # and a tag without traffic
        assert builds.build(SMOKE) == "FAILURE"
        assert builds.serving("poll") == [traffic]
    builds.build()
    assert builds.serving("poll") == ["launch-poll-5=100"]


def test_a_revision_without_a_known_build_is_good(builds: Builds) -> None:
    """An earlier version or an operator has deployed it, or Cloud Build has deleted its build."""
    builds.build()
    good = builds.serving()
    (builds.state / "launch-poll-1.env").write_text("A=1\n")
    (builds.state / "builds" / "b1").unlink()
    assert builds.build(SMOKE) == "FAILURE"
    assert builds.serving() == good


def test_a_build_whose_result_cannot_be_read_changes_nothing(builds: Builds) -> None:
    """Refused and unavailable are not gone: the build stops before it deploys anything."""
    builds.build()
    before = {file.name: file.read_text() for file in builds.state.glob("*.*")}
    assert builds.build(Death("builds describe")) == "FAILURE"
    assert "planted" in builds.output
    assert {file.name: file.read_text() for file in builds.state.glob("*.*")} == before
