"""A sample of `python -m tests.fuzz`: the same cases each time, told by their numbers."""

from __future__ import annotations

import random

from tests.fuzz.campaign import Campaign
from tests.fuzz.corpus import seeds
from tests.fuzz.mutations import mutated

#: Cases that once found something, and some more.
FOUND = (1028, 16552)
SAMPLE = 150


def test_changed_files_end_in_a_model_or_an_error_of_hozons() -> None:
    campaign = Campaign()
    campaign.run([*FOUND, *range(SAMPLE)])
    assert campaign.findings == []
    assert campaign.outcomes["FormatError"] > SAMPLE // 10
    assert campaign.outcomes["taken"] > SAMPLE // 10


def test_every_seed_is_changed_alike_by_the_same_number() -> None:
    for files in seeds().values():
        for data in files.values():
            changed = [mutated(random.Random(n), data) for n in range(5)]
            assert changed == [mutated(random.Random(n), data) for n in range(5)]
            assert any(each != data for each in changed)
