"""The mutations that make, commit and delete artifacts."""

from typing import Any

from deploy.local.servers.wandb.artifact_fields import artifacts_of, file_node, manifest_node
from deploy.local.servers.wandb.errors import Refused
from deploy.local.servers.wandb.execution import Info
from deploy.local.servers.wandb.nodes import connection


def _create(_: None, info: Info, **arguments: Any) -> dict[str, Any]:
    given, state = arguments["input"], info.context.state
    names = given.get("artifact_collection_names") or [given.get("artifact_collection_name")]
    if len(names) != 1 or not names[0]:
        raise Refused("an artifact belongs to exactly one collection")
    entity = given.get("entity_name") or state.entity
    state.project(entity, given["project_name"])
    made = state.artifacts.create(
        entity, given["project_name"], given["artifact_type_name"], names[0], given
    )
    return {"artifact": made}


def _create_manifest(_: None, info: Info, **arguments: Any) -> dict[str, Any]:
    given = arguments["input"]
    artifact_id = given.get("artifact_id") or given.get("artifact_manifest_id")
    return {"artifact_manifest": manifest_node(info, artifacts_of(info).known(artifact_id))}


def _create_files(_: None, info: Info, **arguments: Any) -> dict[str, Any]:
    specs = arguments["input"]["artifact_files"]
    made = [
        file_node(info, artifacts_of(info).known(one["artifact_id"]), one["name"]) for one in specs
    ]
    return {"files": connection(made, len(made))}


def _commit(_: None, info: Info, **arguments: Any) -> dict[str, Any]:
    return {"artifact": artifacts_of(info).commit(arguments["input"]["artifact_id"])}


def _known(_: None, info: Info, **arguments: Any) -> dict[str, Any]:
    """Check that the artifact exists; the mutation has no other effect here."""
    return {"artifact": artifacts_of(info).known(arguments["input"]["artifact_id"])}


def _delete(_: None, info: Info, **arguments: Any) -> dict[str, Any]:
    return {"artifact": artifacts_of(info).delete(arguments["input"]["artifact_id"])}


ARTIFACT_MUTATIONS: dict[str, Any] = {
    "createArtifact": _create,
    "createArtifactManifest": _create_manifest,
    "updateArtifactManifest": _create_manifest,
    "createArtifactFiles": _create_files,
    "commitArtifact": _commit,
    "updateArtifact": _known,
    "useArtifact": _known,
    "deleteArtifact": _delete,
}
