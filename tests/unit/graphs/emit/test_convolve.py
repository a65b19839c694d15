from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats, integers

F32, I32, U32 = "float32", "int32", "uint32"

LAYOUTS = {
    1: ("NWC", "WIO", "NWC"),
    2: ("NHWC", "HWIO", "NHWC"),
    3: ("NDHWC", "DHWIO", "NDHWC"),
}


def case(
    name: str,
    rank: int,
    pad: Any,
    strides: Any,
    sizes: str,
    kernel: tuple[int, ...],
    groups: int = 1,
    dilation: Any = None,
    spread: Any = None,
    layout: Any = None,
    batches: int = 1,
) -> Case:
    def function(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(
            x, w, strides, pad, spread, dilation, layout or LAYOUTS[rank], groups, batches
        )

    return _case(name, function, sizes, kernel)


def transposed(
    name: str, pad: str, strides: tuple[int, ...], sizes: str, kernel: tuple[int, ...]
) -> Case:
    def function(x: Any, w: Any) -> Any:
        numbers = LAYOUTS[len(strides)]
        return lax.conv_transpose(
            x, w, strides, pad, dimension_numbers=numbers, transpose_kernel=True
        )

    return _case(name, function, sizes, kernel)


def _case(name: str, function: Any, sizes: str, kernel: tuple[int, ...]) -> Case:
    given = [{"b": 2, "t": 7, "u": 6}, {"b": 3, "t": 8, "u": 9}]
    shapes = [[known[s] if s in known else int(s) for s in sizes.split(", ")] for known in given]
    inputs = [[floats(*shape), floats(*kernel)] for shape in shapes]
    specs = [(sizes, F32), (", ".join(map(str, kernel)), F32)]
    return Case(name, function, specs, inputs, gradient=True)


CASES = [
    *(
        case(f"plain {pad} {strides}", 2, pad, strides, "b, t, u, 4", (3, 2, 4, 6))
        for pad in ("SAME", "VALID")
        for strides in ((1, 1), (2, 3))
    ),
    *(
        case(f"depthwise {pad} {strides}", 2, pad, strides, "b, t, u, 4", (3, 2, 1, 8), groups=4)
        for pad in ("SAME", "VALID")
        for strides in ((2, 2), (2, 3))
    ),
    case("groups", 2, "SAME", (2, 2), "b, t, u, 4", (3, 2, 2, 6), groups=2),
    case("dilated", 2, "SAME", (1, 1), "b, t, u, 4", (3, 2, 4, 6), dilation=(2, 1)),
    case(
        "depthwise dilated",
        2,
        "VALID",
        (1, 1),
        "b, t, u, 4",
        (3, 2, 1, 4),
        groups=4,
        dilation=(2, 1),
    ),
    case("explicit", 2, [(1, 2), (0, 3)], (2, 2), "b, t, u, 4", (3, 2, 4, 6)),
    case("cropped", 2, [(-1, 2), (0, -1)], (1, 1), "b, t, u, 4", (3, 2, 4, 6)),
    case(
        "channels first",
        2,
        "SAME",
        (2, 2),
        "b, 4, t, u",
        (6, 4, 3, 2),
        layout=("NCHW", "OIHW", "NCHW"),
    ),
    case("one dimension", 1, "SAME", (2,), "b, t, 4", (3, 4, 5)),
    case("causal", 1, [(4, 0)], (1,), "b, t, 4", (3, 4, 5), dilation=(2,)),
    case("one dimension depthwise", 1, "VALID", (2,), "b, t, 4", (3, 1, 4), groups=4),
    case("three dimensions", 3, "SAME", (2, 1, 1), "b, t, u, 5, 4", (3, 2, 2, 4, 5)),
    case(
        "three dimensions in groups",
        3,
        "VALID",
        (1, 1, 2),
        "b, t, u, 5, 4",
        (3, 2, 2, 2, 6),
        groups=2,
    ),
    case(
        "three dimensions dilated",
        3,
        "SAME",
        (1, 1, 1),
        "b, t, u, 5, 4",
        (3, 2, 2, 4, 2),
        dilation=(1, 2, 2),
    ),
    case(
        "all at once",
        2,
        [(1, 2), (0, 3)],
        (1, 2),
        "b, t, u, 4",
        (3, 2, 2, 6),
        groups=2,
        spread=(2, 1),
        dilation=(1, 2),
    ),
    case("groups of the batch", 2, "SAME", (1, 1), "4, t, u, 4", (3, 2, 4, 6), batches=2),
    *(
        transposed(f"transposed {pad} {strides}", pad, strides, "b, t, u, 4", (3, 3, 5, 4))
        for pad in ("SAME", "VALID")
        for strides in ((1, 1), (2, 2), (4, 2))
    ),
    *(
        transposed(f"transposed {rank} {pad}", pad, strides, sizes, kernel)
        for pad in ("SAME", "VALID")
        for rank, strides, sizes, kernel in (
            (1, (2,), "b, t, 4", (3, 5, 4)),
            (3, (2, 1, 2), "b, t, u, 3, 4", (3, 2, 2, 5, 4)),
        )
    ),
    Case(
        "integers",
        lambda x, k: lax.conv_general_dilated(
            x, k, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
        ),
        [("b, 5, 3", "int8"), ("2, 3, 4", "int8")],
        [[integers(-9, 9, 2, 5, 3).astype(np.int8), integers(-9, 9, 2, 3, 4).astype(np.int8)]],
    ),
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
