"""W&B's job artifacts, for submit: queries that its own clients send, and one small download.

For a build, also the files of their code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from shared.adapters.wandb import documents
from shared.adapters.wandb.answers import Refused, at, for_author, items_of
from shared.adapters.wandb.graphql import CALL_SECONDS, Graphql
from shared.core.budget import Budget
from shared.core.building import ArtifactFile
from shared.core.errors import Reject
from shared.core.jobsource import CREATE_AGAIN, JOB_FILE, JobSource, Kind, read_job

LARGEST = 1_000_000  # bytes of a wandb-job.json
PAGE = 200  # files
MOST_PAGES = 1000
MOST = 2_000  # files of a job, beside those of its code
LIST_SECONDS = 60.0  # for the list of all files of one artifact

_FIX = "Write entity/project/name:alias, and let this deployment's API key see that project."


class WandbJobs:
    """Implements JobArtifacts."""

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def resolve(self, path: str) -> JobSource:
        """Return the current version of a job, and the version of its code."""
        with for_author("job", path, _FIX):
            return self._resolved(path)

    def _resolved(self, path: str) -> JobSource:
        graphql = self._graphql
        budget = Budget(CALL_SECONDS)
        version, kind, _ = _membership(graphql, path, budget)
        if kind != "job":
            raise Reject("job", f"{path} is an artifact of type {kind!r}, not a job", _FIX)
        files, address = _files(graphql, version, budget)
        content = graphql.download(address, LARGEST + 1, max(budget.left, 0))
        if len(content) > LARGEST:
            problem = f"{version} has a {JOB_FILE} of more than {LARGEST:,} bytes"
            raise Reject("job", problem, CREATE_AGAIN)
        source = read_job(version, content)
        if source.kind is Kind.IMAGE:
            return source
        source = replace(source, files=files)
        if source.kind is Kind.REPO:
            return source
        if source.code_id:
            code, digest = _by_id(graphql, source, budget)
        else:
            code, _, digest = _membership(graphql, source.code, budget)
        return replace(source, code=code, digest=digest)


class WandbFiles:
    """Implements ArtifactFiles."""

    def __init__(self, graphql: Graphql) -> None:
        self._graphql = graphql

    def files_of(self, artifact: str) -> Iterator[ArtifactFile]:
        """Yield the files of an artifact, 200 a query."""
        with for_author("job", artifact, _FIX):
            for node in _nodes(self._graphql, artifact, Budget(LIST_SECONDS)):
                name, size = str(node.get("name")), str(node.get("sizeBytes"))
                if not size.isdecimal():
                    raise Refused(f"W&B's answer lacks the size of {name} of {artifact}")
                yield ArtifactFile(name, int(size), str(node.get("directUrl")))

    def content(self, file: ArtifactFile) -> Iterator[bytes]:
        """Yield a file piece by piece, at most one byte more than its size."""
        return self._graphql.chunks(file.address, file.size + 1)


def _files(graphql: Graphql, version: str, budget: Budget) -> tuple[dict[str, str], str]:
    """Return the checksums of a job's files by name, and the address of its description."""
    files: dict[str, str] = {}
    for node in _nodes(graphql, version, budget):
        name = str(node.get("name"))
        # a file without a checksum is as new as the job
        files[name] = str(node.get("md5") or version)
        if name == JOB_FILE:
            address = str(node.get("directUrl") or "")
        if len(files) > MOST:
            raise Reject("job", f"{version} has more than {MOST:,} files", CREATE_AGAIN)
    if not files.pop(JOB_FILE, ""):
        raise Reject("job", f"{version} has no {JOB_FILE}", CREATE_AGAIN)
    if not address:
        raise Refused(f"W&B's answer lacks the address of {JOB_FILE} of {version}")
    return files, address


def _membership(graphql: Graphql, path: str, budget: Budget) -> tuple[str, str, str]:
    """Find an artifact by one of its names; return its version's name, its type, its digest."""
    entity, project, name = path.split("/", 2)
    named = name if ":" in name else f"{name}:latest"
    answer = graphql.query(
        documents.JOB, {"entity": entity, "project": project, "name": named}, budget
    )
    found = at(answer, "project", "artifactCollectionMembership")
    artifact = at(found, "artifact")
    if not artifact or artifact.get("state") == "DELETED":
        gone = "was deleted" if artifact else "was not found"
        raise Reject("job", f"{path} {gone} in W&B", _FIX)
    version = _version(at(found, "artifactCollection"), found.get("versionIndex"))
    return version, str(at(artifact, "artifactType").get("name")), str(artifact.get("digest"))


def _by_id(graphql: Graphql, source: JobSource, budget: Budget) -> tuple[str, str]:
    """Find the code of a job by its id; return its version's name and its digest."""
    found = at(graphql.query(documents.CODE, {"id": source.code_id}, budget), "artifact")
    if not found or found.get("state") == "DELETED":
        gone = "was deleted" if found else "was not found"
        raise Reject("job", f"{source.path} has code that {gone} in W&B", CREATE_AGAIN)
    version = _version(at(found, "artifactSequence"), found.get("versionIndex"))
    return version, str(found.get("digest"))


def _version(collection: Mapping[str, Any], index: object) -> str:
    name, project = collection.get("name"), at(collection, "project")
    if type(index) is not int or not name:
        raise Refused("W&B's answer lacks the version or the name of an artifact")
    return f"{at(project, 'entity').get('name')}/{project.get('name')}/{name}:v{index}"


def _nodes(graphql: Graphql, version: str, budget: Budget) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes of the files of an artifact's version."""
    entity, project, named = version.split("/", 2)
    collection, _, alias = named.rpartition(":")
    where = {
        "entity": entity,
        "project": project,
        "collection": collection,
        "alias": alias,
        "perPage": PAGE,
    }
    for _ in range(MOST_PAGES):
        answer = graphql.query(documents.FILES, where, budget)
        membership = at(answer, "project", "artifactCollection", "artifactMembership")
        if not membership:
            raise Reject("job", f"{version} was not found in W&B", _FIX)
        files = at(membership, "files")
        yield from (at(edge, "node") for edge in items_of(files.get("edges")))
        page = at(files, "pageInfo")
        if not page.get("hasNextPage"):
            return
        if page.get("endCursor") in (None, where.get("cursor")):
            break
        where["cursor"] = page["endCursor"]
    raise Refused(f"W&B's list of the files of {version} does not end")
