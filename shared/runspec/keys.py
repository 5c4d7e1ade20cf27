"""Refuse an unknown key of a run spec, at any level, with the place where it belongs.

The agent drops unknown keys, so a misspelt `runs` launches a job on the wrong machine. The known
keys are one tree: the fields of a run spec, and the arguments of the installed SDK.
"""

from collections.abc import Iterator
from dataclasses import replace

from shared.core.errors import Reject
from shared.core.shape import Shape
from shared.core.shorten import quoted, shown
from shared.core.spelling import holding, nearest, plain, same
from shared.runspec.arguments import ArgumentNames
from shared.runspec.fields import found, is_empty
from shared.runspec.ignored import OF_THE_AGENT
from shared.runspec.model import EXAMPLE, RESOURCES, Draft
from shared.runspec.spellings import FIXES

Place = tuple[str, ...]  # the names of the objects that contain a key

_OTHER_QUEUES = ("kubernetes", "local-container", "local-process", "sagemaker")
_TEXTS = (
    *("entity", "project", "run_id", "name", "author", "sweep_id", "job", "uri", "image_uri"),
    *("resource", "template_variables", "_wandb_api_key", "_resume_count"),
)
# known, but no place to write a key: refused later, or ignored with a warning
_NO_PLACES = (
    *("python_package_spec", "credentials", "sync"),
    *(name for name in OF_THE_AGENT if name != "builder"),
)
# what `wandb launch-sweep` has used and leaves in the items of its runs, and names of other clients
_OF_THE_CLIENT = (
    *("queue", "queue_name", "queue_entity", "project_queue", "run_queue_project", "priority"),
)
# where clients of other versions write empty fields of their own, such as `cuda: false`
_CLIENTS_PLACES: tuple[Place, ...] = ((), ("docker",), ("git",), ("overrides",), ("resource_args",))
_LIKE = 0.8  # of a name at another place, so that no strange one is suggested
_ANY = Shape()


def check_keys(draft: Draft, names: ArgumentNames) -> None:
    """Refuse the first unknown key of a launch's run spec.

    W&B's server adds fields to an item; their names begin with an underscore. Its client leaves
    there what it has used itself. An empty field is nothing to lose where clients write fields.

    Raises:
        Reject: naming the key's path, and the place where it belongs or the nearest known name.
    """
    raw = dict(draft.launch.run_spec)
    if not draft.launch.entry.of_request:
        raw = {name: value for name, value in raw.items() if not _is_wandbs(str(name))}
    check(raw, _run_spec(names))
    _check_resources(raw.get("resource_args"), draft.spec.resource)


def check(value: object, tree: Shape, root: str = "") -> None:
    """Refuse the first key that a tree does not have; `root` is the name of the value. See above.

    A value of a wrong type passes: the code that reads it refuses it.
    """
    for place, path, key, inner in _unknown(value, tree, (), root):
        fix = _fix(key, place, tree)
        held = "" if isinstance(inner, dict | list) else f"; its value is {found(inner)}"
        raise Reject(step(path, key), f"is not known here{held}", fix)


def _is_wandbs(name: str) -> bool:
    return name.startswith("_") or name in _OF_THE_CLIENT


def step(path: str, key: str) -> str:
    """Return the path of a key; quotes show spaces, dots and an empty key."""
    name = key if key.replace("-", "_").isidentifier() else repr(key)
    return f"{path}.{shown(name)}" if path else shown(name)


def _run_spec(names: ArgumentNames) -> Shape:
    spec = _arguments(names, names.constructor | {"service_account"})
    run = _arguments(names, names.run | names.submit)
    base_image = _object(base_image=_ANY)
    builder = _object(base_image=_ANY, accelerator=base_image, cuda=base_image)
    vertex = _object(spec=spec, run=run, builder=builder)
    resources = dict.fromkeys(RESOURCES, vertex) | dict.fromkeys(_OTHER_QUEUES, _ANY)
    texts = dict.fromkeys((*_TEXTS, *OF_THE_AGENT), _ANY)
    overrides = ("args", "entry_point", "run_config", "files", "artifacts", "dockerfile")
    return _object(
        **texts,
        docker=_object(docker_image=_ANY, user_id=_ANY),
        git=_object(repo=_ANY, version=_ANY),
        overrides=_object(**dict.fromkeys((*overrides, "working_dir"), _ANY)),
        resource_args=Shape("message", fields=resources),
    )


def _arguments(names: ArgumentNames, known: frozenset[str]) -> Shape:
    return Shape("message", fields={name: names.shapes.get(name, _ANY) for name in sorted(known)})


def _object(**fields: Shape) -> Shape:
    return Shape("message", fields=fields)


def _unknown(
    value: object, shape: Shape, place: Place, path: str
) -> Iterator[tuple[Place, str, str, object]]:
    """Yield each unknown key: the objects around it, their path, the key and its value."""
    if shape.kind != "message":
        return
    if shape.repeated and isinstance(value, list):
        for number, one in enumerate(value):
            yield from _unknown(one, replace(shape, repeated=False), place, f"{path}[{number}]")
    elif isinstance(value, dict) and not shape.repeated:
        for key, inner in value.items():
            name = str(key)
            if key not in shape.fields:
                if not (place in _CLIENTS_PLACES and is_empty(inner)):
                    yield place, path, name, inner
            else:
                known = shape.fields[key]
                below = (*place, _component(name, known))
                yield from _unknown(inner, known, below, step(path, name))


def _fix(key: str, place: Place, tree: Shape) -> str:
    """Return what to write instead of an unknown key."""
    level = tree
    for name in place:
        level = level.fields[name.removesuffix("[]")]
    here = [name for name in level.fields if name not in _NO_PLACES and not name.startswith("_")]
    places = {name: at for name, at in _places(tree).items() if name not in here}
    fix = FIXES.get(plain(key), "")
    word_of = holding(key, [name for name in here if not name.startswith("disable_")])
    if near := same(key, here) or (word_of in fix and word_of):
        return f"Did you mean {near}?"
    if fix:
        return fix
    if spelt := same(key, places):
        written = "" if spelt == key else f" and is written {spelt}"
        return f"{shown(key)} belongs {_under(places[spelt], place)}{written}."
    if near := word_of or nearest(key, here):
        return f"Did you mean {near}?"
    if near := nearest(key, places, _LIKE):
        return f"Did you mean {near}? It belongs {_under(places[near], place)}."
    return f"Known: {', '.join(sorted(here))}."


def _places(tree: Shape) -> dict[str, list[Place]]:
    """Return the places of each known name; of the resource's two names, only the second."""
    found_at: dict[str, list[Place]] = {}
    levels: list[tuple[Place, Shape]] = [((), tree)]
    for place, shape in levels:
        for name, inner in shape.fields.items():
            moved = name == "service_account" and place[-1] == "spec"
            if name in _NO_PLACES or name == RESOURCES[0] or name.startswith("_") or moved:
                continue
            found_at.setdefault(name, []).append(place)
            levels.append(((*place, _component(name, inner)), inner))  # the loop reads it, too
    return found_at


def _component(name: str, shape: Shape) -> str:
    return f"{name}[]" if shape.repeated else name


def _under(places: list[Place], here: Place) -> str:
    """Return the places nearest to an unknown key, as its author writes them."""
    here = tuple(RESOURCES[-1] if name == RESOURCES[0] else name for name in here)
    most = max(_common(place, here) for place in places)
    near = [place for place in places if _common(place, here) == most]
    if most >= 2:
        near = [place[2:] or place for place in near]
    texts = list(dict.fromkeys(".".join(place) for place in near))
    return f"under {' or '.join(texts)}" if texts != [""] else "at the top of the run spec"


def _common(one: Place, other: Place) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    unlike = (number for number, (name, another) in pairs if name != another)
    return next(unlike, min(len(one), len(other)))


def _check_resources(arguments: object, resource: str) -> None:
    """Refuse the configuration of another type of queue."""
    kind = f"; the item's resource is {quoted(resource, 40)}" if resource else ""
    for name in _OTHER_QUEUES:
        if isinstance(arguments, dict) and arguments.get(name):
            problem = f"configures a queue that is not for Vertex AI{kind}"
            raise Reject(f"resource_args.{name}", problem, EXAMPLE)
