"""Hypothesis's inputs of each target: valid inputs, changed in a few places."""

import copy
import json
import math
from typing import Any

import yaml
from hypothesis import strategies as st

from tests.unit.specs import POOL, run_spec

KEY = "k" + "a" * 26
TICKET = {"version": 1, "kind": "ticket", "launch_key": KEY}
REQUEST = {
    "version": 1,
    "kind": "request",
    "source": "ci",
    "idempotency_key": "1",
    "run_spec": run_spec(),
    "queue": {"entity": "team", "name": "vertex"},
}
RUN_SPECS = [
    run_spec(name="one", author="a", run_id="r", sweep_id="s", _resume_count=1, _wandb_api_key="k" * 40),
    run_spec(
        {
            "spec": {
                "worker_pool_specs": [
                    {
                        **POOL,
                        "machine_spec": {"machine_type": "g2-standard-8", "accelerator_type": "NVIDIA_L4"},
                        "container_spec": {
                            "image_uri": "${image_uri}",
                            "command": ["python", "-m", "${project_name}"],
                            "args": ["--lr", 0.1],
                            "env": [{"name": "A", "value": "${run_name}"}, {"name": "B", "value": 3}],
                        },
                    },
                    {},
                    POOL,
                ],
                "staging_bucket": "gs://staging/folder",
                "labels": {"team": "cats", "version": 3},
                "display_name": "${run_name}",
                "base_output_dir": "gs://staging/out",
                "project": "gcp-project",
                "location": "us-central1",
            },
            "run": {
                "service_account": "trainer@p.iam.gserviceaccount.com",
                "network": "projects/1/global/networks/n",
                "timeout": "3600s",
                "scheduling_strategy": "SPOT",
                "max_wait_duration": 60,
                "create_request_timeout": "30s",
                "enable_web_access": "true",
                "tensorboard": "projects/p/locations/l/tensorboards/1",
                "psc_interface_config": {"network_attachment": "na"},
            },
            "builder": {"base_image": "python:3.12"},
        },
        overrides={
            "args": ["a", 1],
            "entry_point": ["python", "x.py"],
            "run_config": {"lr": 0.1},
            "artifacts": {"a": "b"},
            "files": {"f": "content"},
            "working_dir": "src",
        },
    ),
    {"uri": "placeholder-uri-scheduler", "entity": "team", "project": "cats", "resource_args": {"vertex": {}}},
]
CONFIG = {
    "entity": "team",
    "queues": ["vertex", "other"],
    "max_jobs": 3,
    "max_schedulers": -1,
    "secure_mode": False,
    "stopped_run_timeout": 60,
    "environment": {"type": "gcp", "region": "us-central1", "project": "p"},
    "builder": {"type": "noop", "base_image": "python:3.12"},
    "scheduler": {"image": "wandb/launch", "machine_type": "e2-standard-4"},
    "policy": {"service_accounts": ["a@b.c"], "images": ["us-docker.pkg.dev/p"], "max_replicas": 8, "regions": ["r"]},
}
YAML_TOKENS = (
    *("&a ", "*a", "<<: *a", "<<: [*a, *a]", "!!int ", "!!float ", "!!bool ", "!!timestamp ", "!!binary ", "!!set "),
    *("!!omap ", "!x ", "!!python/object:os.system ", "? ", "- ", ": ", "{", "}", "[", "]", "|", ">", "'", '"', "#"),
    *(
        "\t",
        "\n",
        "\r",
        "\0",
        "\ufeff",
        "\u2028",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "%TAG ! x\n",
        "0x_",
        "0b",
        "1:1:1.5",
    ),
    *("2001-13-45", "2001-12-14t21:59:43-99:99", "9" * 400, ".inf", ".nan", "~", "=", "\\ud800"),
)


def nested(depth: int) -> Any:
    """Return a list of lists of this depth."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


_ODD = st.sampled_from(
    [
        *(None, True, False, 0, -1, 2, 1.5, math.nan, math.inf, 1e308, 2**63, 10**40, [], {}, [None], {"": None}, [[]]),
        *(
            "",
            " ",
            "x",
            "0",
            "-0",
            "1e999",
            "٣",
            "\x00",
            "\ud800",
            "\u202e",
            "𝄞",
            "${",
            "${image_uri}",
            "${x}",
            "{{x}}",
        ),
        *("x" * 300, "x" * 5000, "9" * 5000, "../..", "gs://", "2h", "a.b/c:d@e", nested(65), nested(150)),
    ]
) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)

ODD = _ODD.map(copy.deepcopy)  # a copy, so that no example changes the next


@st.composite
def changed(draw: st.DrawFn, originals: list[Any]) -> Any:
    """Return one of these with odd values that replace, or join, a few of its parts."""
    whole = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        within = whole
        while True:
            keys: list[Any] = list(within) if isinstance(within, dict) else list(range(len(within)))
            key = draw(st.sampled_from(keys)) if keys else None
            if key is not None and isinstance(within[key], dict | list) and draw(st.integers(0, 4)):
                within = within[key]
                continue
            break
        what = draw(st.sampled_from(["replace", "replace", "replace", "delete", "add"]))
        if what == "add" or key is None:
            if isinstance(within, dict):
                within[draw(st.text(max_size=12))] = draw(ODD)
            else:
                within.append(draw(ODD))
        elif what == "delete":
            del within[key]
        else:
            within[key] = draw(ODD)
    return whole


@st.composite
def spoilt(draw: st.DrawFn, texts: st.SearchStrategy[bytes], tokens: tuple[bytes, ...]) -> bytes:
    """Return a text with cuts and insertions in a few places."""
    content = draw(texts)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 8)))
        content = content[:start] + draw(st.sampled_from(tokens) | st.binary(max_size=3)) + content[end:]
    return content


JSON_TOKENS = (
    b'"',
    b"\\ud800",
    b"\\u0000",
    b"NaN",
    b"Infinity",
    b"-",
    b"1e999",
    b"{",
    b"[",
    b",",
    b":",
    b'"kind":"x",',
)

MESSAGES = st.binary(max_size=200) | spoilt(
    changed([TICKET, REQUEST]).map(lambda message: json.dumps(message).encode()), JSON_TOKENS
)
SPECS = changed(RUN_SPECS).filter(lambda spec: isinstance(spec, dict)) | st.dictionaries(st.text(max_size=8), ODD)


def _yaml(config: Any) -> bytes:
    return str(yaml.safe_dump(config, allow_unicode=True)).encode("utf-8", "surrogatepass")


CONFIGS = st.binary(max_size=200) | spoilt(
    changed([CONFIG]).map(_yaml), tuple(token.encode("utf-8", "surrogatepass") for token in YAML_TOKENS)
)
