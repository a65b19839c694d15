"""Joining, splitting, slicing, padding and blocks against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hozon.graphs.ir import Node
from hozon.graphs.ops import OPS
from hozon.graphs.table import NodeView
from tests.unit.graphs.ops.harness import Case, answers, check, ids

RNG = np.random.default_rng(2)
WORDS = np.array([[b"a", b"bb", b""], [b"c", b"\xff\x00", b"e"]], object)


def normal(*shape: int, dtype: str = "float32") -> Any:
    """Random numbers."""
    return (RNG.normal(size=shape) * 5).astype(dtype)


def i4(*values: Any) -> Any:
    return np.asarray(values, np.int32)


def i8(*values: Any) -> Any:
    return np.asarray(values, np.int64)


def joined() -> Iterator[Case]:
    parts = [normal(2, 3), normal(2, 3), normal(2, 3)]
    for axis in (0, 1, 2, -1):
        yield Case("Pack", [parts], {"axis": axis}, gradient=axis == 1)
    yield Case("Pack", [[np.int32(1), np.int32(2)]])
    yield Case("Pack", [[WORDS, WORDS]], {"axis": 1})
    yield Case("Pack", [[np.array(b"x", object), np.array(b"y", object)]])
    for axis in (0, 1, -1):
        yield Case("Unpack", [normal(2, 3)], {"axis": axis, "num": 2 if axis == 0 else 3})
    yield Case("Unpack", [i8(1, 2)], {"num": 2})
    yield Case("Unpack", [WORDS], {"num": 2})
    yield Case("Unpack", [WORDS[0]], {"num": 3})
    other = [normal(2, 3), normal(2, 1), normal(2, 0)]
    yield Case("ConcatV2", [other, np.int32(1)], traced=[0, 1], gradient=True)
    yield Case("ConcatV2", [other, np.int64(-1)], traced=[0])
    yield Case("ConcatV2", [[WORDS, WORDS[:1]], np.int32(0)], traced=())
    yield Case("Concat", [np.int32(1), other], traced=[1, 3])
    yield Case("ConcatOffset", [np.int32(1), [i4(2, 3), i4(2, 1), i4(2, 4)]], traced=())
    yield Case("ParallelConcat", [[normal(1, 3), normal(1, 3)]], {"shape": [2, 3]})


def parted() -> Iterator[Case]:
    for axis in (0, 1, -1):
        yield Case("Split", [np.int32(axis), normal(4, 6)], {"num_split": 2}, traced=[1])
    yield Case("Split", [np.int32(0), normal(4, 6)], {"num_split": 1}, traced=[1])
    yield Case("Split", [np.int32(1), WORDS], {"num_split": 3}, traced=())
    yield Case("Split", [np.int32(0), normal(4)], {"num_split": 3}, fails=True, known_shapes=False)
    for sizes in (i4(1, 4, 1), i8(2, -1, 0)):
        yield Case("SplitV", [normal(3, 6), sizes, np.int32(1)], {"num_split": 3}, traced=[0])
    wrong = [normal(3, 6), i4(1, 2), np.int32(1)]
    yield Case("SplitV", wrong, {"num_split": 2}, fails=True, known_shapes=False)


def sliced() -> Iterator[Case]:
    x = normal(3, 4, 5)
    for begin, size in ((i4(0, 1, 2), i4(2, -1, 3)), (i8(1, 0, 0), i8(0, 4, -1))):
        yield Case("Slice", [x, begin, size], traced=[0])
    yield Case("Slice", [x, i4(1, 2, 0), i4(2, 2, 5)], traced=[0, 1], gradient=True)
    yield Case("Slice", [WORDS, i4(0, 1), i4(1, 2)], traced=())
    yield Case("Slice", [x, i4(2, 0, 0), i4(2, 4, 5)], fails=True, known_shapes=False)


def strided(first: Any, last: Any, step: Any, **masks: int) -> tuple[list[Any], dict[str, int]]:
    return [i4(*first), i4(*last), i4(*step)], {f"{k}_mask": v for k, v in masks.items()}


#: Specifications for a tensor of shape (3, 4, 5).
STRIDED = [
    strided([1], [3], [1]),
    strided([-1], [-4], [-1]),
    strided([0, 1], [3, -1], [2, 1]),
    strided([9, 9], [9, -9], [-1, -2]),
    strided([1, 1], [1, 1], [1, 1], begin=3, end=3),
    strided([2, 0], [0, 0], [-1, 1], end=3),
    strided([1], [2], [1], shrink_axis=1),
    strided([-1, 2], [0, 3], [1, 1], shrink_axis=3),
    strided([0, 1], [0, 2], [1, 1], ellipsis=1, shrink_axis=2),
    strided([0, 0, 1], [0, 0, 4], [1, 1, 2], ellipsis=2, begin=1, end=1),
    strided([0, 0, 0], [0, 0, 2], [1, 1, 1], new_axis=3),
    strided([0, 0, 0, 1], [0, 0, 0, 2], [1, 1, 1, 1], new_axis=5, ellipsis=2, shrink_axis=8),
    strided([1, 1, 1], [2, 2, 2], [1, 1, 1], shrink_axis=7),
    strided([0, 1, 0], [0, 2, 0], [1, 1, 1], begin=5, end=5, shrink_axis=2),
    strided([2, 0], [1, 4], [1, 1]),
    strided([0, 1], [0, 2], [1, 1], new_axis=1, shrink_axis=1),
]


def strides() -> Iterator[Case]:
    x = normal(3, 4, 5)
    for position, (bounds, masks) in enumerate(STRIDED):
        note = f"spec{position}"
        yield Case("StridedSlice", [x, *bounds], masks, traced=[0], note=note)
        y = _reference(x, bounds, masks)
        shape = i4(*x.shape)
        yield Case("StridedSliceGrad", [shape, *bounds, y], masks, traced=[4], note=note)
        update = [x, *bounds, y]
        yield Case("TensorStridedSliceUpdate", update, masks, traced=[0, 4], note=note)
    for spec in (6, 7, 8, 12, 13):
        bounds, masks = STRIDED[spec]
        yield Case("StridedSlice", [x, *bounds], masks, traced=[0, 1, 2], note=f"at{spec}")
    bounds, masks = STRIDED[13]
    yield Case("StridedSlice", [x, *bounds], masks, traced=[0], gradient=True, note="grad")
    yield Case("StridedSlice", [WORDS, i4(1), i4(2), i4(1)], {"shrink_axis_mask": 1}, traced=())
    bounds = [i4(1, 0), i4(2, 1), i4(1, 1)]
    yield Case("StridedSlice", [WORDS, *bounds], {"shrink_axis_mask": 3}, traced=())
    yield Case("StridedSlice", [i4(4, 5), i8(0), i8(1), i8(1)], {"shrink_axis_mask": 1}, traced=[0])
    wrong = [x, i4(3), i4(4), i4(1)]
    yield Case("StridedSlice", wrong, {"shrink_axis_mask": 1}, fails=True, known_shapes=False)


def _reference(x: Any, bounds: list[Any], masks: dict[str, int]) -> Any:
    """Numbers of the shape of the slice, found by slicing the slow way."""
    begin, end, step = bounds
    index: list[Any] = []
    for i in range(len(begin)):
        on = {name.removesuffix("_mask") for name, mask in masks.items() if mask >> i & 1}
        if "ellipsis" in on:
            index.append(...)
        elif "new_axis" in on:
            index.append(None)
        elif "shrink_axis" in on:
            index.append(int(begin[i]))
        else:
            index.append(
                slice(
                    None if "begin" in on else int(begin[i]),
                    None if "end" in on else int(end[i]),
                    int(step[i]),
                )
            )
    return normal(*x[tuple(index)].shape)


def padded() -> Iterator[Case]:
    pads = i4([1, 0], [0, 2])
    yield Case("Pad", [normal(2, 3), pads], traced=[0], gradient=True)
    yield Case("Pad", [normal(0, 3), pads.astype(np.int64)], traced=[0])
    yield Case("Pad", [np.float32(3), np.zeros((0, 2), np.int32)], traced=[0])
    yield Case("PadV2", [normal(2, 3, dtype="int64"), pads, np.int64(7)], traced=[0, 2])
    yield Case("PadV2", [normal(2, 3), pads, np.float32(-1)], traced=[0])
    yield Case("Pad", [normal(2, 3), i4([-1, 0], [0, 2])], fails=True, known_shapes=False)
    for mode, widths in (("REFLECT", i4([1, 1], [0, 2])), ("SYMMETRIC", i4([2, 1], [3, 0]))):
        yield Case("MirrorPad", [normal(2, 3), widths], {"mode": mode}, traced=[0], gradient=True)
        yield Case("MirrorPadGrad", [normal(5, 6), widths], {"mode": mode}, traced=[0])
    wrong = [normal(2, 3), i4([2, 0], [0, 0])]
    yield Case("MirrorPad", wrong, {"mode": "REFLECT"}, fails=True, known_shapes=False)


def turned() -> Iterator[Case]:
    yield Case("ReverseV2", [normal(2, 3, 4), i4(0, -1)], traced=[0], gradient=True)
    yield Case("ReverseV2", [WORDS, i8(1)], traced=())
    yield Case("ReverseV2", [normal(2), np.zeros(0, np.int32)], traced=[0])
    yield Case("Reverse", [normal(2, 3), np.array([True, False])], traced=[0])
    for lengths in (i4(2, 0, 4), i8(4, 1, 3)):
        attrs = {"seq_dim": 1, "batch_dim": 0}
        yield Case("ReverseSequence", [normal(3, 4, 2), lengths], attrs, gradient=True)
        attrs = {"seq_dim": 0, "batch_dim": 1}
        yield Case("ReverseSequence", [normal(4, 3), lengths], attrs)
    wrong = [normal(3, 4), i4(1, 2, 5)]
    yield Case("ReverseSequence", wrong, {"seq_dim": 1}, fails=True)
    yield Case("Roll", [normal(3, 4), np.int32(2), np.int32(1)], traced=[0, 1], gradient=True)
    yield Case("Roll", [normal(3, 4), i8(-1, 2, 3), i4(0, 1, 1)], traced=[0])
    for axis in (-1, 0, 1):
        inputs = [i4([0, 2], [-1, 5]), np.int32(3), np.float32(5), np.float32(-1)]
        yield Case("OneHot", inputs, {"axis": axis}, traced=[0, 2, 3])
    yield Case("OneHot", [np.int64(1), np.int32(3), np.bool_(True), np.bool_(False)], traced=[0])
    yield Case("OneHot", [np.uint8(1), np.int32(3), np.int64(4), np.int64(2)], traced=[0])
    yield Case("UnravelIndex", [i4(22, 41, 37), i4(7, 6)], traced=[0])
    yield Case("UnravelIndex", [np.int64(5), i8(2, 3)], traced=[0])
    for op in ("InplaceUpdate", "InplaceAdd", "InplaceSub"):
        yield Case(op, [normal(3, 2), i4(2, 0), normal(2, 2)])
    yield Case("GuaranteeConst", [normal(2)])


def blocks() -> Iterator[Case]:
    x = normal(2, 3, 5, 2)
    pads = i4([1, 0], [0, 1])
    yield Case("SpaceToBatchND", [x, i4(2, 3), pads], traced=[0], gradient=True)
    yield Case("SpaceToBatchND", [normal(2, 4), i4(2), i4([0, 0])], traced=[0])
    yield Case("BatchToSpaceND", [normal(12, 2, 2, 1), i4(2, 3), pads], traced=[0], gradient=True)
    yield Case("SpaceToBatch", [normal(1, 3, 3, 2), pads], {"block_size": 2}, traced=[0])
    yield Case("BatchToSpace", [normal(4, 2, 2, 1), pads], {"block_size": 2}, traced=[0])
    wrong = [x, i4(2, 2), pads]
    yield Case("SpaceToBatchND", [x[:, :2], *wrong[1:]], fails=True)
    yield Case("SpaceToDepth", [normal(2, 4, 6, 3)], {"block_size": 2}, gradient=True)
    yield Case("DepthToSpace", [normal(2, 2, 3, 12)], {"block_size": 2}, gradient=True)
    image = normal(2, 6, 7, 2)
    for padding in ("SAME", "VALID"):
        for sizes, steps, rates in (((2, 3), (1, 2), (1, 1)), ((3, 2), (2, 3), (2, 1))):
            attrs = {
                "ksizes": [1, *sizes, 1],
                "strides": [1, *steps, 1],
                "rates": [1, *rates, 1],
                "padding": padding,
            }
            yield Case("ExtractImagePatches", [image], attrs, gradient=True)
        attrs = {"ksizes": [1, 2, 2, 3, 1], "strides": [1, 1, 2, 2, 1], "padding": padding}
        yield Case("ExtractVolumePatches", [normal(1, 3, 4, 5, 2)], attrs)


CASES = [*joined(), *parted(), *sliced(), *strides(), *padded(), *turned(), *blocks()]


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_array(name: str, told: Any) -> None:
    check(*told[name])


@pytest.mark.parametrize("op", ["SpaceToDepth", "DepthToSpace"])
def test_channels_first(op: str) -> None:
    """TensorFlow's CPU kernels know NHWC only; NCHW is the same with the axes in another order."""

    def kernel(layout: bytes) -> Any:
        node = Node("n", op, (), (), {"T": 1, "block_size": 2, "data_format": layout})
        return OPS[op].handler(NodeView(node))

    x = normal(2, 4, 6, 8)
    expected = kernel(b"NHWC")(x).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(kernel(b"NCHW")(x.transpose(0, 3, 1, 2)), expected)
