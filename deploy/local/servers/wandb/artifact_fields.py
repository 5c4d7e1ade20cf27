"""The GraphQL fields of artifacts, their collections, types and files."""

import hashlib
from typing import Any
from urllib.parse import quote

from deploy.local.servers.wandb.artifacts import Artifact, Artifacts, Collection
from deploy.local.servers.wandb.execution import Info
from deploy.local.servers.wandb.nodes import ProjectNode, connection, project_node
from deploy.local.servers.wandb.run_fields import timestamp

STORE = "/artifact-store"
MANIFEST, FILES = "manifest", "files/"  # paths of an artifact in the store


def artifacts_of(info: Info) -> Artifacts:
    """Return all artifacts of the state."""
    return info.context.state.artifacts


def _url(info: Info, artifact: Artifact, path: str) -> str:
    return f"{info.context.base_url}{STORE}/{quote(artifact.id)}/{quote(path)}"


def file_node(info: Info, artifact: Artifact, name: str) -> dict[str, Any]:
    """Describe one file of an artifact, with its URLs."""
    url, content = _url(info, artifact, f"{FILES}{name}"), artifact.files.get(name, b"")
    return {
        "id": f"{artifact.id}/{name}",
        "name": name,
        "display_name": name,
        "url": url,
        "direct_url": url,
        "upload_url": url,
        "upload_headers": [],
        "size_bytes": len(content),
        "storage_path": f"{artifact.id}/{name}",
        "mimetype": None,
        "updated_at": timestamp(artifact.created_at),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),  # W&B's own checksum
        "digest": None,
        "artifact": artifact,
        "upload_multipart_urls": None,
    }


def manifest_node(info: Info, artifact: Artifact) -> dict[str, Any]:
    """Describe the manifest of an artifact, with its URLs."""
    url = _url(info, artifact, MANIFEST)
    held = {
        "id": f"{artifact.id}/manifest",
        "name": "wandb_manifest.json",
        "upload_url": url,
        "direct_url": url,
    }
    file = {**file_node(info, artifact, ""), **held}
    return {"id": artifact.id, "file": file}  # an artifact has one manifest, which shares its id


def _membership(artifact: Artifact | None) -> dict[str, Any] | None:
    if artifact is None:
        return None
    return {
        "id": artifact.id,
        "version_index": artifact.version_index,
        "created_at": timestamp(artifact.created_at),
        "aliases": _aliases(artifact),
        "artifact_collection": artifact.collection,
        "artifact": artifact,
    }


def _aliases(artifact: Artifact) -> list[dict[str, Any]]:
    return [
        {"id": f"{artifact.id}/{alias}", "alias": alias, "artifact_collection": artifact.collection}
        for alias in artifact.aliases
    ]


def _files(
    membership: dict[str, Any],
    info: Info,
    names: list[str] | None = None,
    first: int | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    artifact: Artifact = membership["artifact"]
    found = [name for name in artifact.files if not names or name in names]
    return connection([file_node(info, artifact, name) for name in found], first, after) | {
        "total_count": len(found)
    }


def _collection(project: ProjectNode, info: Info, name: str) -> Collection | None:
    return artifacts_of(info).collections.get((project.entity_name, project.name, name))


def _collections(
    project: ProjectNode,
    info: Info,
    first: int | None = None,
    after: str | None = None,
    type_name: str = "",
    **_: Any,
) -> dict[str, Any]:
    where = (project.entity_name, project.name)
    held = [
        one
        for one in artifacts_of(info).collections.values()
        if (one.entity_name, one.project_name) == where
    ]
    found = [one for one in held if not type_name or one.type_name == type_name]
    return connection(found, first, after) | {"total_count": len(found)}


def _types(
    project: ProjectNode, info: Info, first: int | None = None, after: str | None = None, **_: Any
) -> dict[str, Any]:
    where = (project.entity_name, project.name)
    held = artifacts_of(info).collections.values()
    names = dict.fromkeys(
        one.type_name for one in held if (one.entity_name, one.project_name) == where
    )
    return connection([_type(info, name, project) for name in names], first, after)


def _type(info: Info, name: str, project: ProjectNode) -> dict[str, Any]:
    # types have no recorded time: each is as old as the stand-in
    made = timestamp(info.context.state.started_at)
    return {
        "id": f"type:{name}",
        "name": name,
        "description": None,
        "created_at": made,
        "project": project,
    }


def _type_of(collection: Collection, info: Info) -> dict[str, Any]:
    project = project_node(info.context.state, collection.entity_name, collection.project_name)
    assert project  # noqa: S101 - a collection is made in a project
    return _type(info, collection.type_name, project)


def _versions(
    collection: Collection, _: Info, first: int | None = None, after: str | None = None, **__: Any
) -> dict[str, Any]:
    held = [one for one in reversed(collection.versions) if one.state == "COMMITTED"]
    return connection(held, first, after) | {"total_count": len(held)}


def _found(project: ProjectNode, info: Info, name: str) -> Artifact | None:
    return artifacts_of(info).find(project.entity_name, project.name, name)


def _of_client(_: None, info: Info, client_id: str) -> dict[str, str] | None:
    artifact = artifacts_of(info).by_client_id.get(client_id)
    return {"server_id": artifact.id} if artifact else None


ARTIFACT_QUERIES: dict[str, Any] = {
    "artifact": lambda _, info, id: artifacts_of(info).by_id.get(id),  # noqa: A006 - W&B's name
    "clientIDMapping": _of_client,
}
ARTIFACT_PROJECT_FIELDS: dict[str, Any] = {
    "artifact": _found,
    "artifactCollection": _collection,
    "artifactCollectionMembership": lambda project, info, name: _membership(
        _found(project, info, name)
    ),
    "artifactType": lambda project, info, name: _type(info, name, project),
    "artifactTypes": _types,
    "artifactCollections": _collections,
}
ARTIFACT_FIELDS: dict[str, dict[str, Any]] = {
    "Artifact": {
        "artifactSequence": lambda artifact, _: artifact.collection,
        "artifactType": lambda artifact, info: _type_of(artifact.collection, info),
        "ttlDurationSeconds": lambda *_: -1,
        "ttlIsInherited": lambda *_: False,
        "tags": lambda *_: [],
        "historyStep": lambda *_: None,
        "size": lambda artifact, _: sum(map(len, artifact.files.values())),
        "commitHash": lambda *_: None,
        "digestAlgorithm": lambda *_: "MANIFEST_MD5",
        "fileCount": lambda artifact, _: len(artifact.files),
        "createdAt": lambda artifact, _: timestamp(artifact.created_at),
        "updatedAt": lambda artifact, _: timestamp(artifact.created_at),
        "aliases": lambda artifact, _: _aliases(artifact),
        "currentManifest": lambda artifact, info: manifest_node(info, artifact),
    },
    "ArtifactSequence": {
        "project": lambda found, info: project_node(
            info.context.state, found.entity_name, found.project_name
        ),
        "digestAlgorithm": lambda *_: "MANIFEST_MD5",
        "description": lambda *_: None,
        "createdAt": lambda _, info: timestamp(info.context.state.started_at),
        "updatedAt": lambda *_: None,
        "defaultArtifactType": _type_of,
        "tags": lambda *_: {"edges": []},
        "artifacts": _versions,
        "artifactMembership": lambda found, _, alias_name: _membership(found.find(alias_name)),
    },
    "ArtifactType": {
        "artifactCollection": lambda kind, info, name: _collection(kind["project"], info, name),
        "artifactCollections": lambda kind, info, **given: _collections(
            kind["project"], info, **given, type_name=kind["name"]
        ),
    },
    "ArtifactCollectionMembership": {"files": _files},
}
