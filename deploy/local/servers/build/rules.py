"""The builds that Cloud Build refuses to create."""

import re
from collections.abc import Iterator
from typing import Any

from google.cloud.devtools.cloudbuild_v1 import BuildOptions

from deploy.local.servers.vertex.errors import ApiError, invalid_argument

MOST_STEPS, MOST_TAGS = 300, 64
LONGEST = 24 * 3600  # seconds
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IMAGE = re.compile(
    r"[a-z0-9][a-z0-9._-]*(:[0-9]+)?(/[a-z0-9._-]+)+(:[\w][\w.-]{0,127})?", re.ASCII
)
_ACCOUNT = re.compile(r"projects/[^/]+/serviceAccounts/[^/@]+@[^/@]+")
_VERSION = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")
_ARCHIVES = (".tar.gz", ".tgz", ".zip")
_SUBSTITUTION = re.compile(r"(?<!\$)(?:\$\$)*\$(?:\{(\w+)\}|(\w+))")
_BUILT_IN = frozenset({"PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION"})
_OWN_LOGS = (BuildOptions.LoggingMode.CLOUD_LOGGING_ONLY, BuildOptions.LoggingMode.NONE)


def check(build: Any) -> None:
    """Refuse a bad build with an ApiError (400)."""
    problems = list(_problems(build))
    if problems:
        raise invalid_argument("; ".join(problems))


def _problems(build: Any) -> Iterator[str]:
    if not 0 < len(build.steps) <= MOST_STEPS:
        yield f"invalid build: it must have 1 to {MOST_STEPS} steps"
    for number, step in enumerate(build.steps):
        yield from _of_step(number, step, _BUILT_IN | set(build.substitutions))
    source = build.source.storage_source
    if source.bucket and not source.object_.endswith(_ARCHIVES):
        yield f"invalid source: {source.object_!r} must be a .tar.gz, .tgz or .zip archive"
    yield from (
        f"invalid image name {one!r}: could not parse reference"
        for one in build.images
        if _wrong(_IMAGE, one)
    )
    yield from (f"invalid tag {tag!r}" for tag in build.tags if _wrong(_TAG, tag))
    if len(build.tags) > MOST_TAGS:
        yield f"invalid tags: more than {MOST_TAGS}"
    if build.timeout.seconds > LONGEST:
        yield "invalid timeout: it must not exceed 24h"
    yield from _of_account(build)
    yield from _of_secrets(build)


def _of_secrets(build: Any) -> Iterator[str]:
    """Yield the problems of secrets: each is declared once, and some step uses it."""
    declared = [secret.env for secret in build.available_secrets.secret_manager]
    used = {name for step in build.steps for name in step.secret_env}
    for name in sorted(used ^ set(declared)):
        problem = "is used, but not declared" if name in used else "is declared, but not used"
        yield f"invalid build: the secret environment variable {name!r} {problem}"
    for secret in build.available_secrets.secret_manager:
        if _wrong(_VERSION, secret.version_name):
            yield f"invalid secret version {secret.version_name!r}"


def _of_step(number: int, step: Any, known: frozenset[str]) -> Iterator[str]:
    if not step.name:
        yield f"invalid build: build step {number} must specify name"
    for text in (*step.args, *step.env):
        for name in sorted({a or b for a, b in _SUBSTITUTION.findall(text)} - known):
            yield (
                'invalid value for "build.substitutions": '
                f'key in the template "{name}" is not a valid built-in'
            )
    for pair in step.env:
        if "=" not in pair:
            yield f"invalid build: build step {number} env {pair[:20]!r} must be KEY=VALUE"


def _of_account(build: Any) -> Iterator[str]:
    if not build.service_account:
        return
    if _wrong(_ACCOUNT, build.service_account):
        account = build.service_account
        yield f"invalid service account {account!r}: projects/P/serviceAccounts/ACCOUNT"
    if build.options.logging not in _OWN_LOGS and not build.logs_bucket:
        yield (
            "if 'build.service_account' is specified, the build must either "
            "(a) specify 'build.logs_bucket', (b) use the REGIONAL_USER_OWNED_BUCKET "
            "build.options.default_logs_bucket_behavior option, or (c) use either "
            "CLOUD_LOGGING_ONLY / NONE logging options"
        )


def _wrong(pattern: re.Pattern[str], text: str) -> bool:
    return pattern.fullmatch(text) is None


def not_found(name: str) -> ApiError:
    """Return the 404 of a build or image that does not exist."""
    return ApiError(404, "NOT_FOUND", f"Requested entity was not found: {name}.")
