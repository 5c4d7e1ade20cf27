"""Place a launch: the operator lists further regions and strategies under `ladder`.

A launch begins in its own place: the region and strategy that it asks for. Without capacity it goes
on through the regions, then with the next strategy through the regions again. It goes only up: a
launch that asks for STANDARD never becomes a preemptible one, even if SPOT is listed before it.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from shared.config.ladder import Ladder, Region
from shared.config.policy import AdmissionPolicy
from shared.core.errors import Reject
from shared.core.launch import Launch, RunPath
from shared.core.ports import CustomJobCall
from shared.runspec.buckets import base_output_dir
from shared.runspec.fields import text
from shared.runspec.forms import check_strategy
from shared.runspec.policy import admit
from shared.runspec.walk import values

DEFAULT = "STANDARD"  # Vertex AI's default strategy
OF_ONE_REGION = (  # arguments that name a regional resource
    "spec.persistent_resource_id",
    "spec.encryption_spec_key_name",
    "spec.worker_pool_specs[].machine_spec.reservation_affinity.values",
    "run.network",
    "run.tensorboard",
    "run.experiment",
    "run.persistent_resource_id",
    "run.psc_interface_config",
)


def place_of(call: CustomJobCall) -> str:
    """Return a call's place as text."""
    return f"{call.location} with {_strategy(call)}"


def place(
    launch: Launch,
    call: CustomJobCall,
    ladder: Ladder,
    policy: AdmissionPolicy,
    known: Collection[str] = (),
) -> tuple[Launch, CustomJobCall, tuple[str, ...]]:
    """Return the record and the call of this attempt, and the places that follow.

    The attempt goes to the first place that this launch has not tried in this round. `known` are
    the SDK's locations, if it limits them.
    """
    climb = launch.climb
    usable, left_out = places(call, ladder, launch.entry.run, policy, known)
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
    call: CustomJobCall,
    ladder: Ladder,
    run: RunPath,
    policy: AdmissionPolicy,
    known: Collection[str] = (),
) -> tuple[dict[str, CustomJobCall], str]:
    """Return the job's call for each usable place, its own first, and why others are left out."""
    usable, left_out = {place_of(call): call}, {}
    tied = ", ".join(_of_one_region(call))
    for each in _others(call, ladder, run):
        name = place_of(each)
        if tied and each.location != call.location:
            left_out[each.location] = f"{each.location} is left out, because {tied} is regional"
        elif known and each.location not in known:
            left_out[each.location] = f"{each.location} is left out: the SDK runs no job there"
        elif name not in usable:
            try:
                admit(each, run, policy)
                check_strategy(each)
            except Reject as refusal:
                left_out[name] = f"{name} is left out: {refusal}"
            else:
                usable[name] = each
    return usable, "; ".join(left_out.values())


def _others(call: CustomJobCall, ladder: Ladder, run: RunPath) -> Iterator[CustomJobCall]:
    own = _strategy(call)
    listed = list(ladder.strategies)
    above = listed[listed.index(own) + 1 :] if own in listed else []
    for strategy in (own, *above):
        other = call
        if strategy != own:
            other = replace(call, submit={**call.submit, "scheduling_strategy": strategy})
        if not ladder.regions:
            yield other
        for region in ladder.regions:
            yield other if region.region == call.location else _moved(other, region, run)


def _moved(call: CustomJobCall, region: Region, run: RunPath) -> CustomJobCall:
    """Return the job's call for another region; its default output folder moves with it."""
    path = "spec.base_output_dir"
    own = {
        name: text(call.constructor.get(name), f"spec.{name}", "")
        for name in ("staging_bucket", "base_output_dir")
    }
    folder = own["base_output_dir"]
    if folder == base_output_dir("", path, own["staging_bucket"], run):
        folder = base_output_dir("", path, region.staging_bucket, run)
    moved = replace(call, location=region.region)
    return _with(moved, staging_bucket=region.staging_bucket, base_output_dir=folder)


def _with(call: CustomJobCall, **changes: str) -> CustomJobCall:
    return replace(call, constructor={**call.constructor, **changes})


def _strategy(call: CustomJobCall) -> str:
    return text(call.submit.get("scheduling_strategy"), "run.scheduling_strategy", "") or DEFAULT


def _of_one_region(call: CustomJobCall) -> list[str]:
    given = {"spec": call.constructor, "run": call.submit}
    named = (each for field in OF_ONE_REGION for each in values(given, field))
    return [path for path, value in named if value]
