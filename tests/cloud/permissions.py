"""The IAM permissions that a call requires, each with its resource, as Google documents them."""

import re
from collections.abc import Callable, Iterator
from string import Template
from typing import Any

from tests.cloud.calls import REGION_CODES, Call
from tests.cloud.permission_tables import ACCOUNT_FIELDS, KINDS, OF_A_TRIGGER, PREFIXES, VERBS

Needed = frozenset[tuple[str, str]]


class UnknownCallError(LookupError):
    """The permissions of this kind of call are not listed here."""


def needed(call: Call) -> Needed:
    """Return the (permission, full resource) pairs that `call` requires.

    A write of an object without `ifGenerationMatch` counts as a create: the call does not show whether
    it overwrites, which also requires `storage.objects.delete`.

    Raises:
        UnknownCallError: this kind of call is unknown.
    """
    special = _SPECIAL.get(call.service)
    return frozenset(special(call) if special else _named(call))


def _named(call: Call) -> Iterator[tuple[str, str]]:
    """Yield the permissions of a call to `/VERSION/NAME[:VERB]`."""
    if call.path == "/v1/permissions:queryTestablePermissions":
        return  # any identity may ask
    name, verb = _name_and_verb(call)
    segments = name.split("/")
    kinds = KINDS.get(call.service, {})
    kind = segments[-1] if len(segments) % 2 else segments[-2]
    if call.service != "iamcredentials" and kind not in kinds and kind != "locations":
        raise _unknown(call)
    prefix = PREFIXES.get(call.service, call.service)
    if verb in ("testIamPermissions", "queryTestablePermissions"):
        return
    if verb in ("getIamPolicy", "setIamPolicy"):
        yield f"{prefix}.{kinds[kind]}.{verb}", _resource(call.service, name)
    elif kind == "defaultServiceAccount":
        yield "cloudbuild.builds.get", _project(segments[1])
    elif call.service == "pubsub" and len(segments) == 5:  # a topic's subscriptions
        yield "pubsub.topics.get", _resource(call.service, "/".join(segments[:4]))
    elif verb:
        if (call.service, verb) not in VERBS:
            raise _unknown(call)
        yield VERBS[call.service, verb], _resource(call.service, name)
    else:
        yield f"{prefix}.{kinds.get(kind, kind)}.{_action(call, segments)}", _checked_on(call, segments, kind)
    if call.method in ("POST", "PUT", "PATCH"):
        yield from _written(call, segments)


def _action(call: Call, segments: list[str]) -> str:
    on_collection = len(segments) % 2 == 1
    actions = {"GET": "list", "POST": "create"} if on_collection else {
        "GET": "get",
        "PUT": "create" if call.service == "pubsub" else "update",
        "PATCH": "update",
        "DELETE": "delete",
    }  # fmt: skip
    if call.method not in actions:
        raise _unknown(call)
    return actions[call.method]


def _checked_on(call: Call, segments: list[str], kind: str) -> str:
    """Return the checked resource: the project for create, list and kinds without a policy."""
    if call.service == "pubsub" and call.method == "PUT":
        return _project(segments[1])
    if call.service == "secretmanager" and kind == "versions":
        return _resource(call.service, "/".join(segments[:4]))
    has_no_policy = kind in (
        "operations",
        "builds",
        "roles",
        "workloadIdentityPools",
        "providers",
        "jobs",
        "triggers",
        "customJobs",
        "metrics",
        "alertPolicies",
        "dashboards",
        "notificationChannels",
    )
    if len(segments) % 2 or has_no_policy or kind == "locations":
        return _project(segments[1])
    return _resource(call.service, "/".join(segments))


def _written(call: Call, segments: list[str]) -> Iterator[tuple[str, str]]:
    body = call.body if isinstance(call.body, dict) else {}
    for path in ACCOUNT_FIELDS.get(call.service, ()):
        if account := _field(body, path):
            values = {**body.get("substitutions", {}), "PROJECT_ID": segments[1] if segments else ""}
            yield "iam.serviceAccounts.actAs", service_account(Template(account).safe_substitute(values))
    if call.service == "cloudfunctions" and "functions" in segments and call.path.endswith("/".join(segments[-2:])):
        if call.method == "POST":
            yield "run.services.create", _project(segments[1])
        if "eventTrigger" in body:
            yield from ((f"eventarc.{each}", _project(segments[1])) for each in OF_A_TRIGGER[call.method])
    if call.service == "pubsub" and call.method == "PUT" and "subscriptions" in segments:
        yield "pubsub.topics.attachSubscription", _resource("pubsub", body["topic"])


def _storage(call: Call) -> Iterator[tuple[str, str]]:
    if agent := re.fullmatch("/storage/v1/projects/([^/]+)/serviceAccount", call.path):
        yield "resourcemanager.projects.get", _project(agent[1])
        return
    found = re.fullmatch(
        r"/(?:upload/|download/)?storage/v1/b(?:/([^/]+)(?:/(iam|o|storageLayout|managedFolders)(?:/(.+))?)?)?",
        call.path,
    )
    if call.path.startswith("/upload-source/") or "upload_id" in call.query:
        return  # a signed URL needs no permission
    plain = re.fullmatch(r"/([^/]+)/(.+)", call.path)
    if found is None and plain and call.method == "GET":
        yield "storage.objects.get", f"storage.googleapis.com/projects/_/buckets/{plain[1]}/objects/{plain[2]}"
        return
    if found is None or (found[2] == "iam" and found[3] not in (None, "testPermissions")):
        raise _unknown(call)
    bucket, part, name = found[1], found[2], found[3]
    resource = f"storage.googleapis.com/projects/_/buckets/{bucket}"
    if bucket is None:
        action = {"GET": "list", "POST": "create"}[call.method]
        yield f"storage.buckets.{action}", _project(call.query["project"])
    elif part == "iam":
        if name is None:
            yield f"storage.buckets.{ {'GET': 'getIamPolicy', 'PUT': 'setIamPolicy'}[call.method] }", resource
    elif part == "storageLayout" or (part == "o" and name is None and call.method == "GET"):
        yield "storage.objects.list", resource
    elif part == "managedFolders":
        yield "storage.managedFolders.list", resource
    elif part == "o":
        name = name or call.query.get("name") or (call.body.get("name") if isinstance(call.body, dict) else None)
        action = {"GET": "get", "POST": "create", "PATCH": "update", "DELETE": "delete"}[call.method]
        yield f"storage.objects.{action}", f"{resource}/objects/{name}" if name else resource
        if action == "create" and call.query.get("ifGenerationMatch", "0") != "0":
            yield "storage.objects.delete", f"{resource}/objects/{name}" if name else resource
    else:
        action = {"GET": "get", "PATCH": "update", "PUT": "update", "DELETE": "delete"}[call.method]
        yield f"storage.buckets.{action}", resource


def _run(call: Call) -> Iterator[tuple[str, str]]:
    """Yield the permissions of Cloud Run's v1 (Kubernetes style), v1 IAM methods and v2."""
    found = re.fullmatch(
        r"/apis/serving\.knative\.dev/v1/namespaces/([^/]+)/(services|revisions|routes)(?:/([^/]+))?", call.path
    )
    if found is None:
        yield from _named(call)
        return
    project, kind, name = found.groups()
    region = call.host.partition("-run.")[0]
    actions = {"GET": "get", "PUT": "update", "DELETE": "delete"} if name else {"GET": "list", "POST": "create"}
    full = f"run.googleapis.com/projects/{project}/locations/{region}/{kind}/{name}"
    yield f"run.{kind}.{actions[call.method]}", full if name else _project(project)
    if call.method in ("PUT", "POST"):
        yield from _written(call, [])


def _logging(call: Call) -> Iterator[tuple[str, str]]:
    if call.path != "/v2/entries:list":
        yield from _named(call)
        return
    for name in call.body["resourceNames"]:
        yield "logging.logEntries.list", _project(name.split("/")[1])


def _web(call: Call) -> Iterator[tuple[str, str]]:
    project, region, name = invoked(call)
    yield "run.routes.invoke", f"run.googleapis.com/projects/{project}/locations/{region}/services/{name}"


def invoked(call: Call) -> tuple[str, str, str]:
    """Return the project (or `-`), region and name of the service that a web call reaches."""
    regions = "|".join(REGION_CODES)
    if found := re.fullmatch(rf"({regions})-(.+)\.cloudfunctions\.net", call.host):
        return found[2], found[1], call.path.split("/")[1]
    if found := re.fullmatch(rf"(.+)-(\d+)\.({regions})\.run\.app", call.host):
        return found[2], found[3], found[1]
    if found := re.fullmatch(rf"(.+)-[^-]+-({'|'.join(REGION_CODES.values())})\.a\.run\.app", call.host):
        region = next(region for region, code in REGION_CODES.items() if code == found[2])
        return "-", region, found[1]
    raise _unknown(call)


def _nothing(call: Call) -> Iterator[tuple[str, str]]:
    return iter(())


_SPECIAL: dict[str, Callable[[Call], Iterator[tuple[str, str]]]] = {
    "logging": _logging,
    "oauth2": _nothing,
    "run": _run,
    "storage": _storage,
    "web": _web,
}


def service_account(email: str) -> str:
    """Return the full resource of a service account, by its email or name."""
    email = email.rpartition("/")[2]
    account, _, domain = email.partition("@")
    project = account.partition("-")[0] if domain == "developer.gserviceaccount.com" else domain.partition(".")[0]
    return f"iam.googleapis.com/projects/{project}/serviceAccounts/{email}"


def _name_and_verb(call: Call) -> tuple[str, str]:
    found = re.fullmatch(r"/v\d\w*/(projects/[^/:]+.*?)(?::([a-zA-Z]+))?", call.path)
    if found is None:
        raise _unknown(call)
    return found[1], found[2] or ""


def _resource(service: str, name: str) -> str:
    segments = name.split("/")
    if service == "iamcredentials":
        return service_account(name)
    if len(segments) % 2 or service == "serviceusage":
        return _project(segments[1])
    return f"{service}.googleapis.com/{name}"


def _project(project: str) -> str:
    return f"cloudresourcemanager.googleapis.com/projects/{project}"


def _field(body: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        body = body.get(key) if isinstance(body, dict) else None
    return body


def _unknown(call: Call) -> UnknownCallError:
    return UnknownCallError(f"tests/cloud/permissions.py does not list {call.method} {call.host}{call.path}")
