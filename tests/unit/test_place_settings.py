"""The settings of submit that name buckets: what is reserved, and what is derived."""

import json

import pytest

from shared.config.settings import SubmitSettings, load
from shared.core.errors import SettingsError
from shared.core.reserved import FIX, ReservedPlaces
from tests.unit.test_settings import ENOUGH

REGION = {"region": "europe-west4", "staging_bucket": "gs://team-eu"}
HOLDS = "a bucket that holds {} of this deployment"


def settings(monkeypatch: pytest.MonkeyPatch, **changes: str) -> SubmitSettings:
    """Return submit's settings with these variables; an empty one is not set."""
    for name, value in {**ENOUGH, **changes}.items():
        monkeypatch.setenv(name, value)
    return load(SubmitSettings)


def ladder(*buckets: str) -> str:
    """Return a ladder whose regions have these staging buckets."""
    return json.dumps({"regions": [{**REGION, "staging_bucket": bucket} for bucket in buckets]})


def test_each_bucket_of_the_deployment_is_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a store for contexts, only the folder of the builds."""
    found = settings(
        monkeypatch, SOURCES_BUCKET="sources", CONTEXTS_BUCKET="contexts", LAUNCH_BUILD_CONTEXT_STORE="gs://store/x/"
    )
    own = {
        "ledger": "the ledger", "sources": "the sources of builds", "contexts": "the contexts of image builds",
        "store/x/launch-builds": "the contexts of image builds",
    }  # fmt: skip
    assert found.reserved == ReservedPlaces("p", own)
    assert settings(monkeypatch, SOURCES_BUCKET="", CONTEXTS_BUCKET="", LAUNCH_BUILD_CONTEXT_STORE="").reserved == (
        ReservedPlaces("p", {"ledger": "the ledger"})
    )


@pytest.mark.parametrize(
    ("changes", "store", "owner"),
    [
        ({}, "gs://p-vertex-launch-contexts", "42"),
        ({"LAUNCH_AGENT_NAME": "prod", "GOOGLE_CLOUD_PROJECT": "a.com:p"}, "gs://a-com-p-prod-contexts", "42"),
        ({"CONTEXTS_BUCKET": "contexts"}, "gs://contexts", "42"),
        ({"CONTEXTS_BUCKET": "contexts", "LAUNCH_BUILD_CONTEXT_STORE": "gs://own/x"}, "gs://own/x", ""),
        ({"CONTEXTS_BUCKET": "contexts", "LAUNCH_BUILD_CONTEXT_STORE": "gs://contexts/x"}, "gs://contexts/x", ""),
    ],
)
def test_the_store_of_contexts(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], store: str, owner: str
) -> None:
    """The operator's, or the deployment's own, whose owner is compared."""
    found = settings(monkeypatch, GOOGLE_CLOUD_PROJECT_NUMBER="42", **changes)
    assert (found.context_store, found.context_owner) == (store, owner)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"SOURCES_BUCKET": "ledger"}, "SOURCES_BUCKET: is 'ledger', as LEDGER_BUCKET is. Write a bucket of its own"),
        ({"CONTEXTS_BUCKET": "ledger"}, "CONTEXTS_BUCKET: is 'ledger', as LEDGER_BUCKET is. Write a bucket of its own"),
        ({"SOURCES_BUCKET": "code", "CONTEXTS_BUCKET": "code"},
         "CONTEXTS_BUCKET: is 'code', as SOURCES_BUCKET is. Write a bucket of its own"),
        ({"LAUNCH_BUILD_CONTEXT_STORE": "gs://ledger/x"},
         "LAUNCH_BUILD_CONTEXT_STORE (or builder.build-context-store in launch-config.yaml): is 'gs://ledger/x', "
         f"{HOLDS.format('the ledger')}. Leave it out, or write a bucket for contexts"),
        ({"LAUNCH_BUILD_CONTEXT_STORE": "gs://sources", "SOURCES_BUCKET": "sources"},
         "LAUNCH_BUILD_CONTEXT_STORE (or builder.build-context-store in launch-config.yaml): is 'gs://sources', "
         f"{HOLDS.format('the sources of builds')}. Leave it out, or write a bucket for contexts"),
        ({"LAUNCH_LADDER": ladder("gs://team-eu", "gs://ledger/x")},
         "LAUNCH_LADDER (or ladder in launch-config.yaml): regions.1.staging_bucket is 'gs://ledger/x', "
         f"{HOLDS.format('the ledger')}. {FIX}"),
        ({"LAUNCH_LADDER": ladder("gs://p-other-ledger")},
         "LAUNCH_LADDER (or ladder in launch-config.yaml): regions.0.staging_bucket is 'gs://p-other-ledger', "
         f"a bucket that holds the ledger of the deployment other. {FIX}"),
        # a wrong setting is absent for the next ones
        ({"LEDGER_BUCKET": "No", "SOURCES_BUCKET": "", "LAUNCH_LADDER": ladder("gs://team-eu")}, "LEDGER_BUCKET: "),
        ({"GOOGLE_CLOUD_PROJECT": "", "LAUNCH_BUILD_CONTEXT_STORE": "gs://own/x", "LAUNCH_LADDER": ladder("gs://eu-1")},
         "GOOGLE_CLOUD_PROJECT (or environment.project in launch-config.yaml): is missing"),
        ({"SOURCES_BUCKET": "No", "CONTEXTS_BUCKET": "No", "LAUNCH_LADDER": ladder("gs://team-eu")},
         "SOURCES_BUCKET: "),
        ({"LAUNCH_BUILD_CONTEXT_STORE": "gs://ledger", "LAUNCH_LADDER": ladder("gs://team-eu")},
         "LAUNCH_BUILD_CONTEXT_STORE (or builder"),
    ],
    ids=range(11),
)  # fmt: skip
def test_a_place_of_the_deployment_is_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], problem: str
) -> None:
    """The problem names the setting, and no other setting has one."""
    with pytest.raises(SettingsError) as refused:
        settings(monkeypatch, **changes)
    problems = str(refused.value).split("; ")
    assert len(problems) == sum(value == "No" for value in changes.values()) or len(problems) == 1
    assert problems[0].startswith(problem)
