"""Where else a launch may look for machines: the regions and strategies that the operator lists under `ladder`.

A launch begins in its own place, the region and the strategy that its request asks for. Where there is no room it goes
on: through the regions, then with the next strategy through the regions again. It goes only up: a launch that asks for
STANDARD never becomes one whose machines can be taken away because SPOT is listed before.
"""

from collections.abc import Iterator
from dataclasses import replace

from shared.config.ladder import Ladder, Region
from shared.config.policy import AdmissionPolicy
from shared.core.errors import Reject
from shared.core.launch import Launch, RunPath
from shared.core.ports import CustomJobCall
from shared.runspec.buckets import base_output_dir
from shared.runspec.fields import text
from shared.runspec.policy import allowed

DEFAULT = "STANDARD"  # Vertex AI's own, where a job names no strategy
OF_ONE_REGION = {  # arguments that name something which is there in one region only
    "spec": ("persistent_resource_id", "encryption_spec_key_name"),
    "run": (
        "network",
        "tensorboard",
        "experiment",
        "persistent_resource_id",
        "psc_interface_config",
    ),
}


def place_of(call: CustomJobCall) -> str:
    """Return a call's place in words."""
    return f"{call.location} with {_strategy(call)}"


def place(
    launch: Launch, call: CustomJobCall, ladder: Ladder, policy: AdmissionPolicy
) -> tuple[Launch, CustomJobCall, tuple[str, ...]]:
    """Return the record and the call of this attempt, and the places after it.

    The attempt is made in the first place where this launch was not refused.
    """
    climb = launch.climb
    usable, left_out = places(call, ladder, launch.entry.run, policy)
    open_to_it = [name for name in usable if name not in climb.barred] or [place_of(call)]
    ahead = [name for name in open_to_it if name not in climb.tried]
    tried = climb.tried if ahead else ()
    here, *after = ahead or open_to_it
    chosen = usable[here]
    if launch.entry.resumes and climb.output_dir:
        chosen = _with(chosen, base_output_dir=climb.output_dir)
    climb = replace(
        climb,
        own=place_of(call),
        place=here,
        next_place=after[0] if after else "",
        tried=tried,
        left_out=left_out,
        output_dir=text(chosen.constructor.get("base_output_dir"), "spec.base_output_dir", ""),
    )
    entry = replace(launch.entry, parent=chosen.parent, climbs=len(open_to_it) > 1)
    return replace(launch, entry=entry, climb=climb), chosen, tuple(after)


def places(
    call: CustomJobCall, ladder: Ladder, run: RunPath, policy: AdmissionPolicy
) -> tuple[dict[str, CustomJobCall], str]:
    """Return the same job in each place where it may be, its own first, and which are none for it, and why."""
    usable, left_out = {place_of(call): call}, {}
    tied = ", ".join(_of_one_region(call))
    for each in _others(call, ladder, run):
        name = place_of(each)
        if tied and each.location != call.location:
            left_out[each.location] = f"{each.location} is left out, because of {tied}"
        elif name not in usable:
            try:
                usable[name] = allowed(each, policy)
            except Reject as refusal:
                left_out[name] = f"{name} is left out: {refusal}"
    return usable, "; ".join(left_out.values())


def _others(call: CustomJobCall, ladder: Ladder, run: RunPath) -> Iterator[CustomJobCall]:
    own = _strategy(call)
    listed = list(ladder.strategies)
    above = listed[listed.index(own) + 1 :] if own in listed else []
    for strategy in (own, *above):
        with_it = (
            call
            if strategy == own
            else replace(call, submit={**call.submit, "scheduling_strategy": strategy})
        )
        if not ladder.regions:
            yield with_it
        for region in ladder.regions:
            yield with_it if region.region == call.location else _moved(with_it, region, run)


def _moved(call: CustomJobCall, region: Region, run: RunPath) -> CustomJobCall:
    """Return the same job in another region; it writes there too, unless it names a folder of its own."""
    path = "spec.base_output_dir"
    own = {
        name: text(call.constructor.get(name), f"spec.{name}", "")
        for name in ("staging_bucket", "base_output_dir")
    }
    default = base_output_dir("", path, own["staging_bucket"], run)
    there = base_output_dir("", path, region.staging_bucket, run)
    folder = there if own["base_output_dir"] == default else own["base_output_dir"]
    moved = replace(call, location=region.region)
    return _with(moved, staging_bucket=region.staging_bucket, base_output_dir=folder)


def _with(call: CustomJobCall, **changes: str) -> CustomJobCall:
    return replace(call, constructor={**call.constructor, **changes})


def _strategy(call: CustomJobCall) -> str:
    return text(call.submit.get("scheduling_strategy"), "run.scheduling_strategy", "") or DEFAULT


def _of_one_region(call: CustomJobCall) -> list[str]:
    given = {"spec": call.constructor, "run": call.submit}
    return [
        f"{part}.{name}"
        for part, names in OF_ONE_REGION.items()
        for name in names
        if given[part].get(name)
    ]
