"""Tells what is wrong with a cloudbuild.yaml, one sentence for each mistake, beginning with the step's id."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml

from deploy.cloud.deployment import SCHEDULED, Deployment
from deploy.cloud.provision.schedule import DEADLINE
from deploy.cloud.provision.trigger import ACK_DEADLINE
from shared.adapters.vertex.submit import CREATE_TIMEOUT
from shared.config.settings import PollSettings, StatusSettings, SubmitSettings
from tests.deployment.rehearsal import GIVEN, ROOT, rehearsal

Document = Mapping[str, Any]
Flags = Mapping[str, str | None]

BUILT_IN = {"PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION", "COMMIT_SHA"}
LONGEST_EVENT = 540  # seconds that a function may have which an event calls
STATED = ("memory", "cpu", "timeout", "concurrency", "min-instances", "max-instances")
VARIABLE = re.compile(r"\$\{?([A-Z_][A-Z0-9_]*)")
SHEBANG = re.compile(r"#!(/usr/bin/env bash|/bin/bash)\n")


def problems(build: Document) -> list[str]:
    """Return all that is wrong with a build; nothing where it is complete."""
    rules = (_build, _steps, _substitutions, _tested, _deployed, _routed, _smoke)
    return [problem for rule in rules for problem in rule(build)]


def _build(build: Document) -> Iterator[str]:
    if not re.fullmatch(r"[1-9]\d*s", str(build.get("timeout"))):
        yield f"timeout: is {build.get('timeout')!r}; say 3000s: Cloud Build would end it after ten minutes"
    if build.get("serviceAccount") and "logging" not in build.get("options", {}):
        yield "options.logging: is missing, and a build with an account of its own does not start without"


def _steps(build: Document) -> Iterator[str]:
    """Check each step by itself: its id, what it waits for, its image, its script."""
    seen: set[str] = set()
    for number, step in enumerate(build["steps"], start=1):
        name = step.get("id") or f"step {number}"
        if not step.get("id"):
            yield f"{name}: has no id"
        if name in seen:
            yield f"{name}: two steps have this id"
        for other in step.get("waitFor", ()):
            if other not in (*seen, "-"):
                yield f"{name}: waits for {other!r}, which is no earlier step"
        seen.add(name)
        tag = step.get("name", "").partition("@")[0].rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            yield f"{name}: its image {step.get('name')!r} is not pinned by a tag"
        elif not re.search("@sha256:[0-9a-f]{64}$", step["name"]):
            yield f"{name}: its image {step.get('name')!r} is not pinned by a digest"
        yield from (f"{name}: {problem}" for problem in _script(step))
        if ".venv/" in step.get("script", "") and step.get("name") != build["steps"][0].get("name"):
            yield f"{name}: uses .venv, which was made in the image {build['steps'][0].get('name')}"


def _script(step: Document) -> Iterator[str]:
    script = step.get("script", "")
    for key in {"args", "entrypoint"} & set(step):
        yield f"has {key}, which a step with a script may not have"
    if not SHEBANG.match(script):
        yield "its script does not begin with bash's shebang: it would run in sh"
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    if checked.returncode:
        yield f"its script is no bash: {checked.stderr.strip().splitlines()[0]}"
    for path in re.findall(r"^(?:exec )?((?:deploy|\.ci)/[\w./]+)", script, re.MULTILINE):
        if not (ROOT / path).is_file():
            yield f"runs {path}, which does not exist"


def _waits(build: Document) -> dict[str, set[str]]:
    """Return which steps are done before each: what a step waits for, and what that waits for."""
    before: dict[str, set[str]] = {}
    for step in build["steps"]:
        direct = set(step.get("waitFor") or before) & set(before)
        before[step.get("id", "")] = direct.union(*(before[other] for other in direct))
    return before


def _substitutions(build: Document) -> Iterator[str]:
    """Check that what is declared is used, and the reverse; a script sees them where automapSubstitutions is set."""
    declared, options = set(build.get("substitutions", {})), build.get("options", {})
    here = yaml.safe_dump({key: value for key, value in build.items() if key not in ("substitutions", "steps")})
    scripts = {f"the step {step.get('id')}": str(step.get("script", "")) for step in build["steps"]}
    called = {path for script in scripts.values() for path in re.findall(r"deploy/[\w/]+\.sh", script)}
    files = {path: (ROOT / path).read_text(encoding="utf-8") for path in sorted(called) if (ROOT / path).is_file()}
    used = {place: _used(text) for place, text in {"cloudbuild.yaml": here, **scripts, **files}.items()}
    for place, names in used.items():
        for name in sorted(names - declared - BUILT_IN):
            yield f"{name}: {place} uses it, but it is not declared"
    for name in sorted(declared - set().union(*used.values())):
        yield f"{name}: is declared, but nothing uses it"
    if not options.get("automapSubstitutions") and set().union(*(used[place] for place in scripts)):
        yield "options.automapSubstitutions: is not set, so no script sees a substitution"
    spelt = set().union(*(names for place, names in used.items() if place not in files))
    unseen = sorted((declared | {"COMMIT_SHA"}) - spelt)
    if unseen and options.get("substitutionOption") != "ALLOW_LOOSE":
        yield f"options.substitutionOption: is not ALLOW_LOOSE, so Cloud Build refuses what no step spells: {unseen}"


def _used(text: str) -> set[str]:
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return set(VARIABLE.findall(code))


def _tested(build: Document) -> Iterator[str]:
    """Check that the first step installs what is deployed, that all others wait for it, and that none runs tests."""
    first, *others = build["steps"]
    for step in build["steps"]:
        if re.search(r"^(exec )?(\.ci/run|make|\S*pytest)\b", step.get("script", ""), re.MULTILINE):
            yield f"{step.get('id')}: runs .ci/run, whose packages would have the rights of this build's account"
    script = first.get("script", "")
    installed = re.findall(r"--requirement=(\S+)", script)
    if "--require-hashes" not in script or installed != ["requirements-deploy.txt"]:
        yield f"{first.get('id')}: pip has to check hashes, and install requirements-deploy.txt only"
    before = _waits(build)
    for step in others:
        if first.get("id") not in before[step.get("id", "")]:
            yield f"{step.get('id')}: does not wait for {first.get('id')}"


def _deployed(build: Document) -> Iterator[str]:
    """Check that each function is deployed, and by which flags; the flags are those that gcloud is called with."""
    functions = {entry.parent.name for entry in (ROOT / "functions").glob("*/handler.py")}
    deploying = [step for step in build["steps"] if "deploy/cloud/function.sh" in step.get("script", "")]
    substitutions = (
        {**GIVEN, **build.get("substitutions", {})} if build.get("options", {}).get("automapSubstitutions") else {}
    )
    names = Deployment(GIVEN["PROJECT_ID"], substitutions.get("_REGION", "-"), substitutions.get("_NAME", "launch"))
    smoke = _waits(build).get("smoke", set())
    for step in deploying:
        step_id = step.get("id", "")
        code, output, calls = _rehearsed(step["script"], tuple(sorted(substitutions.items())))
        deploys = [call[3:] for call in calls if call[:3] == ["gcloud", "functions", "deploy"]]
        if code or not deploys:
            yield f"{step_id}: deploys nothing: {output}"
            continue
        flags = dict(_flag(word) for word in deploys[0][1:])
        verb = str(flags.get("entry-point"))
        functions.discard(verb)
        bound = [call[3:] for call in calls if call[:3] == ["gcloud", "functions", "add-invoker-policy-binding"]]
        who = "scheduler" if verb in SCHEDULED else verb
        if not any(f"--member=serviceAccount:{names.account(who)}" in call for call in bound):
            yield f"{step_id}: does not let {names.account(who)} in, who calls it"
        wrong = [*_called(verb, flags, names), *_sized(verb, flags), *_timed(verb, flags)]
        yield from (f"{step_id}: {problem}" for problem in wrong)
        if step_id not in smoke:
            yield f"smoke: does not wait for {step_id}"
    for verb in sorted(functions):
        yield f"{verb}: no step deploys this function"


@cache
def _rehearsed(script: str, substitutions: tuple[tuple[str, str], ...]) -> tuple[int, str, list[list[str]]]:
    with rehearsal(dict(substitutions)) as stage:
        return stage.run(script), stage.output, stage.calls()


def _flag(word: str) -> tuple[str, str | None]:
    name, given, value = word.removeprefix("--").partition("=")
    return name, value if given else None


def _called(verb: str, flags: Flags, names: Deployment) -> Iterator[str]:
    """Check what calls a function, and as whom it works."""
    if flags.get("service-account") != names.account(verb):
        yield f"--service-account is {flags.get('service-account')}, not {names.account(verb)}"
    if verb in SCHEDULED:
        if "trigger-http" not in flags:
            yield "--trigger-http is missing: Cloud Scheduler calls it"
        return
    if flags.get("trigger-topic") != names.topic:
        yield f"--trigger-topic is {flags.get('trigger-topic')}, but requests are published to {names.topic}"
    if flags.get("trigger-service-account") != names.account(verb):
        yield f"--trigger-service-account is {flags.get('trigger-service-account')}, not {names.account(verb)}"
    if "retry" not in flags:
        yield "--retry is missing: what is raised would be lost"


def _sized(verb: str, flags: Flags) -> Iterator[str]:
    """Check that nothing is left to Google's defaults, that idling costs nothing, and how many work at a time."""
    if "serve-all-traffic-latest-revision" in flags:
        yield "--serve-all-traffic-latest-revision takes the traffic before the other functions are deployed"
    for name, value in flags.items():
        if value == "":
            yield f"--{name} has no value"
    for name in STATED:
        if not re.fullmatch(r"\d+(\.\d+)?(s|Mi|Gi)?", flags.get(name) or ""):
            yield f"--{name} is {flags.get(name)!r}: say how much"
    if _number(flags, "min-instances"):
        yield "--min-instances is not 0: it costs while nothing is to do"
    if _number(flags, "concurrency") > 1 > _number(flags, "cpu"):
        yield "--cpu is less than 1, which Cloud Run refuses where --concurrency is more than 1"
    if verb in SCHEDULED:
        for name in ("concurrency", "max-instances"):
            if _number(flags, name) != 1:
                yield f"--{name} is not 1: one call at a time is meant to work"


def _timed(verb: str, flags: Flags) -> Iterator[str]:
    """Check a function's timeout against its callers' deadlines, and against the work of the code."""
    timeout, limits = _number(flags, "timeout"), dict[str, float]()
    if verb in SCHEDULED:
        budget = _default(PollSettings if verb == "poll" else StatusSettings, f"{verb}_budget_seconds")
        if timeout <= budget:
            yield f"--timeout is {timeout:.0f} s: not longer than {verb.upper()}_BUDGET_SECONDS, {budget:.0f}"
        limits["Cloud Scheduler's attempt deadline"] = DEADLINE
    if verb == "poll" and timeout >= (lease := _default(PollSettings, "poll_lease_seconds")):
        yield f"--timeout is {timeout:.0f} s: not shorter than POLL_LEASE_SECONDS, {lease:.0f}: two polls would work"
    if verb == "submit":
        longest = _default(SubmitSettings, "submit_budget_seconds") + _default(SubmitSettings, "submit_create_seconds")
        if timeout < longest:
            yield f"--timeout is {timeout:.0f} s: shorter than SUBMIT_BUDGET_SECONDS and a create, {longest:.0f}"
        limits["what an event's function may have"] = LONGEST_EVENT
        limits["the trigger's ACK_DEADLINE"] = ACK_DEADLINE
        limits["SUBMIT_LEASE_SECONDS less a create"] = _default(SubmitSettings, "submit_lease_seconds") - CREATE_TIMEOUT
    for what, limit in limits.items():
        if timeout > limit:
            yield f"--timeout is {timeout:.0f} s: longer than {what}, {limit:.0f}"


def _number(flags: Flags, name: str) -> float:
    found = re.match(r"\d+(\.\d+)?", flags.get(name) or "")
    return float(found[0]) if found else 0


def _default(settings: Any, name: str) -> float:
    return float(settings.model_fields[name].default)


def _routed(build: Document) -> Iterator[str]:
    """Check that the traffic is held before the first function is deployed, and moves after the last one."""
    before = _waits(build)
    by_script = {re.search(r"deploy/cloud/(\w+)\.sh|$", step.get("script", ""))[1]: step for step in build["steps"]}  # type: ignore[index]
    for script in ("hold_traffic", "route"):
        if script not in by_script:
            yield f"no step runs deploy/cloud/{script}.sh"
            return
    hold, route = (by_script[script].get("id", "") for script in ("hold_traffic", "route"))
    for step in build["steps"]:
        step_id, script = step.get("id", ""), step.get("script", "")
        if "deploy/cloud/function.sh" in script and hold not in before[step_id]:
            yield f"{step_id}: does not wait for {hold}: it would take the traffic"
        if ("deploy/cloud/function.sh" in script or "provision" in script) and step_id not in before[route]:
            yield f"{route}: does not wait for {step_id}"
        if "-m deploy smoke" in script and route not in before[step_id]:
            yield f"{step_id}: does not wait for {route}: it would test the revisions from before"


def _smoke(build: Document) -> Iterator[str]:
    """Check by running them that the steps after smoke fail the build exactly when smoke has failed."""
    steps, before = build["steps"], _waits(build)
    for step in steps:
        if step.get("allowFailure") and step.get("id") != "smoke":
            yield f"{step.get('id')}: has allowFailure, so the build goes on and succeeds when it fails"
    smoke = next((step for step in steps if step.get("id") == "smoke"), None)
    if smoke is None or "-m deploy smoke" not in smoke.get("script", ""):
        yield "smoke: there is no step of this id that runs `vertex-launch smoke`"
        return
    if not smoke.get("allowFailure"):
        yield "smoke: has no allowFailure, so nothing could bring the previous revisions back"
    after = tuple(step.get("script", "") for step in steps if "smoke" in before[step.get("id", "")])
    if not _fails(smoke["script"], after, smoke_code=1):
        yield "smoke: no step after it fails the build when it has not passed"
    if _fails(smoke["script"], after, smoke_code=0):
        yield "smoke: a step after it fails the build though it has passed"


@cache
def _fails(smoke: str, after: tuple[str, ...], *, smoke_code: int) -> bool:
    with rehearsal({**GIVEN, "_NAME": "launch", "_REGION": "r", "_KMS_KEY": ""}, f"exit {smoke_code}") as stage:
        (stage.workspace / ".previous").mkdir()
        stage.run(smoke)
        return sum(stage.run(script) for script in after) > 0  # all of them run
