"""Every op type of TensorFlow 2.21 is run, or a gap with a reason; and every one run is tested."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from hozon.graphs.frames.cut import CONTROL_FLOW
from hozon.graphs.opdefs import op_names
from hozon.graphs.ops import OPS

HERE = Path(__file__).parent
TESTS = HERE.parent
GRAPH_TESTS = TESTS / "unit" / "graphs"
HANDLED = frozenset(OPS) | CONTROL_FLOW


def read(name: str) -> Mapping[str, Any]:
    with (HERE / name).open("rb") as file:
        return tomllib.load(file)


GAPS = [(pattern, gap["reason"]) for gap in read("gaps.toml")["gap"] for pattern in gap["ops"]]
TESTED = read("tested.toml")


def matching(patterns: Iterable[str], names: Iterable[str]) -> dict[str, list[str]]:
    """The names that each pattern stands for."""
    known = sorted(names)
    return {p: [n for n in known if fnmatchcase(n, p)] for p in patterns}


@cache
def named_in(folder: Path) -> frozenset[str]:
    """Every word of the tests in a folder."""
    texts = (path.read_text() for path in folder.rglob("*.py"))
    return frozenset(word for text in texts for word in re.findall(r"\w+", text))


def test_every_op_is_run_or_a_gap() -> None:
    gaps = matching((pattern for pattern, _ in GAPS), set(op_names()) - HANDLED)
    listed = {name for names in gaps.values() for name in names}
    assert set(op_names()) - HANDLED - listed == set()


def test_no_gap_is_stale() -> None:
    """A pattern that stands for nothing any more, or for an op that is run by now."""
    missing = matching((pattern for pattern, _ in GAPS), set(op_names()) - HANDLED)
    assert [pattern for pattern, names in missing.items() if not names] == []
    run = matching((pattern for pattern, _ in GAPS), HANDLED)
    assert {pattern: names for pattern, names in run.items() if names} == {}


def test_every_gap_has_one_reason() -> None:
    patterns = [pattern for pattern, _ in GAPS]
    assert len(patterns) == len(set(patterns))
    assert all(reason.endswith(".") for _, reason in GAPS)


def test_every_op_that_real_signatures_reach_is_run(shared: Path) -> None:
    rows = [line.split("\t") for line in (shared / "wild" / "ops.txt").read_text().splitlines()]
    reached = {row[0] for row in rows if not row[0].startswith("#") and int(row[1]) > 0}
    assert reached - HANDLED == set(TESTED["not_run"])


def test_every_op_run_is_tested() -> None:
    unnamed = set(OPS) - named_in(GRAPH_TESTS)
    patterns = [*TESTED["recorded"], *TESTED["untested"]]
    patterns += [pattern for ops in TESTED["through"].values() for pattern in ops]
    told = matching(patterns, unnamed)
    assert unnamed - {name for names in told.values() for name in names} == set()
    assert [pattern for pattern, names in told.items() if not names] == []


def test_what_tests_others_exists() -> None:
    assert [path for path in TESTED["through"] if not (TESTS / path).is_file()] == []
