"""W&B: the key, the queues, and whether their configurations can be launched."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from deploy.cloud.bootstrap import submit_command
from deploy.cloud.doctor.case import SHELLS_KEY, Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning
from deploy.cloud.doctor.project import add_key, differs
from deploy.cloud.doctor.settings import submit_settings
from deploy.planner import Planned, build_planner
from deploy.wandb_queues import queue_names, viewer
from shared.core.errors import Denied, SettingsError
from shared.core.image import Image
from shared.runspec.fields import items, mapping, text
from shared.runspec.model import RESOURCES
from shared.runspec.registries import refusal


def checks(case: Case) -> Iterator[Check]:
    """Yield this group's checks."""
    title = case.functions_key
    look = partial(_key, case, title, case.secret_key)
    yield Check(title, look, ("secretmanager.versions.access",), on_stack=True)
    if case.environ.get("WANDB_API_KEY") and not case.stack:
        yield Check(SHELLS_KEY, partial(_key, case, SHELLS_KEY, case.api_key))
    look = partial(_queues, case)
    yield Check("queues", look, ("secretmanager.versions.access",), on_stack=True)


def _key(case: Case, title: str, key: Callable[[], str]) -> Iterator[Finding]:
    """Check that W&B knows a key, and name its owner; the key itself is never shown."""
    wandb = case.wandb(key())
    try:
        whose = viewer(wandb)
    except SettingsError as exc:
        copy = "cp … NAME.pem  # W&B's certificate authority, to the root of the source"
        build = f"{submit_command(case.deployment)}  # with WANDB_CA_FILE=NAME.pem in _SETTINGS"
        yield failed(title, str(exc), f"{copy}\n{build}")
        return
    except Denied as exc:
        export = "export WANDB_API_KEY=…  # https://wandb.ai/authorize"
        fix = export if title == SHELLS_KEY else add_key(case)
        yield failed(title, str(exc), fix, title)
        return
    of = ", ".join(dict.fromkeys((whose.entity, *whose.teams)))
    if case.stack or case.entity in (whose.entity, *whose.teams):
        yield ok(title, f"belongs to {whose.username} of {of}")
    else:
        entity = case.entity or "the launch-config's entity, which is missing"
        message = f"belongs to {whose.username} of {of}, not of {entity}"
        fix = f"Use the key of a service account, or of a member, of {case.entity or 'the entity'}."
        yield warning(title, message, fix)


def _queues(case: Case) -> Iterator[Finding]:
    if not (case.entity and case.queues):
        message = f"the launch-config names no {'queues' if case.entity else 'entity'}"
        yield failed("queues", message, f"Write entity and queues in {case.config}.")
        return
    for name in case.queues:
        look = partial(_queue, case, name)
        needs = ("secretmanager.versions.access",)
        yield from case.examined(Check(f"queue {name}", look, needs))


def _queue(case: Case, name: str) -> Iterator[Finding]:
    """Check that a queue exists, that its type is served, and that its items can be launched."""
    title, queue = f"queue {name}", case.queue(name)
    if queue is None:
        names = ", ".join(sorted(queue_names(case.wandb(), case.entity)))
        message = f"{case.entity} has no such queue. Its queues: {names or 'none visible'}"
        fix = f"Name one of them under queues in {case.config}, or create the queue in W&B."
        yield failed(title, message, fix, title)
        return
    if queue.resource and queue.resource not in RESOURCES:
        message = f"is of type {queue.resource}; the functions serve GCP Vertex queues only"
        fix = "Create a queue of type GCP Vertex in W&B, and name it under queues in "
        yield failed(title, message, f"{fix}{case.config}.", title)
        return
    edit = f"In W&B, under Launch, edit the configuration of queue {name}."
    shown = _planned(case, name).document()  # without any key
    if "reason" in shown:
        yield failed(title, shown["reason"], edit)
        if ".image_uri: " in shown["reason"]:
            yield from _images(case, name)  # its fix is a command that copies the image
        return
    for message in shown.get("warnings", ()):
        yield warning(title, message, edit)
    yield ok(title, "is of type GCP Vertex, and its configuration can be launched")
    yield from _images(case, name)


def _planned(case: Case, name: str) -> Planned:
    """Return the plan for a future item with any image."""
    planner = build_planner(submit_settings(case), case.wandb(), case.entity, case.macros())
    return next(planner.plan(name, item="", limit=0))


def _images(case: Case, name: str) -> Iterator[Finding]:
    """Check that Vertex AI can pull the images that a queue's configuration names."""
    spec = mapping(case.vertex(name).get("spec"), "spec")
    images = [_image(pool) for pool in items(spec.get("worker_pool_specs"), "worker_pool_specs")]
    for image in dict.fromkeys(image for image in images if image and not differs(image)):
        title = f"image of queue {name}"
        if reason := _refusal(image):
            registry = f"{case.deployment.region}-docker.pkg.dev/{case.deployment.project}"
            to = f"{registry}/REPOSITORY/{image.rpartition('/')[2]}"
            copy = f"docker pull {image} && docker tag {image} {to} && docker push {to}"
            edit = f"Then name {to} in the configuration of queue {name}."
            yield failed(title, f"{image} {reason}", f"{copy}\n{edit}")
        else:
            yield ok(title, image)


def _refusal(image: str) -> str:
    try:
        return refusal(Image.parse(image))
    except ValueError as exc:
        return str(exc)


def _image(pool: Any) -> str:
    container = mapping(mapping(pool, "worker_pool_specs").get("container_spec"), "container_spec")
    return text(container.get("image_uri"), "image_uri", "")
