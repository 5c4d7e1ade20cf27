"""A long value is shortened in the middle; the sentence that says what to write is never cut."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.google import reason
from shared.adapters.wandb.answers import reason as reason_of_wandb
from shared.config.launch_config import read_launch_config
from shared.core.errors import Reject, SettingsError
from shared.core.intake import from_item
from shared.core.message import Queue
from shared.runspec.containers import MAX_POOLS
from shared.runspec.registries import FIX
from tests.unit.specs import POOL, put, rendered, run_spec

LONG = "x" * 5000
SPEC = ("resource_args", "gcp-vertex", "spec")


@pytest.mark.parametrize(
    ("path", "value", "fix"),
    [
        ((*SPEC, "worker_pool_specs", 0, "container_spec", "image_uri"), "r.azurecr.io/" + "a/" * 100 + "b", FIX),
        ((*SPEC, "worker_pool_specs", 0, "container_spec", "image_uri"), f"${{{LONG}}}", "that this deployment adds."),
        ((*SPEC, "worker_pool_specs", 0, "container_spec", "image_uri"), LONG, "with PATH in lower case."),
        ((*SPEC, "staging_bucket"), f"gs://{LONG}/", "Write gs://BUCKET or gs://BUCKET/FOLDER."),
        ((*SPEC, "base_output_dir"), LONG, "Write gs://BUCKET/FOLDER, or leave it out."),
        ((*SPEC, "display_name"), LONG, "the job then gets the run's name, shortened."),
        ((*SPEC, "labels", "team"), LONG, "writes the value of a macro in this form."),
        ((*SPEC, "labels", "team"), f"${{project_name:{LONG}}}", "or ${project_name:label}."),
        ((*SPEC, "location"), LONG, "."),
        ((*SPEC, LONG), 1, "."),
        ((*SPEC, "worker_pool_specs"), [POOL] * (MAX_POOLS + 1), "for the number of machines of a pool."),
        (("resource_args", "gcp-vertex", "run", "timeout"), LONG, 'Write 3600 or "3600s".'),
        (("resource_args", "gcp-vertex", LONG), {}, "Known: builder, run, spec."),
        (("job",), f"a/b/c/{LONG}", "Write entity/project/name:alias."),
    ],
)
def test_a_refusal_ends_with_its_fix(path: tuple[Any, ...], value: Any, fix: str) -> None:
    """However long the value is; the whole refusal stays short."""
    spec = run_spec(docker=None) if path == ("job",) else run_spec()
    with pytest.raises(Reject) as refused:
        rendered(put(spec, path, value)) if path != ("job",) else _resolved(put(spec, path, value))
    assert str(refused.value).endswith(fix)
    assert len(str(refused.value)) < 1500


def _resolved(spec: dict[str, Any]) -> None:
    from shared.runspec.model import RunSpec
    from shared.runspec.source import job_path

    job_path(RunSpec.parse(spec))


@pytest.mark.parametrize("field", ["entity", "project", "run_id"])
def test_an_item_that_cannot_be_kept_says_why_to_the_end(field: str) -> None:
    """Its reason is the report that its author reads."""
    spec = {"entity": "team", "project": "cats", field: LONG}
    launch = from_item("item", Queue(entity="team", name="vertex"), spec, datetime(2026, 1, 1, tzinfo=UTC))
    assert launch.reason.endswith("W&B's own names are shorter.")


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        (f"queues: {LONG}, b", "for one queue whose name has a comma"),
        (f"policy: {{images: ['{LONG}']}}", "write the registry first"),
        (f"requests: {{entities: ['{LONG}/']}}", "write only the name, without /"),
        (f"scheduler: {{image: '{LONG}'}}", "with PATH in lower case."),
    ],
)
def test_a_wrong_file_says_what_to_write(tmp_path: Path, line: str, fix: str) -> None:
    """At the end of its one line."""
    path = tmp_path / "launch-config.yaml"
    path.write_text(line)
    with pytest.raises(SettingsError) as refused:
        read_launch_config(path)
    assert str(refused.value).endswith(fix)
    assert len(str(refused.value)) < 1500


def test_the_end_of_a_message_of_google_or_wandb_stays() -> None:
    """It often says what to do; only its middle is left out."""
    message = f"The quota is used up. {LONG} Ask for more at https://example.com/quota"
    assert reason(ValueError(message)).endswith("Ask for more at https://example.com/quota")
    assert reason_of_wandb([{"message": f"{LONG * 3} check the queue"}]).endswith("check the queue")
