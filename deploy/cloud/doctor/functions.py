"""The functions: their state, and what the revisions that serve were deployed from."""

from collections.abc import Iterator
from functools import partial

from google.api_core import exceptions as google_errors

from deploy.cloud import gcloud
from deploy.cloud.bootstrap import submit_command
from deploy.cloud.deployment import FUNCTIONS
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning
from deploy.cloud.doctor.revisions import Revision, newest

SUCCESS = "SUCCESS"
AT_WORK = ("PENDING", "QUEUED", "WORKING")
WAIT = "Wait for the end of the build, then run doctor again."
SEES_TRAFFIC = ("run.services.get", "run.revisions.get", "cloudbuild.builds.get")


def checks(case: Case) -> Iterator[Check]:
    """Yield the checks of each function, and the comparison of all three."""
    for verb in FUNCTIONS:
        yield Check(
            f"function {verb}", partial(_function, case, verb), ("cloudfunctions.functions.get",)
        )
    for verb in FUNCTIONS:
        yield Check(f"traffic of {verb}", partial(_traffic, case, verb), SEES_TRAFFIC)
    yield Check("one build", partial(_one_build, case), SEES_TRAFFIC)


def _function(case: Case, verb: str) -> Iterator[Finding]:
    title, name = f"function {verb}", case.deployment.function(verb)
    try:
        there = case.function(verb)
    except google_errors.NotFound:
        build = submit_command(case.deployment)
        yield failed(title, f"{name} is not deployed", build, *case.missing(verb))
        return
    if there["state"] != "ACTIVE":
        messages = [each.get("message", "") for each in there.get("stateMessages", ())]
        message = "; ".join([f"{name} is {there['state']}", *filter(None, messages)])
        yield failed(title, message, submit_command(case.deployment))
    else:
        yield ok(title, f"{name} is active")


def _traffic(case: Case, verb: str) -> Iterator[Finding]:
    """Check that the build of each revision that serves has succeeded: its smoke test passed.

    A build that was cancelled, timed out or could not roll back leaves its revisions in service.
    """
    title, found = f"traffic of {verb}", case.serving(verb)
    for revision in found or ():
        status = _status(case, revision)
        if status in AT_WORK:
            message = f"{revision.name} serves, but its build {revision.build} is {status}"
            yield warning(title, message, WAIT, revision.build)
        elif status != SUCCESS:
            message = f"{revision.name} serves, but its build {revision.build} is {status}: "
            message += "the smoke test has not passed"
            # a cause of each function: each needs its own command
            fix = _restore(case, verb, revision)
            yield failed(title, message, fix, f"{verb} of {revision.build}")
        else:
            yield ok(title, f"{revision.name} serves {revision.percent} %, {revision.version}")
    if found == ():
        message = f"no revision of {case.deployment.function(verb)} serves"
        yield failed(title, message, submit_command(case.deployment))


def _one_build(case: Case) -> Iterator[Finding]:
    """Check that all functions serve what one build has deployed; name those that are behind."""
    title = "one build"
    serving = {verb: case.serving(verb) for verb in FUNCTIONS}
    if not all(serving.values()):
        return  # the check of the function or of its traffic reports it
    all_of_them = [(verb, each) for verb, found in serving.items() for each in found or ()]
    versions = {(each.commit, each.build) for _, each in all_of_them}
    if len(versions) == 1:
        yield ok(title, f"all three functions serve {all_of_them[0][1].version}")
        return
    message = ", ".join(f"{verb} serves {each.version}" for verb, each in all_of_them)
    at_work = {each.build for _, each in all_of_them if _status(case, each) in AT_WORK}
    if at_work:
        yield warning(title, f"a build is at work: {message}", WAIT, *sorted(at_work))
        return
    good = [each for _, each in all_of_them if _status(case, each) == SUCCESS]
    wanted = max(good or [each for _, each in all_of_them], key=lambda each: each.created)
    behind: dict[str, str] = {}
    for verb, each in all_of_them:
        if each.version == wanted.version:
            continue
        if each not in good:
            behind[verb] = _restore(case, verb, each)
        elif newest(case.google, case.service(verb)).version == wanted.version:
            behind[verb] = _route(case, verb, "--to-latest")
        else:
            behind[verb] = ""  # only another build can deploy it
    fixes = [fix for fix in behind.values() if fix]
    if len(fixes) < len(behind):
        fixes = [submit_command(case.deployment)]
    says = f"{', '.join(behind)} {'differs' if len(behind) == 1 else 'differ'} from the others: "
    bad = sorted({f"{verb} of {each.build}" for verb, each in all_of_them if each not in good})
    yield failed(title, f"{says}{message}", "\n".join(dict.fromkeys(fixes)), *bad)


def _status(case: Case, revision: Revision) -> str:
    """Return the status of a revision's build; SUCCESS if no build is known, which is no fault.

    An earlier version or an operator has deployed the revision, or Cloud Build has deleted the
    build.
    """
    if not revision.build:
        return SUCCESS
    url = f"https://cloudbuild.googleapis.com/v1/{revision.build}"
    try:
        there = case.once(revision.build, lambda: case.google.get(url))
    except google_errors.NotFound:
        return SUCCESS
    return str(there["status"])


def _restore(case: Case, verb: str, revision: Revision) -> str:
    """Return the command that restores the revisions that a revision has replaced."""
    if not revision.over:
        return submit_command(case.deployment)
    return _route(case, verb, f"--to-revisions={revision.over}")


def _route(case: Case, verb: str, target: str) -> str:
    deployment = case.deployment
    where = (f"--region={deployment.region}", f"--project={deployment.project}")
    route = ("run", "services", "update-traffic", deployment.function(verb), *where, target)
    return gcloud.shown(route)
