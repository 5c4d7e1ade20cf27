"""The run spec of a W&B queue item or a request, parsed once.

Unknown top-level fields pass, because W&B adds some. The ledger keeps the raw JSON; all code
between the ledger and the CustomJob takes a RunSpec, or a Draft: a launch with its RunSpec.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from shared.core.errors import Reject
from shared.core.intake import MAX_NAME
from shared.core.launch import Launch
from shared.core.scheduler import SCHEDULER_URI
from shared.core.shorten import shown
from shared.runspec.fields import check_depth, found, mapping, text, texts

RESOURCES = ("vertex", "gcp-vertex")  # as in the agent, the first that is not empty counts
EXAMPLE = (
    "Write the queue's configuration as "
    "{gcp-vertex: {spec: {worker_pool_specs: […], staging_bucket: gs://…}}}."
)


@dataclass(frozen=True, slots=True)
class Overrides:
    """An item's changes to its image, its job and its run's configuration."""

    entry_point: list[str] = field(default_factory=list)
    args: list[str] = field(default_factory=list)
    run_config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    files: Mapping[str, Any] = field(default_factory=dict, repr=False)
    artifacts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    dockerfile: str = ""
    working_dir: str = ""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read `overrides`. Raises Reject."""
        given = mapping(value, "overrides")
        names = ("run_config", "files", "artifacts")
        objects = {name: mapping(given.get(name), f"overrides.{name}") for name in names}
        return cls(
            texts(given.get("entry_point"), "overrides.entry_point"),
            texts(given.get("args"), "overrides.args"),
            **objects,
            dockerfile=text(given.get("dockerfile"), "overrides.dockerfile", ""),
            working_dir=text(given.get("working_dir"), "overrides.working_dir", ""),
        )


@dataclass(frozen=True, slots=True)
class VertexConfig:
    """The Vertex part of `resource_args`: arguments of CustomJob, with macros.

    `path` is its path in the run spec. `others` are unknown keys beside spec, run and builder.
    """

    path: str = f"resource_args.{RESOURCES[-1]}"
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False)
    run: Mapping[str, Any] = field(default_factory=dict, repr=False)
    base_image: str = ""
    others: tuple[str, ...] = ()

    @classmethod
    def parse(cls, arguments: object, path: str = "resource_args") -> Self | None:
        """Read `resource_args`; None without a part for Vertex AI. Raises Reject."""
        parts = mapping(arguments, path)
        name = next((name for name in RESOURCES if parts.get(name)), "")
        if not name:
            return None
        path = f"{path}.{name}"
        part = mapping(parts[name], path)
        spec, run = (mapping(part.get(key), f"{path}.{key}") for key in ("spec", "run"))
        base_image = _base_image(part.get("builder"), f"{path}.builder")
        others = tuple(str(key) for key in part if key not in ("spec", "run", "builder"))
        return cls(path, spec, run, base_image, others)


def _others(arguments: object) -> tuple[str, ...]:
    names = sorted(shown(str(name), 40) for name in mapping(arguments, "resource_args"))
    return tuple(name for name in names if name not in RESOURCES)[:10]


def _base_image(builder: object, path: str) -> str:
    """Return the base image of code jobs, from W&B's page or the agent's older `accelerator`."""
    given = mapping(builder, path)
    accelerator = mapping(given.get("accelerator"), f"{path}.accelerator")
    old = text(accelerator.get("base_image"), f"{path}.accelerator.base_image", "")
    return text(given.get("base_image"), f"{path}.base_image", "") or old


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run spec. Missing texts are empty; `config` is None without a part for Vertex AI."""

    entity: str
    project: str
    run_id: str = ""  # empty: derived from the launch
    name: str = ""
    author: str = ""
    sweep_id: str = ""
    job: str = ""  # entity/project/name:alias
    image: str = ""  # docker.docker_image, or image_uri
    uri: str = ""
    git: bool = False
    resource: str = ""
    config: VertexConfig | None = None
    other_resources: tuple[str, ...] = ()  # other keys of resource_args
    overrides: Overrides = field(default_factory=Overrides)
    template_variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    own_key: str = field(default="", repr=False)  # the item's own W&B key

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Self:
        """Read a run spec.

        Raises:
            Reject: naming the field, the value found and the fix; never another error.
        """
        check_depth(raw, "run_spec")
        names = ("entity", "project", "run_id", "name", "author", "job", "uri")
        plain = {name: text(raw.get(name), name, "") for name in names}
        docker = mapping(raw.get("docker"), "docker")
        image = text(docker.get("docker_image"), "docker.docker_image", "")
        return cls(
            **plain,
            sweep_id=text(raw.get("sweep_id") or None, "sweep_id", ""),
            image=image or text(raw.get("image_uri"), "image_uri", ""),
            git=bool(raw.get("git")),
            resource=str(raw.get("resource") or "")[:MAX_NAME],
            config=VertexConfig.parse(raw.get("resource_args")),
            other_resources=_others(raw.get("resource_args")),
            overrides=Overrides.parse(raw.get("overrides")),
            template_variables=mapping(raw.get("template_variables"), "template_variables"),
            own_key=text(raw.get("_wandb_api_key"), "_wandb_api_key", ""),
        )

    @property
    def is_scheduler(self) -> bool:
        """Tell whether this is the scheduler of a sweep, not a run."""
        return self.uri == SCHEDULER_URI

    def check_run(self) -> None:
        """Refuse a run without entity or project, and names longer than W&B's."""
        for name in ("entity", "project"):
            value = getattr(self, name)
            if not value.strip():
                raise Reject(name, f"is {found(value)}", f"Write the W&B {name} of the run.")
        for name in ("entity", "project", "run_id"):
            if len(getattr(self, name).encode("utf-8", "replace")) > MAX_NAME:
                problem = f"has more than {MAX_NAME} bytes in UTF-8"
                raise Reject(name, problem, "W&B's own names are shorter.")


@dataclass(frozen=True, slots=True)
class Draft:
    """A launch that is being prepared: its record, and its run spec parsed."""

    launch: Launch
    spec: RunSpec

    @classmethod
    def of(cls, launch: Launch) -> Self:
        """Parse the run spec of a launch. Raises Reject."""
        return cls(launch, RunSpec.parse(launch.run_spec))

    def changed(self, *, without: str = "", **fields: Any) -> Self:
        """Return this draft with these top-level fields of its run spec replaced."""
        kept = {name: value for name, value in self.launch.run_spec.items() if name != without}
        return type(self).of(replace(self.launch, run_spec={**kept, **fields}))
