"""From a launch to the arguments of one CustomJob: the way of a run spec, top to bottom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.errors import Reject
from shared.core.jobsource import JobSource
from shared.core.launch import Launch
from shared.core.opening import MAX_NAME
from shared.core.ports import CustomJobCall
from shared.spec import places
from shared.spec.arguments import (
    ArgumentNames,
    check_names,
    display_name,
    run_arguments,
)
from shared.spec.buckets import base_output_dir, staging_bucket
from shared.spec.containers import worker_pools
from shared.spec.environment import launch_variables
from shared.spec.fields import check_depth, found, mapping, text, texts
from shared.spec.key_secret import check_own_key, reader
from shared.spec.labels import all_labels, job_labels
from shared.spec.macros import substitute
from shared.spec.recipe import placed
from shared.spec.shapes import fit_all
from shared.spec.source import source_of

__all__ = ["ArgumentNames", "Site", "job_labels", "render"]

RESOURCES = ("vertex", "gcp-vertex")  # as the agent reads them: the first that is not empty
_EXAMPLE = "A Vertex queue's configuration is {gcp-vertex: {spec: {worker_pool_specs: […], staging_bucket: gs://…}}}."


@dataclass(frozen=True, slots=True)
class Site:
    """What the deployment adds to every run spec."""

    base_url: str  # W&B's
    api_key: str = field(repr=False)
    project: str  # Google Cloud's, where the spec names none
    location: str  # likewise
    agent: str = "vertex-launch"  # this deployment's name: a label value
    macros: Mapping[str, str] = field(default_factory=dict, repr=False)  # the variables that the operator lists
    secure_mode: bool = False
    key_secret: str = ""  # where jobs read the key themselves: projects/P/secrets/S; empty: it stands in the CustomJob
    base_image: str = ""  # what the code of a job runs in, where neither the job nor its queue says
    destination: str = ""  # what an image of that code is called, without its tag; empty: none is built
    context_store: str = ""  # gs://…, where builds find what they are made of; empty: the launch's staging bucket


def render(launch: Launch, site: Site, names: ArgumentNames, job: JobSource | None = None) -> CustomJobCall:
    """Return what to call CustomJob with; the launch's run spec is not changed. `job` is what W&B says of its job.

    Raises:
        Reject: naming the field, what was found there, and the fix; never anything else, whatever the spec holds.
    """
    run_spec = launch.run_spec
    check_depth(run_spec, "run_spec")
    entry_point, args = _overrides(run_spec, site)
    source = source_of(run_spec, job, entry_point, _base_images(run_spec, site), site.destination)
    _check_names_of_run(run_spec)
    if site.key_secret:
        check_own_key(run_spec)
    resource, settings = _resource(run_spec, {**_macros(launch, source.image), **site.macros})
    spec, run = (mapping(settings.get(part), f"{resource}.{part}") for part in ("spec", "run"))
    check_names(spec, f"{resource}.spec", names.constructor | {"service_account"})
    check_names(run, f"{resource}.run", names.run | names.submit)
    warnings = _move(spec, run, resource)
    project = places.project(spec.pop("project", None), f"{resource}.spec.project", site.project)
    location = places.location(spec.pop("location", None), f"{resource}.spec.location", site.location)
    api_key = "" if site.key_secret else site.api_key
    variables = launch_variables(run_spec, launch.entry, site.base_url, api_key, source.docker)
    spec["worker_pool_specs"] = worker_pools(
        spec.get("worker_pool_specs"),
        f"{resource}.spec.worker_pool_specs",
        entry_point=source.command,
        args=args,
        variables=variables,
        before=reader(site.key_secret),
    )
    spec["staging_bucket"] = staging_bucket(spec.get("staging_bucket"), f"{resource}.spec.staging_bucket")
    labels, replaced = all_labels(spec.get("labels"), f"{resource}.spec.labels", launch, site.agent)
    run_name = text(run_spec.get("name"), "name", "")
    spec["display_name"] = display_name(
        spec.get("display_name"), f"{resource}.spec.display_name", run_name, launch.entry.run.run_id
    )
    spec["base_output_dir"] = base_output_dir(
        spec.get("base_output_dir"), f"{resource}.spec.base_output_dir", spec["staging_bucket"], launch.entry.run
    )
    return CustomJobCall(
        project=project,
        location=location,
        constructor=fit_all({**spec, "labels": labels}, f"{resource}.spec", names.shapes),
        submit=run_arguments(run, f"{resource}.run", names.shapes),
        warnings=(*warnings, *replaced),
        recipe=placed(source.recipe, site.context_store or spec["staging_bucket"], spec["worker_pool_specs"]),
    )


def _base_images(run_spec: Mapping[str, Any], site: Site) -> dict[str, str]:
    """Return the images that the code of a job may run in, by where each is set; the first that is set counts."""
    arguments = mapping(run_spec.get("resource_args"), "resource_args")
    part = next((name for name in RESOURCES if arguments.get(name)), RESOURCES[0])
    builder = mapping(mapping(arguments.get(part), f"resource_args.{part}").get("builder"), f"{part}.builder")
    return {
        "builder.base_image in the queue's configuration": text(
            builder.get("base_image"), f"resource_args.{part}.builder.base_image", ""
        ),
        "LAUNCH_BASE_IMAGE": site.base_image,
    }


def _check_names_of_run(run_spec: Mapping[str, Any]) -> None:
    for name in ("entity", "project"):
        if not text(run_spec.get(name), name, "").strip():
            raise Reject(name, f"is {found(run_spec.get(name))}", f"Say which W&B {name} the run belongs to.")
    for name in ("entity", "project", "run_id"):
        if len(text(run_spec.get(name), name, "")) > MAX_NAME:
            raise Reject(name, f"has more than {MAX_NAME} characters", "W&B's own names are shorter.")


def _macros(launch: Launch, image: str) -> dict[str, str | None]:
    said = {name: text(launch.run_spec.get(name), name, "") for name in ("name", "author")}
    run = launch.entry.run
    return {
        "project_name": run.project,
        "entity_name": run.entity,
        "run_id": run.run_id,
        "run_name": said["name"],
        "image_uri": image,
        "author": said["author"],
    }


def _resource(run_spec: Mapping[str, Any], macros: Mapping[str, str | None]) -> tuple[str, dict[str, Any]]:
    """Return a copy of the Vertex part of the resource arguments, with its macros filled in, and its path."""
    arguments = mapping(run_spec.get("resource_args"), "resource_args")
    for name in RESOURCES:
        settings = mapping(arguments.get(name), f"resource_args.{name}")
        if settings:
            return f"resource_args.{name}", substitute(settings, macros)
    there = ", ".join(sorted(str(name)[:40] for name in arguments)[:10]) or "nothing"
    resource = run_spec.get("resource")
    kind = f"; the item's resource is {resource[:40]!r}" if isinstance(resource, str) and resource else ""
    raise Reject("resource_args", f"has no part for Vertex AI, but {there}{kind}", _EXAMPLE)


def _move(spec: dict[str, Any], run: dict[str, Any], resource: str) -> list[str]:
    """Put misplaced arguments where they belong, and leave out what means nothing here; return warnings."""
    warnings = []
    if spec.pop("credentials", None) is not None:
        fix = "The job runs as run.service_account; Google's credentials have no place in a queue."
        raise Reject(f"{resource}.spec.credentials", "is not taken", fix)
    if account := spec.pop("service_account", None):
        run["service_account"] = run.get("service_account") or account
        warnings.append("service_account belongs under run, not under spec; it was taken all the same")
    if run.pop("sync", None) is not None:
        warnings.append("sync was ignored: a launch never waits for its job")
    return warnings


def _overrides(run_spec: Mapping[str, Any], site: Site) -> tuple[list[str], list[str]]:
    overrides = mapping(run_spec.get("overrides"), "overrides")
    entry_point = texts(overrides.get("entry_point"), "overrides.entry_point")
    if entry_point and site.secure_mode:
        raise Reject("overrides.entry_point", "is refused: this queue is served in secure mode", "Leave it out.")
    return entry_point, texts(overrides.get("args"), "overrides.args")
