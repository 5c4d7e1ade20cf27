"""W&B's jobs, as submit needs them: three queries that its own clients send too, and one small download."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.graphql import Graphql, NotAllowed
from shared.core.errors import Denied, Reject, SettingsError
from shared.core.jobsource import CREATE_AGAIN, JOB_FILE, JobSource, Kind, read_job

LARGEST = 1_000_000  # bytes of a wandb-job.json
PAGE = 100  # files; a job has three at the most

_FIX = "Give it as entity/project/name:alias, and let this deployment's API key see that project."


class WandbJobs:
    """Implements JobArtifacts."""

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def resolve(self, path: str) -> JobSource:
        """Return what a job is now, and in which version its code is."""
        try:
            return self._resolved(path)
        except NotAllowed as exc:
            raise Reject("job", f"{path} may not be read with this deployment's API key", _FIX) from exc
        except SettingsError as exc:  # an operator has to mend it
            raise Denied(str(exc)) from exc

    def _resolved(self, path: str) -> JobSource:
        graphql = self._graphql
        version, kind = _membership(graphql, path)
        if kind != "job":
            raise Reject("job", f"{path} is an artifact of type {kind!r}, not a job", _FIX)
        source = read_job(version, _job_file(graphql, version))
        if source.kind is not Kind.ARTIFACT:
            return source
        code = _by_id(graphql, source) if source.code_id else _membership(graphql, source.code)[0]
        return replace(source, code=code)


def _membership(graphql: Graphql, path: str) -> tuple[str, str]:
    """Find an artifact by any of its names; return its version's own name, and its type."""
    entity, project, name = path.split("/", 2)
    named = name if ":" in name else f"{name}:latest"
    answer = graphql.query(documents.JOB, {"entity": entity, "project": project, "name": named})
    found = _at(answer, "project", "artifactCollectionMembership")
    artifact = _at(found, "artifact")
    if not artifact or artifact.get("state") == "DELETED":
        gone = "was deleted" if artifact else "was not found"
        raise Reject("job", f"{path} {gone} in W&B", _FIX)
    version = _version(_at(found, "artifactCollection"), found["versionIndex"])
    return version, str(_at(artifact, "artifactType").get("name"))


def _by_id(graphql: Graphql, source: JobSource) -> str:
    """Return the name of the version of the code that a job links to."""
    found = _at(graphql.query(documents.CODE, {"id": source.code_id}), "artifact")
    if not found or found.get("state") == "DELETED":
        gone = "was deleted" if found else "was not found"
        raise Reject("job", f"{source.path} has code that {gone} in W&B", CREATE_AGAIN)
    return _version(_at(found, "artifactSequence"), found["versionIndex"])


def _version(collection: Mapping[str, Any], index: object) -> str:
    project = _at(collection, "project")
    return f"{_at(project, 'entity').get('name')}/{project.get('name')}/{collection.get('name')}:v{index}"


def _job_file(graphql: Graphql, version: str) -> bytes:
    entity, project, named = version.split("/", 2)
    collection, _, alias = named.rpartition(":")
    where = {"entity": entity, "project": project, "collection": collection, "alias": alias, "perPage": PAGE}
    answer = graphql.query(documents.FILES, where)
    files = _at(answer, "project", "artifactCollection", "artifactMembership", "files")
    for edge in files.get("edges") or []:
        node = _at(edge, "node")
        if node.get("name") == JOB_FILE:
            return graphql.download(str(node["directUrl"]), LARGEST)
    raise Reject("job", f"{version} has no {JOB_FILE}", CREATE_AGAIN)


def _at(value: Any, *path: str) -> Mapping[str, Any]:
    """Follow a path through an answer; what is missing or null on the way is empty."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
