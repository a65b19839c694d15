"""Models that a seed draws come back as they were, within a budget of time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.campaign import Campaign, axes
from tests.differential.judge import judge
from tests.differential.known import KNOWN, Known
from tests.differential.processes import PYTHONS, Pool

CASES = json.loads(Path(__file__).with_name("cases.json").read_text())
#: These draws were looked at; `make differential` goes on.
DRAWS = 40
BUDGET = float(os.environ.get("HOZON_DIFFERENTIAL_SECONDS", "120"))


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    if not PYTHONS["tf_keras"].exists():
        pytest.skip("the oracle's environment is missing: run `make test`")
    running = Pool()
    yield running
    running.close()


@pytest.mark.oracle
@pytest.mark.parametrize("name", CASES)
def test_mended_kinds(pool: Pool, name: str) -> None:
    assert judge(pool.one(CASES[name])) == []


@pytest.mark.oracle
@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_known_kinds_are_not_stale(pool: Pool, known: Known) -> None:
    found = judge(pool.one(known.spec))
    assert any(known.covers(finding, axes(known.spec)) for finding in found), (
        f"{known.name} is right now: take it out of known.py and put its spec into cases.json"
    )


@pytest.mark.oracle
def test_draws_of_a_seed(pool: Pool) -> None:
    campaign = Campaign(seed=0, quiet=True)
    campaign.run(pool, 0, DRAWS, BUDGET)
    valid = sum(campaign.counts.values()) - campaign.counts["invalid"]
    assert valid, "no draw was valid"
    assert campaign.unknown() == []
