"""W&B: the key, the queues, and whether what they ask for can be launched."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from deploy.cloud.bootstrap import submit_command
from deploy.cloud.doctor.case import Case
from deploy.cloud.doctor.finding import Check, Finding, failed, ok, warning
from deploy.cloud.doctor.project import add_key, differs
from deploy.operate.plan import Planned, Planner, preparing
from deploy.operate.wandb import queue_names, viewer
from shared.core.errors import Denied, SettingsError
from shared.runspec.fields import items, mapping, text
from shared.runspec.model import RESOURCES
from shared.runspec.registries import refusal
from shared.runspec.render import ArgumentNames, DeploymentDefaults


def checks(case: Case) -> Iterator[Check]:
    """Yield this group's checks."""
    look = partial(_key, case, "key in the secret", case.secret_key)
    yield Check("key in the secret", look, ("secretmanager.versions.access",))
    if case.environ.get("WANDB_API_KEY"):
        yield Check("key of this shell", partial(_key, case, "key of this shell", case.api_key))
    yield Check("queues", partial(_queues, case), ("secretmanager.versions.access",))


def _key(case: Case, title: str, key: Callable[[], str]) -> Iterator[Finding]:
    """See whether W&B knows a key, and whose it is; the key itself is never shown."""
    wandb = case.wandb(key())
    try:
        whose = viewer(wandb)
    except SettingsError as exc:
        rebuild = f"{submit_command(case.told)}  # with WANDB_CA_FILE=NAME.pem in _SETTINGS too"
        yield failed(
            title, str(exc), f"cp … NAME.pem  # W&B's authority, into the source's root\n{rebuild}"
        )
        return
    except Denied as exc:
        renew = f"{add_key(case)}\n{submit_command(case.told)}"  # functions read it when they start
        mend = (
            renew
            if key == case.secret_key
            else "export WANDB_API_KEY=…  # https://wandb.ai/authorize"
        )
        yield failed(title, str(exc), mend)
        return
    of = ", ".join(dict.fromkeys((whose.entity, *whose.teams)))
    if case.entity in (whose.entity, *whose.teams):
        yield ok(title, f"{whose.username}'s, of {of}")
    else:
        said = f"{whose.username}'s, who is not of {case.entity or 'any entity of the launch-config'}, but of {of}"
        yield warning(
            title, said, f"Use a key of a member, better a service account, of {case.entity}."
        )


def _queues(case: Case) -> Iterator[Finding]:
    if not (case.entity and case.queues):
        said = f"no {'queues are' if case.entity else 'entity is'} named"
        yield failed("queues", said, f"Fill in entity and queues in {case.config}.")
        return
    for name in case.queues:
        yield from case.examined(
            Check(f"queue {name}", partial(_queue, case, name), ("secretmanager.versions.access",))
        )


def _queue(case: Case, name: str) -> Iterator[Finding]:
    """See whether a queue is there, is of the right kind, and gives to its items what can be launched."""
    title, queue = f"queue {name}", case.queue(name)
    if queue is None:
        there = (
            ", ".join(sorted(queue_names(case.wandb(), case.entity)))
            or "none that this key may see"
        )
        said = f"{case.entity} has no such queue. Its queues: {there}"
        yield failed(
            title, said, f"Name one of them under queues in {case.config}, or make it in W&B."
        )
        return
    if queue.resource and queue.resource not in RESOURCES:
        said = f"is of type {queue.resource}, which is not served here"
        yield failed(
            title,
            said,
            f"Make a queue of type GCP Vertex in W&B, and name it under queues in {case.config}.",
        )
        return
    edit = f"In W&B, under Launch, edit the configuration of queue {name}."
    shown = _planned(case, name).document()  # without any key
    if "reason" in shown:
        yield failed(title, shown["reason"], edit)
        if ".image_uri: " in shown["reason"]:
            yield from _images(case, name)  # says how to copy it
        return
    for said in shown.get("warnings", ()):
        yield warning(title, said, edit)
    yield ok(title, "is of type Vertex, and its configuration can be launched")
    yield from _images(case, name)


def _planned(case: Case, name: str) -> Planned:
    """Return what would become of an item to come, of any image."""
    from shared.adapters.vertex.submit import argument_names  # Google's SDK takes seconds

    told = case.told
    site = DeploymentDefaults(
        base_url=case.base_url,
        api_key=case.api_key(),
        project=told.project,
        location=told.region,
        agent=told.name,
        macros=case.macros(),
        secure_mode=told.config.secure_mode,
    )
    preparation = preparing(
        case.wandb(), site, ArgumentNames(**argument_names()), policy=told.config.policy
    )
    planner = Planner(case.wandb(), case.entity, preparation)
    return next(planner.plan(name, item="", limit=0))


def _images(case: Case, name: str) -> Iterator[Finding]:
    """See whether Vertex AI can pull the images that a queue's configuration itself names."""
    spec = mapping(case.vertex(name).get("spec"), "spec")
    images = [_image(pool) for pool in items(spec.get("worker_pool_specs"), "worker_pool_specs")]
    for image in dict.fromkeys(image for image in images if image and not differs(image)):
        title = f"image of queue {name}"
        if reason := refusal(image):
            to = f"{case.told.region}-docker.pkg.dev/{case.told.project}/REPOSITORY/{image.rpartition('/')[2]}"
            copy = f"docker pull {image} && docker tag {image} {to} && docker push {to}"
            yield failed(
                title,
                f"{image} {reason}",
                f"{copy}\nThen name {to} in the configuration of queue {name}.",
            )
        else:
            yield ok(title, image)


def _image(pool: Any) -> str:
    container = mapping(mapping(pool, "worker_pool_specs").get("container_spec"), "container_spec")
    return text(container.get("image_uri"), "image_uri", "")
