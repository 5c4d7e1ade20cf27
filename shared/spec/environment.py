"""The environment variables that W&B's SDK finds in a launched container.

The same as wandb's own LaunchProject.get_env_vars_dict gives (the tests compare with the installed one), but:
- WANDB_RESUME=allow is always there, not only after a requeue, because Vertex AI restarts workers and retries jobs by
  itself, and a second wandb.init of the same run id has to be let in;
- WANDB_RUN_ID is derived from the launch where the run spec leaves it open; the agent draws one at random;
- `_wandb_job` names the job's version that was launched; the agent gives the alias, which may mean another one later.
"""

import json
from collections.abc import Mapping
from typing import Any

from shared.core.launch import Entry
from shared.spec.fields import mapping, text

MAX_VALUE = 32_670  # characters; a longer value is cut into NAME_0, NAME_1, …


def launch_variables(
    run_spec: Mapping[str, Any], entry: Entry, base_url: str, api_key: str, image: str
) -> dict[str, str]:
    """Return the variables of a launch that runs `image`, in wandb's order; none that is empty. Raises Reject."""
    own_key = text(run_spec.get("_wandb_api_key"), "_wandb_api_key", "")
    overrides = mapping(run_spec.get("overrides"), "overrides")
    variables = {
        "WANDB_BASE_URL": base_url,
        "WANDB_API_KEY": own_key or api_key,
        "WANDB_PROJECT": entry.run.project,
        "WANDB_ENTITY": entry.run.entity,
        "WANDB_LAUNCH": "True",
        "WANDB_RUN_ID": entry.run.run_id,
        "WANDB_DOCKER": image,
        "WANDB_NAME": text(run_spec.get("name"), "name", ""),
        "WANDB_USERNAME": "" if own_key else text(run_spec.get("author"), "author", ""),
        "WANDB_SWEEP_ID": text(run_spec.get("sweep_id") or None, "sweep_id", ""),
        "WANDB_RESUME": "allow",
        "WANDB_LAUNCH_QUEUE_NAME": entry.queue_name,
        "WANDB_LAUNCH_QUEUE_ENTITY": entry.queue_entity,
        "WANDB_LAUNCH_TRACE_ID": entry.item_id,
    }
    variables = {name: value for name, value in variables.items() if value}
    variables |= _cut("WANDB_CONFIG", mapping(overrides.get("run_config"), "overrides.run_config"))
    variables |= _cut("WANDB_LAUNCH_FILE_OVERRIDES", mapping(overrides.get("files"), "overrides.files"))
    job = text(run_spec.get("job"), "job", "")
    used = {"_wandb_job": job} if job else {}
    variables["WANDB_ARTIFACTS"] = json.dumps(used | mapping(overrides.get("artifacts"), "overrides.artifacts"))
    return variables


def docker_image(run_spec: Mapping[str, Any]) -> str:
    """Return the image that a run spec names itself, empty where it names none."""
    docker = mapping(run_spec.get("docker"), "docker")
    return text(docker.get("docker_image"), "docker.docker_image", "") or text(
        run_spec.get("image_uri"), "image_uri", ""
    )


def _cut(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    written = json.dumps(value)
    if len(written) <= MAX_VALUE:
        return {name: written}
    starts = range(0, len(written), MAX_VALUE)
    return {f"{name}_{number}": written[start : start + MAX_VALUE] for number, start in enumerate(starts)}
