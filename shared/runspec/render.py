"""From a launch to the arguments of one CustomJob: the way of a run spec, top to bottom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.errors import Reject
from shared.core.jobsource import JobSource
from shared.core.ports import CustomJobCall
from shared.runspec import places
from shared.runspec.arguments import (
    ArgumentNames,
    check_names,
    check_parts,
    display_name,
    run_arguments,
)
from shared.runspec.buckets import base_output_dir, staging_bucket
from shared.runspec.containers import worker_pools
from shared.runspec.environment import launch_variables
from shared.runspec.key_secret import check_own_key, reader
from shared.runspec.labels import all_labels, job_labels
from shared.runspec.macros import substitute
from shared.runspec.model import EXAMPLE, Draft, RunSpec, VertexConfig
from shared.runspec.recipe import placed
from shared.runspec.shapes import fit_all
from shared.runspec.source import source_of

__all__ = ["ArgumentNames", "DeploymentDefaults", "job_labels", "render"]


@dataclass(frozen=True, slots=True)
class DeploymentDefaults:
    """What the deployment adds to every run spec."""

    base_url: str  # W&B's
    api_key: str = field(repr=False)
    project: str  # Google Cloud's, where the spec names none
    location: str  # likewise
    agent: str = "vertex-launch"  # this deployment's name: a label value
    macros: Mapping[str, str] = field(
        default_factory=dict, repr=False
    )  # the variables that the operator lists
    secure_mode: bool = False
    key_secret: str = ""  # where jobs read the key themselves: projects/P/secrets/S; empty: it stands in the CustomJob
    base_image: str = ""  # what the code of a job runs in, where neither the job nor its queue says
    destination: str = (
        ""  # what an image of that code is called, without its tag; empty: none is built
    )
    context_store: str = (
        ""  # gs://…, where builds find what they are made of; empty: the launch's staging bucket
    )


def render(
    draft: Draft, site: DeploymentDefaults, names: ArgumentNames, job: JobSource | None = None
) -> CustomJobCall:
    """Return what to call CustomJob with; the draft is not changed. `job` is what W&B says of its job.

    Raises:
        Reject: naming the field, what was found there, and the fix; never anything else, whatever the spec holds.
    """
    launch, asked = draft.launch, draft.spec
    if asked.overrides.entry_point and site.secure_mode:
        raise Reject(
            "overrides.entry_point",
            "is refused: this queue is served in secure mode",
            "Leave it out.",
        )
    source = source_of(asked, job, _base_images(asked, site), site.destination)
    asked.check_run()
    if site.key_secret:
        check_own_key(asked)
    config = _config(asked)
    resource = config.path
    check_parts(config.others, resource, names)
    macros = {**_macros(draft, source.image), **site.macros}
    both = substitute({"spec": config.spec, "run": config.run}, macros)
    spec, run = both["spec"], both["run"]
    check_names(spec, f"{resource}.spec", names.constructor | {"service_account"})
    check_names(run, f"{resource}.run", names.run | names.submit)
    warnings = _move(spec, run, resource)
    project = places.project(spec.pop("project", None), f"{resource}.spec.project", site.project)
    location = places.location(
        spec.pop("location", None), f"{resource}.spec.location", site.location
    )
    api_key = "" if site.key_secret else site.api_key
    variables = launch_variables(asked, launch.entry, site.base_url, api_key, source.docker)
    spec["worker_pool_specs"] = worker_pools(
        spec.get("worker_pool_specs"),
        f"{resource}.spec.worker_pool_specs",
        entry_point=source.command,
        args=asked.overrides.args,
        variables=variables,
        before=reader(site.key_secret),
    )
    spec["staging_bucket"] = staging_bucket(
        spec.get("staging_bucket"), f"{resource}.spec.staging_bucket"
    )
    labels, replaced = all_labels(spec.get("labels"), f"{resource}.spec.labels", launch, site.agent)
    spec["display_name"] = display_name(
        spec.get("display_name"),
        f"{resource}.spec.display_name",
        asked.name,
        launch.entry.run.run_id,
    )
    spec["base_output_dir"] = base_output_dir(
        spec.get("base_output_dir"),
        f"{resource}.spec.base_output_dir",
        spec["staging_bucket"],
        launch.entry.run,
    )
    return CustomJobCall(
        project=project,
        location=location,
        constructor=fit_all({**spec, "labels": labels}, f"{resource}.spec", names.shapes),
        submit=run_arguments(run, f"{resource}.run", names.shapes),
        warnings=(*warnings, *replaced),
        recipe=placed(
            source.recipe, site.context_store or spec["staging_bucket"], spec["worker_pool_specs"]
        ),
    )


def _base_images(spec: RunSpec, site: DeploymentDefaults) -> dict[str, str]:
    """Return the images that the code of a job may run in, by where each is set; the first that is set counts."""
    return {
        "builder.base_image in the queue's configuration": spec.config.base_image
        if spec.config
        else "",
        "LAUNCH_BASE_IMAGE": site.base_image,
    }


def _macros(draft: Draft, image: str) -> dict[str, str | None]:
    run = draft.launch.entry.run
    return {
        "project_name": run.project,
        "entity_name": run.entity,
        "run_id": run.run_id,
        "run_name": draft.spec.name,
        "image_uri": image,
        "author": draft.spec.author,
    }


def _config(spec: RunSpec) -> VertexConfig:
    """Return the part for Vertex AI; refuse a run spec without one."""
    if spec.config:
        return spec.config
    kind = f"; the item's resource is {spec.resource[:40]!r}" if spec.resource else ""
    there = ", ".join(spec.other_resources) or "nothing"
    raise Reject("resource_args", f"has no part for Vertex AI, but {there}{kind}", EXAMPLE)


def _move(spec: dict[str, Any], run: dict[str, Any], resource: str) -> list[str]:
    """Put misplaced arguments where they belong, and leave out what means nothing here; return warnings."""
    warnings = []
    if spec.pop("credentials", None) is not None:
        fix = "The job runs as run.service_account; Google's credentials have no place in a queue."
        raise Reject(f"{resource}.spec.credentials", "is not taken", fix)
    if account := spec.pop("service_account", None):
        run["service_account"] = run.get("service_account") or account
        warnings.append(
            "service_account belongs under run, not under spec; it was taken all the same"
        )
    if run.pop("sync", None) is not None:
        warnings.append("sync was ignored: a launch never waits for its job")
    return warnings
