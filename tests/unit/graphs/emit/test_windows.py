from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats, integers

F32, I32, U32 = "float32", "int32", "uint32"

KINDS = (
    ("max", -np.inf, lax.max),
    ("sum", 0.0, lax.add),
    ("min", np.inf, lax.min),
)


def case(
    name: str,
    start: Any,
    combine: Any,
    pad: Any,
    sizes: str,
    window: Any,
    strides: Any,
    dilation: Any = None,
    dtype: str = F32,
) -> Case:
    def function(x: Any) -> Any:
        return lax.reduce_window(x, start, combine, window, strides, pad, window_dilation=dilation)

    given = [{"b": 2, "t": 7, "u": 6}, {"b": 3, "t": 8, "u": 9}]
    shapes = [[known[s] if s in known else int(s) for s in sizes.split(", ")] for known in given]
    inputs = [[floats(*s) if dtype == F32 else integers(-9, 9, *s)] for s in shapes]
    gradient = dtype == F32 and dilation is None and combine is not lax.min
    return Case(name, function, [(sizes, dtype)], inputs, gradient)


CASES = [
    *(
        case(f"{name} {pad} {sizes}", start, combine, pad, sizes, *window)
        for pad in ("SAME", "VALID")
        for name, start, combine in KINDS
        for sizes, *window in (
            ("b, t, u, 3", (1, 2, 3, 1), (1, 2, 2, 1)),
            ("b, 3, t, u", (1, 1, 2, 3), (1, 1, 2, 2)),
            ("b, t, 3", (1, 2, 1), (1, 2, 1)),
            ("b, t, u, 4, 3", (1, 2, 2, 2, 1), (1, 2, 1, 2, 1)),
        )
    ),
    *(
        case(
            f"integers {name}",
            start,
            combine,
            "SAME",
            "b, t, u, 3",
            (1, 2, 3, 1),
            (1, 2, 2, 1),
            dtype=I32,
        )
        for name, start, combine in (
            ("max", np.int32(-(2**31)), lax.max),
            ("sum", np.int32(0), lax.add),
        )
    ),
    case(
        "dilated",
        -np.inf,
        lax.max,
        "VALID",
        "b, t, u, 3",
        (1, 2, 3, 1),
        (1, 2, 2, 1),
        dilation=(1, 2, 1, 1),
    ),
    case("all dimensions", -np.inf, lax.max, "SAME", "b, t", (2, 2), (1, 1)),
    case("explicit", -np.inf, lax.max, ((0, 0), (1, 2), (0, 0)), "b, t, 3", (1, 4, 1), (1, 2, 1)),
]


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return ask(oracle, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tensorflow_computes_what_jax_computes(case: Case, answers: dict[str, Any]) -> None:
    check(case, answers[case.name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hozon_runs_it_alike(case: Case) -> None:
    check_own(case)
