"""Values that Vertex AI documents as invalid: submit's door and `plan` refuse them alike, and nothing is sent."""

import os

import pytest
import yaml
from click.testing import CliRunner

from deploy.operate.plan import plan
from shared.adapters.gcs import GcsLedger
from shared.core.launch import Outcome, State
from shared.core.message import Request, encode
from tests.entrypoints.conftest import Outside
from tests.entrypoints.test_functions import eventarc
from tests.unit.field_values import REFUSED, SENT, configured
from tests.unit.specs import run_spec


@pytest.fixture
def deployed(outside: Outside) -> Outside:
    """Return the services with a queue for each refused row, its configuration with the row's values."""
    for number, (changes, _) in enumerate(REFUSED.values()):
        config = {"resource_args": {"gcp-vertex": configured(*changes)}}
        outside.wandb.make_queue("team", f"q{number}", config=config, resource="gcp-vertex")
    return outside


def test_submit_and_plan_refuse_alike(deployed: Outside) -> None:
    """With the same words, at the same path; Vertex AI is never asked."""
    submit, ledger = deployed.client("submit"), GcsLedger(os.environ["LEDGER_BUCKET"])
    fields = []
    for name, (changes, words) in REFUSED.items():
        request = Request(source="ci", idempotency_key=name, run_spec=run_spec(configured(*changes)))
        assert submit.post(**eventarc(encode(request))).status_code == 200
        launch = ledger.read(request.launch_key)
        assert launch
        assert (launch.entry.outcome, words in launch.reason) == (Outcome.REJECTED, True), launch.reason
        fields.append(launch.reason.partition(": ")[0])
    assert deployed.vertex.jobs() == []
    queues = [option for number in range(len(REFUSED)) for option in ("--queue", f"q{number}")]
    done = CliRunner().invoke(plan, queues, catch_exceptions=False)
    planned = list(yaml.safe_load_all(done.stdout))
    assert {each["outcome"] for each in planned} == {"would be refused"}
    assert [each["field"] for each in planned] == fields
    rows = zip(planned, REFUSED.values(), strict=True)
    assert [each["reason"] for each, (_, words) in rows if words not in each["reason"]] == []


def test_valid_values_become_jobs(outside: Outside) -> None:
    """The stand-in of Vertex AI, which has rules of its own, accepts each of them."""
    submit, ledger = outside.client("submit"), GcsLedger(os.environ["LEDGER_BUCKET"])
    cats = "projects/p/locations/us-central1/metadataStores/default/contexts/cats"
    outside.vertex.contexts[cats] = "system.Experiment"
    for name, (changes, _) in SENT.items():
        request = Request(source="ci", idempotency_key=name, run_spec=run_spec(configured(*changes)))
        assert submit.post(**eventarc(encode(request))).status_code == 200
        launch = ledger.read(request.launch_key)
        assert launch
        assert (name, launch.entry.state, launch.reason) == (name, State.SUBMITTED, "")
    assert len(outside.vertex.jobs()) == len(SENT)
