"""What wandb's own client reads in a job's container: run configuration and file overrides, whole or in parts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.runspec.environment import MAX_VALUE
from shared.runspec.expansion import inert_json
from tests.unit.specs import environment, rendered, run_spec

CONFIG: dict[str, Any] = {
    "lr": 0.1,
    "nested": {"list": [1, None, True, {"a": "b"}], "empty": {}},
    "text": "quotes ' \" and \\, $HOME, $(WANDB_API_KEY), $$, ${run_id}\n\ttab, é, 模型, 🎉",
    "large": 2**70,
    "small": 1e-300,
}
SCRIPT = """
import json, sys
import wandb
from wandb.sdk import launch
from wandb.sdk.launch.utils import load_wandb_config

launch.manage_config_file("train.yaml", include=["optimizer"])
launch.manage_config_file("data/set.json")
launch.manage_wandb_config(include=["lr"], exclude=["nested"])
early = dict(load_wandb_config())
with wandb.init(mode="offline", config={"lr": 1, "own": "kept"}) as run:
    config = dict(run.config)
files = [open("train.yaml").read(), open("data/set.json").read()]
print(json.dumps([early, config, *files]))
"""


def in_parts(value: dict[str, Any], size: int) -> dict[str, Any]:
    """Return an object with so much padding that its JSON has this many parts."""
    padded, number = dict(value), 0
    while len(inert_json(padded)) <= (size - 1) * MAX_VALUE:
        number += 1
        padded[f"padding{number}"] = "ü$'" * 500
    return padded


def overridden(size: int) -> dict[str, Any]:
    """Return the overrides of an item, each in this many parts."""
    train = {"optimizer": {"lr": 0.5, "name": "it's $adam"}}
    return {
        "run_config": in_parts(CONFIG, size),
        "files": {"train.yaml": in_parts(train, size), "data/set.json": {"path": "gs://b/é"}, "unused.yaml": {"a": 1}},
    }


@pytest.mark.parametrize("size", [1, 12])
def test_wandbs_own_readers_find_configuration_and_files(tmp_path: Path, size: int) -> None:
    """`load_wandb_config`, `wandb.init`, `manage_config_file` and `manage_wandb_config` in a process like the job's."""
    overrides = overridden(size)
    variables = environment(rendered(run_spec(overrides=overrides)))
    for name in ("WANDB_CONFIG", "WANDB_LAUNCH_FILE_OVERRIDES"):
        found = [each for each in variables if each == name or each.startswith(f"{name}_")]
        assert found == ([name] if size == 1 else [f"{name}_{number}" for number in range(size)])
    (tmp_path / "train.yaml").write_text("optimizer: {lr: 1, momentum: 0.9}\nown: 1\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "set.json").write_text('{"path": "x", "own": 1}', encoding="utf-8")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables, "WANDB_SILENT": "true"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    early, config, train, data = json.loads(done.stdout.splitlines()[-1])
    assert early == overrides["run_config"]
    assert config == {"own": "kept", **overrides["run_config"]}
    of_file = overrides["files"]["train.yaml"]
    assert yaml.safe_load(train) == {"own": 1, **of_file, "optimizer": {"momentum": 0.9, **of_file["optimizer"]}}
    assert json.loads(data) == {"path": "gs://b/é", "own": 1}
