"""No launch that `prepare` accepts is outside its policy; `python -m tests.fuzz.policies` runs 40,000."""

from itertools import chain, islice

import pytest

from shared.config.policy import AdmissionPolicy
from tests.fuzz.policies import run, search
from tests.fuzz.policy_cases import cases
from tests.fuzz.policy_checker import start_the_sdk

SPECS = 300


def test_no_message_is_outside_its_policy() -> None:
    """The message of Google's SDK keeps every rule, in each place of the ladder."""
    counts, found = search(SPECS, seed=2)
    assert found == []
    assert min(counts["accepted"], counts["refused by a rule"]) > SPECS / 10
    assert counts["messages"] > counts["accepted"]  # some launches went up their ladder


@pytest.mark.slow
def test_the_search_finds_a_check_that_is_missing() -> None:
    """Without the product's check, the messages break every rule."""
    start_the_sdk()
    broken: set[str] = set()
    for case in chain.from_iterable(islice(cases(seed=seed), 1500) for seed in range(12)):
        broken |= run(case, admitted_by=AdmissionPolicy()).broken
        if broken == AdmissionPolicy.model_fields.keys():
            return
    assert broken == AdmissionPolicy.model_fields.keys()
