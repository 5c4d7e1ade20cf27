"""Complete a request that names a W&B queue: the queue's configuration gives resource_args."""

from collections.abc import Collection

from shared.core.errors import Reject
from shared.core.intake import storable
from shared.core.ports import QueueConfigs
from shared.core.shape import Shape
from shared.runspec.fields import mapping
from shared.runspec.keys import check
from shared.runspec.macros import uses
from shared.runspec.model import RESOURCES, Draft
from shared.runspec.templates import PATH, filled, template_values

_OF_A_QUEUE = Shape("message", fields=dict.fromkeys(("resource_args", "resource"), Shape()))
_OR = "or leave queue out and give resource_args"


def complete(draft: Draft, queues: QueueConfigs, macros: Collection[str] = ()) -> Draft:
    """Give a request without resource_args those of the queue that it names.

    The ledger keeps them with the claim, so a later attempt uses the same even if the queue has
    changed. An item of a queue stays unchanged, because W&B has already filled it in. `macros` are
    the names in LAUNCH_MACROS: only the queue's own text may contain them.

    Raises:
        Reject: there is no such queue, it is not for Vertex AI, or a template variable is wrong.
        Retry, Denied: W&B gives no answer.
    """
    entry, given = draft.launch.entry, draft.spec.template_variables
    if not (entry.of_request and entry.queue_name):
        return draft
    if draft.launch.run_spec.get("resource_args"):
        if given:
            problem = "fill in a queue's configuration, but the request has its own resource_args"
            raise Reject(PATH, problem, "Leave one of the two out.")
        return draft
    named = f"{entry.queue_name} of {entry.queue_entity}"
    config = queues.config_of(entry.queue)
    if config is None:
        fix = f"Name a queue that this deployment's API key can see, {_OR}."
        raise Reject("queue", f"W&B has no queue {named}", fix)
    if config.resource and config.resource not in RESOURCES:
        fix = f"Name a queue of type GCP Vertex, {_OR}."
        raise Reject("queue", f"{named} is of type {config.resource}", fix)
    values = template_values(config.template_variables, given)
    of_queue = filled(storable(dict(config.config), "queue"), values)
    if uses(of_queue, macros) != uses(config.config, macros):
        problem = "bring a macro of LAUNCH_MACROS into the queue's configuration"
        raise Reject(PATH, problem, "Write values without ${…}.")
    check(of_queue, _OF_A_QUEUE, "queue")
    arguments = mapping(of_queue.get("resource_args"), "queue.resource_args")
    if not any(arguments.get(name) for name in RESOURCES):
        fix = f"Fill in its configuration in W&B, under Launch, {_OR}."
        raise Reject("queue", f"{named} has no configuration for Vertex AI", fix)
    return draft.changed(without=PATH, resource=config.resource, resource_args=arguments)
