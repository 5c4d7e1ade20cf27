"""What `vertex-launch publish` accepts as a request, and what it refuses as submit does."""

import io
import json

import pytest

from deploy.operate.request_file import SOURCE, Given, read_request
from shared.core.errors import NotAMessage
from shared.core.message import MAX_BYTES, Queue, Request

SPEC = {"entity": "team", "project": "cats", "docker": {"docker_image": "x"}}
WHOLE = {"source": "ci", "idempotency_key": "1", "run_spec": SPEC}


NOTHING = Given()


def read(content: str, given: Given = NOTHING) -> Request:
    """Read a request."""
    return read_request(io.BytesIO(content.encode()), "train.yaml", given)


def test_a_run_spec_becomes_a_request() -> None:
    """Its key is a hash of its content: the same content is the same launch, in JSON or YAML."""
    of_json, of_yaml = read(json.dumps(SPEC)), read("project: cats\ndocker: {docker_image: x}\nentity: team\n")
    assert of_json == of_yaml
    assert (of_json.source, of_json.run_spec, of_json.queue) == (SOURCE, SPEC, None)
    other = read(json.dumps({**SPEC, "name": "two"}))
    assert (len(of_json.idempotency_key), other.idempotency_key != of_json.idempotency_key) == (32, True)
    named = read(json.dumps(SPEC), Given("ci", "1", "team/a queue"))
    assert (named.source, named.idempotency_key, named.queue) == ("ci", "1", Queue(entity="team", name="a queue"))


def test_a_whole_request_stays_as_it_is() -> None:
    """The same value on the command line changes nothing."""
    assert read(json.dumps(WHOLE)) == read(json.dumps(WHOLE), Given("ci", "1")) == Request(**WHOLE)


@pytest.mark.parametrize(
    ("content", "given", "words"),
    [
        ("", NOTHING, "write one object in JSON or YAML"),
        ("- a\n", NOTHING, "write one object in JSON or YAML"),
        ("a: 1\n---\na: 2\n", NOTHING, "write one object in JSON or YAML"),
        ("{}", NOTHING, "write one object in JSON or YAML"),
        ("a: 1\na: 2\n", NOTHING, "appears twice"),
        ('{"a": 1, "a": 2}', NOTHING, "twice"),
        ("{not: json}", NOTHING, "train.yaml"),
        ("a: [1\n", NOTHING, "cannot be read as YAML"),
        ("since: 2026-01-01\n", NOTHING, "train.yaml.since: is of type date"),
        ("a: .nan\n", NOTHING, "is NaN"),
        ('{"run_spec": {}, "sourcee": "x"}', NOTHING, "Did you mean source?"),
        ('{"run_spec": {}, "docker": {}}', NOTHING, "docker belongs under run_spec"),
        ('{"run_spec": {}, "source": "x"}', Given(source="y"), "the file and --source differ"),
        ('{"run_spec": {}, "idempotency_key": "x"}', Given(key="y"), "the file and --key differ"),
        ('{"run_spec": {}, "kind": "ticket", "launch_key": "k"}', NOTHING, "launch_key"),
        ('{"run_spec": [], "source": "x"}', NOTHING, "run_spec"),
        (json.dumps({"entity": "e" * 300}), NOTHING, "the limit is 256"),
        (json.dumps(SPEC), Given(queue="vertex"), "queue"),
        (json.dumps(SPEC), Given(key="k" * 257), "idempotency_key"),
        (json.dumps({"a": "x" * MAX_BYTES}), NOTHING, "the limit is 1,000,000"),
    ],
)  # fmt: skip
def test_what_is_refused(content: str, given: Given, words: str) -> None:
    """With the field and what to write; never with the value of a run spec."""
    with pytest.raises(NotAMessage) as found:
        read(content, given)
    assert words in str(found.value)


def test_a_refusal_shows_no_key() -> None:
    """The run spec can contain one."""
    with pytest.raises(NotAMessage) as found:
        read(json.dumps({**WHOLE, "run_spec": {"_wandb_api_key": "s3cret"}, "more": "s3cret"}))
    assert "s3cret" not in str(found.value)
