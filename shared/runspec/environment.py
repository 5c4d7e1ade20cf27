"""The environment variables that W&B's SDK reads in a launched container.

They equal those of wandb's LaunchProject.get_env_vars_dict (a test compares), except for four:
- WANDB_PROJECT keeps the capitals of a sweep's project (see IndexFields.run_path).
- WANDB_RESUME is always `allow`, not only after a requeue: Vertex AI restarts workers and retries
  jobs by itself, and a second wandb.init of the same run id must succeed.
- WANDB_RUN_ID is derived from the launch if the run spec has none; the agent draws one at random.
- `_wandb_job` names the launched version of the job; the agent names the alias, which can move.

Their JSON contains neither `$` nor an apostrophe, but escapes with the same meaning.
"""

from collections.abc import Mapping
from typing import Any

from shared.core.launch import Entry
from shared.runspec.expansion import inert_json
from shared.runspec.model import RunSpec

MAX_VALUE = 32_670  # characters; a longer value becomes NAME_0, NAME_1, …


def launch_variables(
    spec: RunSpec, entry: Entry, base_url: str, api_key: str, image: str
) -> dict[str, str]:
    """Return the variables of a launch that runs `image`, without empty values."""
    variables = {
        "WANDB_NAME": spec.name,  # any text; before the others, it cannot refer to them
        "WANDB_BASE_URL": base_url,
        "WANDB_API_KEY": spec.own_key or api_key,
        "WANDB_PROJECT": entry.run.project,
        "WANDB_ENTITY": entry.run.entity,
        "WANDB_LAUNCH": "True",
        "WANDB_RUN_ID": entry.run.run_id,
        "WANDB_DOCKER": image,
        "WANDB_USERNAME": "" if spec.own_key else spec.author,
        "WANDB_SWEEP_ID": spec.sweep_id,
        "WANDB_RESUME": "allow",
        "WANDB_LAUNCH_QUEUE_NAME": entry.queue_name,
        "WANDB_LAUNCH_QUEUE_ENTITY": entry.queue_entity,
        "WANDB_LAUNCH_TRACE_ID": entry.item_id,
    }
    variables = {name: value for name, value in variables.items() if value}
    variables |= _cut("WANDB_CONFIG", spec.overrides.run_config)
    variables |= _cut("WANDB_LAUNCH_FILE_OVERRIDES", spec.overrides.files)
    used = {"_wandb_job": spec.job} if spec.job else {}
    variables["WANDB_ARTIFACTS"] = inert_json({**used, **spec.overrides.artifacts})
    return variables


def _cut(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    written = inert_json(value)
    if len(written) <= MAX_VALUE:
        return {name: written}
    starts = range(0, len(written), MAX_VALUE)
    return {
        f"{name}_{number}": written[start : start + MAX_VALUE]
        for number, start in enumerate(starts)
    }
