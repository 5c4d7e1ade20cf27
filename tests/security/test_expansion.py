"""No text of an author shows a secret, whether Vertex AI expands `$(NAME)` or not."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.servers.vertex.expansion import expanded, expanded_variables
from shared.adapters.vertex.submit import argument_names
from shared.core.errors import Reject
from shared.core.jobsource import JobSource, Kind
from shared.core.message import Ticket, encode
from shared.runspec.render import ArgumentNames, render
from shared.runspec.templates import filled
from tests.entrypoints.conftest import KEY, Outside
from tests.entrypoints.test_functions import ITEM, RENDERED, eventarc, polled
from tests.unit.specs import SITE, draft_of, put, run_spec

NAMES = ArgumentNames(**argument_names())
TOKEN = "planted-token"
EVIL = "$(WANDB_API_KEY) $$(WANDB_API_KEY) $$$(WANDB_API_KEY) $(HF_TOKEN) it's $HOME `x` $$"
CONFIG = {"p": EVIL, "$(WANDB_API_KEY)": ["'", "\\'", "\\u0024(HF_TOKEN)", "ü$(WANDB_API_KEY)", 1.5, None]}
CONTAINER = (*("resource_args", "gcp-vertex", "spec", "worker_pool_specs"), 0, "container_spec")


def both_readings(env: dict[str, str], words: list[str]) -> list[tuple[dict[str, str], list[str]]]:
    """Return variables and words of a container, unchanged and as Kubernetes expands them."""
    values = expanded_variables(env.items(), {})
    return [(env, words), (values, [expanded(word, values) for word in words])]


def shown(env: dict[str, str], words: list[str]) -> str:
    """Return all that a container shows beside its secrets."""
    return json.dumps(
        [words, {name: value for name, value in env.items() if name not in ("WANDB_API_KEY", "HF_TOKEN")}]
    )


def container(spec: dict[str, Any], job: JobSource | None = None) -> tuple[dict[str, str], list[str]]:
    """Render a spec; return the variables in their order, and command and arguments."""
    pool = render(draft_of(spec), SITE, NAMES, job).constructor["worker_pool_specs"][0]["container_spec"]
    env = {one["name"]: one["value"] for one in pool["env"]}
    return env, [*pool.get("command", []), *pool.get("args", [])]


READ = """
import json, os
from wandb.sdk.launch.inputs.files import FileOverrides
from wandb.sdk.launch.utils import load_wandb_config
from wandb.sdk.wandb_init import _handle_launch_config
from wandb.sdk.wandb_settings import Settings
print(json.dumps([
    dict(load_wandb_config()), _handle_launch_config(Settings(launch=True)),
    FileOverrides().overrides, json.loads(os.environ["WANDB_ARTIFACTS"]),
]))
"""


def test_the_installed_wandb_reads_the_same_values_in_both_readings(outside: Outside, capsys: Any) -> None:
    """Through poll and submit; a large configuration comes in twelve variables."""
    large = CONFIG | {"large": "$(WANDB_API_KEY)'" * 13_500}
    overrides = {"run_config": large, "files": {"a.yaml": CONFIG}, "artifacts": {"$(HF_TOKEN)": CONFIG}}
    env = [{"name": "HF_TOKEN", "value": TOKEN}]
    config = {"spec": put(RENDERED["spec"], ("worker_pool_specs", 0, "container_spec", "env"), env)}
    item = {**ITEM, "name": EVIL, "author": EVIL, "overrides": overrides, "resource_args": {"gcp-vertex": config}}
    outside.wandb.push("team", "vertex", item)
    outside.client("poll").post("/")
    outside.client("submit").post(**eventarc(encode(Ticket(launch_key=polled(capsys)))))
    [job] = outside.vertex.jobs()
    made = job.message.job_spec.worker_pool_specs[0].container_spec
    variables = {one.name: one.value for one in made.env}
    assert len([name for name in variables if re.fullmatch(r"WANDB_CONFIG_\d+", name)]) == 12
    for values, _ in both_readings(variables, [*made.command, *made.args]):
        assert values["WANDB_API_KEY"] == KEY
        assert KEY not in shown(values, [])
        assert TOKEN not in shown(values, [])
        script = [sys.executable, "-c", READ]
        environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]} | values
        done = subprocess.run(script, env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert json.loads(done.stdout) == [large, large, {"a.yaml": CONFIG}, {"$(HF_TOKEN)": CONFIG}], done.stderr


def test_json_has_nothing_that_a_shell_reads_within_quotes() -> None:
    """`sh -c 'train --config "$C"'` and its like keep working."""
    env, _ = container(run_spec(overrides={"run_config": CONFIG}))
    done = subprocess.run(
        ["sh", "-c", f"printf %s '{env['WANDB_CONFIG']}'"], capture_output=True, text=True, timeout=20, check=True
    )
    assert json.loads(done.stdout) == CONFIG
    assert not set("$'") & set(env["WANDB_CONFIG"] + env["WANDB_ARTIFACTS"])


def test_the_settings_of_code_expand_nothing() -> None:
    """A git remote or a folder comes from an author; git would send the key to the remote's host."""
    remote, folder = "https://evil.test/$(WANDB_API_KEY).git", "a$(WANDB_API_KEY)"
    job = JobSource("t/p/j:v0", Kind.REPO, ("python", "x.py"), base_image="x", remote=remote, commit="$(HF_TOKEN)")
    spec = {**run_spec(job="t/p/j", overrides={"working_dir": folder}), "docker": None}
    for values, words in both_readings(*container(put(spec, (*CONTAINER, "image_uri"), "${image_uri}"), job)):
        assert values["WANDB_API_KEY"] not in shown(values, words)
        settings = json.loads(words[3])
        assert (settings["remote"], settings["commit"], settings["working_dir"]) == (remote, "$(HF_TOKEN)", folder)


REFERENCES = [
    "$(WANDB_API_KEY)",
    "x$(WANDB_API_KEY)y",
    "$$(WANDB_API_KEY)",
    "$$$(WANDB_API_KEY)",
    "$(HF_TOKEN)",
    "$(DB_PASSWORD)",
]


@pytest.mark.parametrize("text", REFERENCES)
@pytest.mark.parametrize("field", ["args", "entry_point"])
def test_an_author_s_command_cannot_name_a_secret(field: str, text: str) -> None:
    """The refusal names the field; nothing depends on what Vertex AI does."""
    with pytest.raises(Reject, match=rf"overrides\.{field}\[1\]: contains \$\(\w+\), which Vertex AI can replace"):
        container(run_spec(overrides={field: ["python", text]}))


def test_a_job_s_command_cannot_name_a_secret() -> None:
    """A job is content that W&B serves."""
    job = JobSource("t/p/j:v0", Kind.IMAGE, ("train", "$(WANDB_API_KEY)"), image="x")
    with pytest.raises(Reject, match=r"job\[1\]: contains \$\(WANDB_API_KEY\)"):
        container({**run_spec(job="t/p/j"), "docker": None}, job)


@pytest.mark.parametrize("text", ["$(LR)", "$$", "$(date)", "$HOME", "${HOME}", "$(", "it's"])
def test_other_texts_of_a_command_are_kept(text: str) -> None:
    """They are sent as the agent sends them."""
    assert container(run_spec(overrides={"args": [text]}))[1] == [text]


def test_an_operator_s_own_references_are_kept() -> None:
    """The queue's configuration may use Vertex AI's documented feature."""
    spec = put(run_spec(), (*CONTAINER, "args"), ["--key=$(WANDB_API_KEY)"])
    env, words = container(put(spec, (*CONTAINER, "command"), ["train"]))
    assert words == ["train", "--key=$(WANDB_API_KEY)"]
    assert both_readings(env, words)[1][1][1] == f"--key={env['WANDB_API_KEY']}"


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("--name=${run_name}", {"name": "$(WANDB_API_KEY)"}),
        ("${run_name}(WANDB_API_KEY)", {"name": "$"}),
        ("${run_name}${author}", {"name": "$(WANDB_", "author": "API_KEY)"}),
    ],
)
@pytest.mark.parametrize("place", ["args", "command", "env"])
def test_a_macro_cannot_make_a_reference(place: str, word: str, values: dict[str, str]) -> None:
    """Neither alone nor together with its neighbours."""
    given_value: Any = [{"name": "X", "value": word}] if place == "env" else [word]
    with pytest.raises(Reject, match=r"contains \$\(WANDB_API_KEY\)"):
        container(put(run_spec(**values), (*CONTAINER, place), given_value))


def test_a_template_variable_cannot_make_a_reference() -> None:
    """A publisher chooses its value."""
    for text, value in (("--x={{x}}", "$(HF_TOKEN)"), ("{{x}}", "$(HF_TOKEN)"), ("${{x}}", "(HF_TOKEN)")):
        with pytest.raises(Reject, match=r"contains \$\(HF_TOKEN\)"):
            filled([text], {"x": value})
    assert filled(["$(HF_TOKEN) {{x}}"], {"x": "1"}) == ["$(HF_TOKEN) 1"]


def test_the_key_is_the_last_variable_and_a_name_the_first() -> None:
    """A variable can refer to earlier ones only: also one of the queue that has the key's name."""
    env = [{"name": "WANDB_API_KEY", "value": "x"}, {"name": "HF_TOKEN", "value": TOKEN}, {"name": "A", "value": "b"}]
    names = list(container(put(run_spec(name=EVIL), (*CONTAINER, "env"), env))[0])
    assert (names[0], names[-1]) == ("WANDB_NAME", "WANDB_API_KEY")
    assert max(names.index(name) for name in names if name.startswith("WANDB_") and name != names[-1]) < names.index(
        "HF_TOKEN"
    )


TEXTS = st.text("$()'\"\\uAPI_KEYWNDB04x ü", max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_any_configuration_survives_both_readings(value: Any) -> None:
    """It equals itself, and contains no secret that was not in it."""
    env, words = container(run_spec(overrides={"run_config": {"v": value}}))
    for values, _ in both_readings({**env, "HF_TOKEN": TOKEN}, words):
        assert json.loads(values["WANDB_CONFIG"]) == {"v": value}
