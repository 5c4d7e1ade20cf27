"""Render a launch: the arguments of one CustomJob."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.core.building import GitCredential
from shared.core.errors import Reject
from shared.core.jobsource import JobSource
from shared.core.ports import CustomJobCall
from shared.core.reserved import ReservedPlaces
from shared.core.shorten import quoted
from shared.runspec import places, secure_mode
from shared.runspec.arguments import (
    ArgumentNames,
    display_name,
    run_arguments,
)
from shared.runspec.buckets import base_output_dir, check_places, staging_bucket
from shared.runspec.containers import replaced, worker_pools
from shared.runspec.environment import launch_variables
from shared.runspec.expansion import check_references
from shared.runspec.ignored import ignored
from shared.runspec.key_secret import check_own_key, reader
from shared.runspec.keys import check_keys
from shared.runspec.labels import all_labels, job_labels
from shared.runspec.macros import substitute
from shared.runspec.model import EXAMPLE, Draft, RunSpec, VertexConfig
from shared.runspec.recipe import placed
from shared.runspec.shapes import fit_all
from shared.runspec.source import Builder, Source, source_of

__all__ = ["ArgumentNames", "DeploymentDefaults", "job_labels", "render"]


@dataclass(frozen=True, slots=True)
class DeploymentDefaults:
    """The values that the deployment adds to every run spec."""

    base_url: str  # of W&B
    api_key: str = field(repr=False)
    project: str  # of Google Cloud, if the run spec names none
    location: str  # if the run spec names none
    agent: str = "vertex-launch"  # this deployment's name: a label value
    # the variables that LAUNCH_MACROS lists
    macros: Mapping[str, str] = field(default_factory=dict, repr=False)
    secure_mode: bool = False
    # projects/P/secrets/S, from which jobs read the key; empty: the CustomJob contains the key
    key_secret: str = ""
    base_image: str = ""  # of a job's code, if neither the job nor its queue names one
    destination: str = ""  # name of built images, without a tag; empty: no image is built
    builder_problem: str = ""  # why the operator's builder cannot build
    context_store: str = ""  # gs://…, for contexts of builds
    git_credentials: tuple[GitCredential, ...] = ()  # of builds
    reserved: ReservedPlaces = field(default_factory=ReservedPlaces)


def render(
    draft: Draft,
    defaults: DeploymentDefaults,
    names: ArgumentNames,
    job: JobSource | None = None,
) -> CustomJobCall:
    """Return the arguments of the CustomJob; `job` is the draft's W&B job, if it has one.

    Raises:
        Reject: naming the field, the value found and the fix; never another error.
    """
    check_keys(draft, names)
    launch, asked = draft.launch, draft.spec
    source = _source(asked, job, defaults)
    config = _config(asked)
    path = config.path
    macros = {**_macros(draft, source.image), **defaults.macros}
    filled = substitute({"spec": config.spec, "run": config.run}, macros)
    spec, run = filled["spec"], filled["run"]
    warnings = [*ignored(launch.run_spec, asked, job), *_move(spec, run, path)]
    project = places.project(spec.pop("project", None), f"{path}.spec.project", defaults.project)
    location = places.location(
        spec.pop("location", None), f"{path}.spec.location", defaults.location, names.locations
    )
    variables = _variables(draft, source, defaults)
    pools = spec.get("worker_pool_specs")
    spec["worker_pool_specs"] = _pools(
        draft, source, spec, f"{path}.spec", defaults, variables=variables
    )
    warnings += replaced(pools, f"{path}.spec.worker_pool_specs", variables)
    bucket = staging_bucket(spec.get("staging_bucket"), f"{path}.spec.staging_bucket")
    labels, relabelled = all_labels(
        spec.get("labels"), f"{path}.spec.labels", launch, defaults.agent
    )
    run_path = launch.entry.run
    spec |= {
        "staging_bucket": bucket,
        "labels": labels,
        "display_name": display_name(
            spec.get("display_name"), f"{path}.spec.display_name", asked.name, run_path.run_id
        ),
        "base_output_dir": base_output_dir(
            spec.get("base_output_dir"), f"{path}.spec.base_output_dir", bucket, run_path
        ),
    }
    check_places(spec, f"{path}.spec", project, defaults.reserved)
    return CustomJobCall(
        project=project,
        location=location,
        constructor=fit_all(spec, f"{path}.spec", names.shapes),
        submit=run_arguments(run, f"{path}.run", names.shapes),
        warnings=(*warnings, *relabelled),
        recipe=placed(source.recipe, defaults.context_store),
        own_variables=frozenset(variables),
    )


def _source(spec: RunSpec, job: JobSource | None, defaults: DeploymentDefaults) -> Source:
    """Return the image of a launch; refuse a run that this deployment does not serve."""
    if defaults.secure_mode:
        secure_mode.check_overrides(spec.overrides)
    base_images = _base_images(spec, defaults)
    builder = Builder(defaults.destination, defaults.builder_problem, defaults.git_credentials)
    source = source_of(spec, job, base_images, builder)
    check_references(spec.overrides.entry_point, "overrides.entry_point")
    check_references(spec.overrides.args, "overrides.args")
    check_references(job.entry_point if job else (), "job")
    spec.check_run()
    if defaults.key_secret:
        check_own_key(spec)
    return source


def _variables(draft: Draft, source: Source, defaults: DeploymentDefaults) -> dict[str, str]:
    api_key = "" if defaults.key_secret else defaults.api_key
    return launch_variables(
        draft.spec, draft.launch.entry, defaults.base_url, api_key, source.docker
    )


def _pools(
    draft: Draft,
    source: Source,
    spec: Mapping[str, Any],
    path: str,
    defaults: DeploymentDefaults,
    *,
    variables: Mapping[str, str],
) -> list[dict[str, Any]]:
    overrides = draft.spec.overrides
    pools, path = spec.get("worker_pool_specs"), f"{path}.worker_pool_specs"
    if defaults.secure_mode:
        secure_mode.check_containers(pools, path, overrides, source.command)
    return worker_pools(
        pools,
        path,
        entry_point=source.command,
        args=overrides.args,
        variables=variables,
        before=reader(defaults.key_secret),
    )


def _base_images(spec: RunSpec, defaults: DeploymentDefaults) -> dict[str, str]:
    """Return the candidates for the base image of a job's code, by the names of their settings."""
    of_queue = spec.config.base_image if spec.config else ""
    return {
        "builder.base_image in the queue's configuration": of_queue,
        "LAUNCH_BASE_IMAGE": defaults.base_image,
    }


def _macros(draft: Draft, image: str) -> dict[str, str | None]:
    run = draft.launch.entry.run
    return {
        "project_name": run.project.lower(),  # as the agent writes it
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
    kind = f"; the item's resource is {quoted(spec.resource, 40)}" if spec.resource else ""
    raise Reject("resource_args", f"has no part for Vertex AI{kind}", EXAMPLE)


def _move(spec: dict[str, Any], run: dict[str, Any], path: str) -> list[str]:
    """Move misplaced arguments and remove ignored ones; return a warning for each."""
    warnings = []
    if spec.pop("credentials", None) is not None:
        fix = "Leave it out: the job runs as run.service_account."
        raise Reject(f"{path}.spec.credentials", "cannot be set in a queue", fix)
    if account := spec.pop("service_account", None):
        used = "it was ignored" if run.get("service_account") else "it was used anyway"
        run["service_account"] = run.get("service_account") or account
        warnings.append(f"service_account belongs under run, not under spec; {used}")
    if run.pop("sync", None):
        warnings.append("sync was ignored: a launch never waits for its job")
    return warnings
