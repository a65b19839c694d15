"""Shape ops against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax import export

import hozon
from tests.unit.graphs.ops.harness import Case, answers, check, ids

RNG = np.random.default_rng(1)


def normal(*shape: int, dtype: str = "float32") -> Any:
    """Random numbers."""
    return (RNG.normal(size=shape) * 5).astype(dtype)


def i4(*values: Any) -> Any:
    return np.asarray(values, np.int32)


def i8(*values: Any) -> Any:
    return np.asarray(values, np.int64)


WORDS = np.array([[b"a", b"bb", b""], [b"c", b"\xff\x00", b"e"]], object)


def sizes() -> Iterator[Case]:
    for x in (normal(2, 3), normal(), normal(0, 4), WORDS):
        for kind in ("int32", "int64"):
            yield Case("Shape", [x], {"out_type": kind})
            yield Case("Size", [x], {"out_type": kind})
        yield Case("Rank", [x])
    yield Case("ShapeN", [[normal(2, 3), normal(), normal(0, 4)]])
    yield Case("ShapeN", [[normal(2, 3), normal(1)]], {"out_type": "int64"})
    yield Case("EnsureShape", [normal(2, 3)], {"shape": [None, 3]})
    yield Case("EnsureShape", [normal(2, 3)], {"shape": [2, 4]}, fails=True, known_shapes=False)


def reshaped() -> Iterator[Case]:
    for x, shape in (
        (normal(2, 6), i4(3, 4)),
        (normal(2, 6), i8(-1, 3)),
        (normal(2, 6), i4(-1)),
        (normal(1, 1), i4()),
        (normal(0, 3), i4(-1, 3)),
        (normal(0, 3), i4(3, 0, 7)),
        (WORDS, i4(3, -1)),
        (normal(), i4(1, 1)),
    ):
        shape = shape.astype(np.int32) if not shape.size else shape
        yield Case("Reshape", [x, shape], traced=() if x.dtype == object else [0])
    yield Case("Reshape", [normal(2, 3), i4(3, -1)], gradient=True, traced=[0])
    yield Case("Reshape", [normal(2, 3), i4(4, -1)], fails=True, known_shapes=False)
    yield Case("Squeeze", [normal(1, 3, 1)], {"squeeze_dims": []})
    yield Case("Squeeze", [normal(1, 3, 1)], {"squeeze_dims": [-1]}, gradient=True)
    yield Case("Squeeze", [normal(1, 3, 1)], {"squeeze_dims": [0, 2]})
    yield Case("Squeeze", [normal(1, 3, 1)], {"squeeze_dims": [1]}, fails=True, known_shapes=False)
    for axis in (0, 1, -1, -3):
        yield Case("ExpandDims", [normal(2, 3), np.int32(axis)], traced=[0])
    yield Case("ExpandDims", [WORDS, np.int64(1)], traced=())


def reordered() -> Iterator[Case]:
    yield Case("Transpose", [normal(2, 3, 4), i4(2, 0, 1)], traced=[0], gradient=True)
    yield Case("Transpose", [normal(0, 3), i8(1, 0)], traced=[0])
    yield Case("Transpose", [WORDS, i4(1, 0)], traced=())
    yield Case("ConjugateTranspose", [normal(2, 3, dtype="complex64") * 1j, i4(1, 0)], traced=[0])
    yield Case("InvertPermutation", [i4(2, 0, 3, 1)])
    yield Case("InvertPermutation", [i8(0, 2, 1)])
    yield Case("InvertPermutation", [i8(0, 2, 2)], fails=True)


def spread() -> Iterator[Case]:
    yield Case("BroadcastTo", [normal(3, 1), i4(2, 3, 4)], traced=[0], gradient=True)
    yield Case("BroadcastTo", [normal(), i8(2, 0)], traced=[0])
    yield Case("BroadcastTo", [WORDS[:, :1], i4(2, 2)], traced=())
    for pair in (
        (i4(2, 3), i4(2, 3)),
        (i4(2, 1), i4(3)),
        (i4(1), i4(4, 5)),
        (i8(1, 1), i8(1, 1)),
        (i8(1, 3, 1), i8(2, 1, 1)),
        (i4(), i4(2, 1)),
        (i4(1, 5), i4(1)),
    ):
        pair = tuple(p.astype(np.int32) if not p.size else p for p in pair)
        yield Case("BroadcastArgs", list(pair), traced=())
        yield Case("BroadcastGradientArgs", list(pair), traced=())
    yield Case("BroadcastArgs", [i4(2, 3), i4(4)], fails=True)
    yield Case("Tile", [normal(2, 3), i4(2, 1)], traced=[0], gradient=True)
    yield Case("Tile", [normal(2, 3), i8(0, 2)], traced=[0])
    yield Case("Tile", [WORDS, i4(1, 2)], traced=())


def made() -> Iterator[Case]:
    for value in (np.float32(2.5), np.int64(3), np.bool_(True), np.array(b"x", object)):
        yield Case("Fill", [i4(2, 3), value], traced=[1])
    yield Case("Fill", [i8(0, 3), np.float64(1)], traced=[1])
    yield Case("Fill", [np.zeros(0, np.int32), np.float64(1)], traced=[1])
    for dtype in ("float32", "int8", "complex64", "bool", "float16"):
        yield Case("ZerosLike", [normal(2, 3).astype(dtype)])
        yield Case("OnesLike", [normal(2, 3).astype(dtype)])
    yield Case("ZerosLike", [WORDS])
    for dtype, first, last, step in (
        ("int32", 0, 7, 2),
        ("int64", 5, -4, -3),
        ("int32", 3, 3, 1),
        ("float32", 0, 1, 0.1),
        ("float64", 2, -1, -0.3),
        ("float32", 0.1, 0.9, 0.2),
        ("float16", 0, 3, 0.5),
    ):
        yield Case("Range", [np.asarray(v, dtype) for v in (first, last, step)], traced=())
    yield Case("Range", [np.int32(0), np.int32(3), np.int32(-1)], fails=True, known_shapes=False)
    yield Case("Empty", [i4(2, 3)], {"dtype": "float32", "init": True}, traced=())


def single() -> Iterator[Case]:
    """One element where a scalar is meant, which these kernels take."""
    given: list[tuple[str, list[Any]]] = [
        ("ExpandDims", [normal(2, 3), i4(1)]),
        ("ExpandDims", [normal(2, 3), i8(-1)]),
        ("ConcatV2", [[normal(2, 3), normal(2, 3)], i4(1)]),
        ("Concat", [i4(0), [normal(2, 3), normal(2, 3)]]),
        ("Fill", [i4(2, 3), np.array([1.5], np.float32)]),
        ("Range", [i4(0), i4(5), i4(2)]),
    ]
    for op, inputs in given:
        yield Case(op, inputs, known_shapes=False, traced=())
    split = [normal(2, 3), i4(1, 2), i4(1)]
    yield Case("SplitV", split, {"num_split": 2}, known_shapes=False, traced=())


CASES = [*sizes(), *reshaped(), *reordered(), *spread(), *made(), *single()]


@pytest.fixture(scope="module")
def told(oracle: Any) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("name", ids(CASES))
def test_shape(name: str, told: Any) -> None:
    check(*told[name])


FREE = """
class Free(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32)])
    def __call__(self, x):
        rows, columns = tf.unstack(tf.shape(x))
        count = tf.cast(tf.size(x), tf.float32) + tf.cast(rows * columns, tf.float32)
        places = tf.range(rows)
        spread = tf.broadcast_to([[1.0]], tf.broadcast_dynamic_shape([rows, 1], [1, columns]))
        repeated = tf.tile(x[:1], [rows, 1])
        least = tf.minimum(tf.argmax(x, 1, tf.int32), columns - 2)
        return x / count, places + 2 * rows, spread, repeated, least
free = Free()
tf.saved_model.save(free, folder)
out["y"] = [y.numpy() for y in free(x)]
"""


def test_sizes_that_are_symbols(oracle: Any, tmp_path: Path) -> None:
    x = normal(3, 4)
    expected = oracle.python(FREE, folder=str(tmp_path), x=x)["y"]
    free = hozon.saved_model.load(tmp_path)
    (spec,) = export.symbolic_args_specs((x,), "a, b")
    made = export.export(jax.jit(free))(spec)
    for mine, true in zip(made.call(x), expected, strict=True):
        np.testing.assert_allclose(mine, true, rtol=1e-6)
