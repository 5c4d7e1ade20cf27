"""The three entrances of untrusted bytes, each with its promise, for Hypothesis and for atheris.

A target returns whether its input was accepted; every exception is a finding.
"""

import json
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from shared.config.launch_config import AdmissionPolicy, LaunchConfig, read_launch_config
from shared.core.errors import NotAMessage, Reject, SettingsError
from shared.core.intake import from_item, from_request
from shared.core.launch import Launch
from shared.core.message import Queue, Request, decode, encode
from shared.core.ports import CustomJobCall
from shared.runspec.model import Draft
from shared.runspec.policy import admit
from shared.runspec.render import ArgumentNames, render
from tests.unit.specs import SITE

LONGEST = 10_000  # characters of a refusal
NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = Queue(entity="team", name="vertex")
POLICY = AdmissionPolicy(
    service_accounts=("trainer@p.iam.gserviceaccount.com",),
    images=("us-docker.pkg.dev/p",),
    machine_types=("n1-standard-4",),
    accelerator_types=(),
    max_replicas=2,
    projects=("gcp-project",),
    regions=("us-central1",),
)
_RECORD = TypeAdapter(Launch)


def decoder(content: bytes) -> bool:
    """A message is a ticket, a request or refused briefly; a request survives its ledger record."""
    try:
        message = decode(content)
    except NotAMessage as refusal:
        return refused(refusal)
    again = decode(encode(message))
    if isinstance(message, Request):
        launch = from_request(message, NOW)
        written_down(launch)
        assert isinstance(again, Request)
        assert from_request(again, NOW) == launch  # a second decode gives the same launch, or the same refusal
    else:
        assert again == message
    return True


def renderer(run_spec: dict[str, Any]) -> bool:
    """A run spec becomes the arguments of a CustomJob or is refused briefly, also by a policy."""
    launch = from_item("item", QUEUE, run_spec, NOW)
    written_down(launch)
    before = json.dumps(launch.run_spec)
    try:
        call = render(Draft.of(launch), SITE, names())
    except Reject as refusal:
        return refused(refusal)
    finally:
        assert json.dumps(launch.run_spec) == before
    assert isinstance(call, CustomJobCall)
    json.dumps([call.constructor, call.submit, call.warnings], allow_nan=False)
    try:
        admit(call, launch.entry.run, POLICY)
    except Reject as refusal:
        refused(refusal)
    return True


def launch_config(content: bytes) -> bool:
    """A file is a launch-config, or refused briefly."""
    with tempfile.NamedTemporaryFile(suffix=".yaml") as file:
        path = Path(file.name)
        path.write_bytes(content)
        try:
            assert isinstance(read_launch_config(path), LaunchConfig)
        except SettingsError as refusal:
            return refused(refusal)
    return True


def refused(refusal: Exception) -> bool:
    """Check that a refusal is readable."""
    assert 0 < len(str(refusal)) <= LONGEST
    return False


def written_down(launch: Launch) -> None:
    """Check that the ledger's record of a launch survives a round trip."""
    assert _RECORD.validate_json(_RECORD.dump_json(launch)) == launch


@cache
def names() -> ArgumentNames:
    """Return the arguments of the installed SDK, whose import takes seconds."""
    from shared.adapters.vertex.submit import argument_names

    return ArgumentNames(**argument_names())
