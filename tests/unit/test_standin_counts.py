"""What benchmarks read from the stand-ins: Vertex AI's quota of creates, and classes of operations in Cloud Storage."""

import pytest

from deploy.local.servers.gcs.limits import operation_class
from deploy.local.servers.vertex import quota as quotas
from deploy.local.servers.vertex.behaviour import Behaviour
from deploy.local.servers.vertex.errors import ApiError
from deploy.local.servers.vertex.quota import CreateQuota
from shared.core.errors import Capacity
from shared.core.refusals import classify

HERE, THERE = "projects/p/locations/us-central1", "projects/p/locations/europe-west4"
OBJECT = "/storage/v1/b/ledger/o/open%2Fk1"


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def monotonic(self) -> float:
        """Return its time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the clock of quotas."""
    clock = Clock()
    monkeypatch.setattr(quotas, "time", clock)
    return clock


def test_a_minute_has_its_creates_and_no_more(clock: Clock) -> None:
    """The window slides, a refused create does not count, and each region has its own."""
    quota = CreateQuota(Behaviour(creates_a_minute=2))
    for clock.now in (0, 30):
        quota.take(HERE)
    for clock.now in (31, 59.9):
        with pytest.raises(ApiError):
            quota.take(HERE)
    quota.take(THERE)
    clock.now = 60
    quota.take(HERE)
    with pytest.raises(ApiError):
        quota.take(HERE)
    clock.now = 90
    quota.take(HERE)


def test_without_a_quota_every_create_passes(clock: Clock) -> None:
    """As before there was one."""
    quota = CreateQuota(Behaviour())
    for _ in range(1000):
        quota.take(HERE)


def test_the_refusal_names_the_quota(clock: Clock) -> None:
    """Submit learns its pace from this number."""
    quota = CreateQuota(Behaviour(creates_a_minute=7))
    for _ in range(7):
        quota.take(HERE)
    with pytest.raises(ApiError) as refused:
        quota.take(HERE)
    body = refused.value.body()["error"]
    meaning = classify(body["message"], body["code"], body["status"], body["details"])
    assert isinstance(meaning, Capacity)
    assert meaning.limit == 7


@pytest.mark.parametrize(
    ("method", "path", "wanted"),
    [
        ("GET", OBJECT, "B"),
        ("HEAD", OBJECT, "B"),
        ("GET", "/download" + OBJECT, "B"),
        ("GET", "/storage/v1/b/ledger", "B"),
        ("GET", "/storage/v1/b/ledger/o", "A"),
        ("POST", "/upload/storage/v1/b/ledger/o", "A"),
        ("PATCH", OBJECT, "A"),
        ("DELETE", OBJECT, "free"),
    ],
)
def test_operations_have_the_classes_of_the_bill(method: str, path: str, wanted: str) -> None:
    """Listings and writes are of class A, reads of class B; deletions are free."""
    assert operation_class(method, path) == wanted
