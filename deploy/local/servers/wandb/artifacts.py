"""Artifacts: versions of named collections, with files and a manifest. Jobs are artifacts, too."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from deploy.local.servers.wandb.errors import Refused

VERSION = re.compile(r"v(\d+)")
LATEST = "latest"


@dataclass
class Artifact:
    """A version of a collection; names find only committed versions."""

    id: str
    collection: "Collection" = field(repr=False)
    version_index: int
    digest: str
    created_at: float
    description: str | None = None
    metadata: str | None = None
    state: str = "PENDING"
    files: dict[str, bytes] = field(default_factory=dict)
    manifest: bytes = b"{}"

    @property
    def aliases(self) -> list[str]:
        """Return the version's aliases, without its number."""
        return [alias for alias, one in self.collection.aliases.items() if one is self]


@dataclass
class Collection:
    """All versions of one name: W&B's ArtifactSequence."""

    __typename = "ArtifactSequence"

    id: str
    entity_name: str
    project_name: str
    type_name: str
    name: str
    versions: list[Artifact] = field(default_factory=list)
    aliases: dict[str, Artifact] = field(default_factory=dict)

    @property
    def latest_artifact(self) -> Artifact | None:
        """Return the version of the last commit."""
        return self.aliases.get(LATEST)

    def find(self, alias: str) -> Artifact | None:
        """Find a committed version by its number or by an alias."""
        if number := VERSION.fullmatch(alias):
            return next(
                (one for one in self._committed() if one.version_index == int(number[1])), None
            )
        return next((one for one in self._committed() if one is self.aliases.get(alias)), None)

    def _committed(self) -> Iterable[Artifact]:
        return (one for one in self.versions if one.state == "COMMITTED")


class Artifacts:
    """All artifacts; callers hold State's lock."""

    def __init__(
        self,
        new_number: Callable[[], int],
        new_id: Callable[[str, int], str],
        clock: Callable[[], float],
    ) -> None:
        self._new_number = new_number
        self._new_id = new_id
        self._clock = clock
        self.by_id: dict[str, Artifact] = {}
        self.by_client_id: dict[str, Artifact] = {}
        self.collections: dict[tuple[str, str, str], Collection] = {}

    def create(
        self, entity: str, project: str, type_name: str, name: str, given: Mapping[str, Any]
    ) -> Artifact:
        """Create a version, or return the one with the same digest; set its aliases at once."""
        collection = self.collections.get((entity, project, name))
        if collection is None:
            collection = Collection(self._new("ArtifactSequence"), entity, project, type_name, name)
            self.collections[entity, project, name] = collection
        if collection.type_name != type_name:
            raise Refused(f"artifact {name} is of type {collection.type_name}, not {type_name}")
        made = next((one for one in collection.versions if one.digest == given["digest"]), None)
        if made is None or made.state == "DELETED":
            made = Artifact(
                self._new("Artifact"),
                collection,
                len(collection.versions),
                given["digest"],
                self._clock(),
                given.get("description"),
                given.get("metadata"),
            )
            collection.versions.append(made)
            self.by_id[made.id] = made
        if given.get("client_id"):
            self.by_client_id[given["client_id"]] = made
        wanted = (alias["alias"] for alias in given.get("aliases") or [])
        collection.aliases |= {alias: made for alias in wanted if alias != LATEST}
        return made

    def commit(self, artifact_id: str) -> Artifact:
        """Commit a version, and make it the latest."""
        made = self.known(artifact_id)
        made.state = "COMMITTED"
        made.collection.aliases[LATEST] = made
        return made

    def delete(self, artifact_id: str) -> Artifact:
        """Delete a version's files and names; its id stays, with the state DELETED."""
        gone = self.known(artifact_id)
        gone.state = "DELETED"
        gone.files.clear()
        for alias in gone.aliases:
            del gone.collection.aliases[alias]
        return gone

    def known(self, artifact_id: str) -> Artifact:
        """Return a version by its id; raise Refused for an unknown id."""
        if artifact_id not in self.by_id:
            raise Refused(f"artifact {artifact_id} not found")
        return self.by_id[artifact_id]

    def find(self, entity: str, project: str, name: str) -> Artifact | None:
        """Find a committed version by `collection:alias`; without an alias the latest."""
        collection, _, alias = name.partition(":")
        found = self.collections.get((entity, project, collection))
        return found.find(alias or LATEST) if found else None

    def content(self, entity: str, md5: str) -> bytes | None:
        """Find a file of an entity by its checksum."""
        held = (
            one
            for made in self.by_id.values()
            if made.collection.entity_name == entity
            for one in made.files.values()
        )
        # W&B's own checksum
        md5_of = partial(hashlib.md5, usedforsecurity=False)
        return next((one for one in held if md5_of(one).hexdigest() == md5), None)

    def _new(self, kind: str) -> str:
        return self._new_id(kind, self._new_number())
