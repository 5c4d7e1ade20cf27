"""Jobs of peers arrive at Vertex AI as their authors mean them, and as the installed agent sends them."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.cloud import aiplatform
from google.protobuf.json_format import MessageToDict, ParseDict
from wandb.sdk.launch.errors import LaunchError

from shared.core.errors import Reject
from tests.contract.peer_jobs import PEERS, PeerJob, pool, sent
from tests.contract.sending import Sent, Vertex, differing, vertex
from tests.contract.test_same_request import listing, queue_item, without_ours


@pytest.fixture(scope="module")
def server() -> Iterator[Vertex]:
    """Serve one stand-in for all."""
    with vertex() as serving:
        yield serving


def item_of(peer: PeerJob) -> dict[str, Any]:
    """Return the item of a peer's job."""
    changes = {"overrides": peer.overrides} if peer.overrides else {}
    return queue_item(peer.configuration, author="ann", **changes)


def arrived(job_sent: Sent) -> dict[str, Any]:
    """Return a job_spec without our variables, and without what it has from the queue's bucket."""
    job, _ = without_ours(job_sent)
    spec: dict[str, Any] = job["job_spec"]
    spec.pop("base_output_directory")
    for each in spec["worker_pool_specs"]:
        if not each["container_spec"]["env"]:
            del each["container_spec"]["env"]
    return spec


@pytest.mark.parametrize("name", PEERS)
def test_the_job_arrives_as_it_is_meant(server: Vertex, name: str) -> None:
    """The whole job_spec, as Vertex AI's own message has it."""
    message = aiplatform.gapic.CustomJobSpec.pb(aiplatform.gapic.CustomJobSpec())
    meant = ParseDict({"worker_pool_specs": [sent()], **PEERS[name].job}, message)
    expected = MessageToDict(meant, preserving_proto_field_name=True)
    assert arrived(server.ours(item_of(PEERS[name]))) == expected


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if peer.agent])
def test_the_agent_sends_the_same_but_for_what_is_listed(server: Vertex, name: str) -> None:
    """Each difference stands on the page."""
    item = item_of(PEERS[name])
    unlisted = [path for path in differing(server.ours(item), server.agents(item)) if not listing(path)]
    assert unlisted == []


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if not peer.agent])
def test_what_the_agent_cannot_send_is_accepted_here(server: Vertex, name: str) -> None:
    """The installed SDK raises on the agent's way."""
    item = item_of(PEERS[name])
    assert server.ours(item)
    with pytest.raises((LaunchError, TypeError, ValueError)):
        server.agents(item)


REFUSED_BY_BOTH: dict[str, dict[str, Any]] = {
    "no pools": {"spec": {"staging_bucket": "gs://b", "worker_pool_specs": []}},
    "pools beside spec": {"worker_pool_specs": [pool()]},
    "no bucket": {"spec": {"worker_pool_specs": [pool()]}},
    "a pool without a container": {
        "spec": {"staging_bucket": "gs://b", "worker_pool_specs": [{"replica_count": 1}, pool()]}
    },
    "a bucket with a typing error": {"spec": {"stage_bucket": "gs://b", "worker_pool_specs": [pool()]}},
}


@pytest.mark.parametrize("name", REFUSED_BY_BOTH)
def test_what_the_agent_refuses_is_refused(server: Vertex, name: str) -> None:
    """Before anything is sent."""
    item = queue_item(REFUSED_BY_BOTH[name])
    with pytest.raises(Reject):
        server.ours(item)
    with pytest.raises(LaunchError, match="Vertex requires"):
        server.agents(item)
