"""Functions of ``tf.ragged``, ``tf.sparse`` and slicing, as users write them, whole."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from hozon.formats.protos.graph import decode_graph
from hozon.formats.protos.graph_pb2 import GraphDef
from hozon.graphs.build import function_from_graph
from hozon.graphs.execute import call
from hozon.graphs.library import Library

CUBE = np.arange(24, dtype="f4").reshape(2, 3, 4)
HOLES = np.array([[1, 0, 3], [0, 0, 2]], "f4")
COUNTS = np.array([[1, 0, 3], [0, 0, 2]], "i4")
TEXT = np.array([b"a b c", b"", b"d e"], object)

#: Arguments and source of each function; `r` and `s` make ragged and sparse tensors of `x`.
FUNCTIONS: dict[str, tuple[list[Any], str]] = {
    "boolean_mask": ([CUBE], "tf.boolean_mask(x, x[:, :, 0] > 3)"),
    "words": ([TEXT], "tf.strings.split(x).to_tensor('?')"),
    "map_rows": ([HOLES], "tf.map_fn(lambda y: y * 2, r(x)).to_tensor()"),
    "map_to_sums": ([HOLES], "tf.map_fn(tf.reduce_sum, r(x), fn_output_signature=tf.float32)"),
    "map_to_rows": (
        [COUNTS],
        (
            "tf.map_fn(lambda y: tf.range(tf.reduce_sum(y)), x,"
            " fn_output_signature=tf.RaggedTensorSpec([None], tf.int32)).to_tensor()"
        ),
    ),
    "ragged_math": (
        [HOLES],
        (
            "[tf.reduce_sum(r(x), 1), tf.reduce_max(r(x), 1),"
            " tf.concat([r(x), r(x)], 1).to_tensor(),"
            " tf.stack([r(x), r(x)], 0).to_tensor(), tf.gather(r(x), [1, 0]).to_tensor(),"
            " tf.reverse(r(x), [0]).to_tensor(), r(x).bounding_shape(),"
            " (r(x) + 1).to_sparse().indices,"
            " tf.ragged.boolean_mask(r(x), r(x) > 1).to_tensor()]"
        ),
    ),
    "ragged_slices": (
        [HOLES],
        (
            "[r(x)[1], r(x)[:, :1].to_tensor(), r(x)[0, -1], r(x)[..., 1:].to_tensor(),"
            " r(x).value_rowids(), tf.expand_dims(r(x), 0).to_tensor()]"
        ),
    ),
    "sparse": (
        [HOLES],
        (
            "[tf.sparse.reduce_sum(s(x), 0)] + [tf.sparse.to_dense(y) for y in ("
            "tf.sparse.transpose(s(x)), tf.sparse.concat(1, [s(x), s(x)]), s(x) * x,"
            " tf.sparse.retain(s(x), s(x).values > 1), tf.sparse.softmax(s(x)),"
            " tf.sparse.slice(s(x), [0, 1], [2, 2]), tf.sparse.reshape(s(x), [3, 2]),"
            " tf.sparse.add(s(x), s(x)), tf.sparse.expand_dims(s(x), 0))]"
        ),
    ),
    "counts": (
        [COUNTS],
        (
            "[tf.sparse.to_dense(tf.sparse.bincount(x, axis=-1)), tf.unique(tf.reshape(x, [-1])),"
            " tf.sets.intersection(x, x[::-1]).values, tf.dynamic_partition(x[0], [0, 1, 0], 2)]"
        ),
    ),
    "shapes": (
        [COUNTS],
        (
            "[tf.sequence_mask(x, 4), tf.repeat(x, [2, 1], axis=0), tf.meshgrid(x[0], x[1]),"
            " tf.where(x > 0), tf.gather(x, [[0], [1]], batch_dims=1), tf.roll(x, 1, 1)]"
        ),
    ),
    "traced_position": ([CUBE, np.int32(2)], "[x[:, i], x[:, :i], x[:, i - 1:i + 1]]"),
    "variant_round_trip": (
        [HOLES],
        (
            "(lambda c: c.composite_tensor_from_variant(c.composite_tensor_to_variants(r(x)),"
            " r(x)._type_spec).to_tensor())(__import__("
            "'tensorflow.python.ops.composite_tensor_ops', fromlist=['ops']))"
        ),
    ),
    "edits": (
        [TEXT],
        (
            "tf.edit_distance(tf.strings.bytes_split(x).to_sparse(), tf.sparse.from_dense("
            "[['a', ' ', 'c'], ['x', '', ''], ['d', 'e', '']]))"
        ),
    ),
}

EXPORT = """
def r(x): return tf.RaggedTensor.from_tensor(x, padding=0)
def s(x): return tf.sparse.from_dense(x)
for name, (values, source) in functions.items():
    scope = {"tf": tf, "r": r, "s": s}
    function = tf.function(eval("lambda x, i=0: " + source, scope), autograph=False)
    specs = [tf.TensorSpec([None] * np.ndim(v), tf.string if np.asarray(v).dtype == object
             else tf.as_dtype(np.asarray(v).dtype)) for v in values]
    concrete = function.get_concrete_function(*specs)
    results = tf.nest.flatten(concrete(*map(tf.constant, values)))
    out[name] = (concrete.graph.as_graph_def().SerializeToString(),
                 [t.name for t in concrete.inputs], [t.name for t in concrete.outputs],
                 [np.asarray(t.numpy()) for t in results])
"""


@pytest.fixture(scope="module")
def exported(oracle: Any) -> Any:
    return oracle.python(EXPORT, functions=FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function(name: str, exported: Any) -> None:
    data, inputs, outputs, expected = exported[name]
    graph = decode_graph(GraphDef.FromString(data))
    feeds = {f"x{i}": tensor for i, tensor in enumerate(inputs)}
    fetches = {f"y{i}": tensor for i, tensor in enumerate(outputs)}
    function = function_from_graph("f", graph.nodes, feeds, fetches, graph.library, ())
    run = functools.partial(call, Library(graph.library), function, FUNCTIONS[name][0])
    for found in (run(), run()):
        assert len(found) == len(expected)
        for number, (have, want) in enumerate(zip(map(np.asarray, found), expected, strict=True)):
            want = want.astype(object) if want.dtype.kind in "SU" else want
            assert (have.dtype, have.shape) == (want.dtype, want.shape), number
            if want.dtype == object:
                np.testing.assert_array_equal(have, want)
            else:
                np.testing.assert_allclose(have, want, rtol=1e-5, err_msg=str(number))
