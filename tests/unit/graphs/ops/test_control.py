"""Conditionals and loops against TensorFlow."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from hozon.errors import UnsupportedError
from hozon.formats.protos.graph import parse_graph
from hozon.formats.protos.graph_pb2 import GraphDef
from hozon.graphs.library import Library
from tests.oracle.client import Oracle
from tests.unit.graphs.flow import Case, check, prepared, record

X = np.linspace(-1, 2, 6, dtype=np.float32).reshape(2, 3)
ROW = np.linspace(0.5, 1.5, 4, dtype=np.float32)

CASES = {
    "cond": Case(
        """
        def f(p, x):
            return tf.cond(p > 0, lambda: (x * 2, x + 1), lambda: (tf.sin(x), x))
        """,
        (np.int32(1), X),
        gradient=True,
    ),
    "cond_of_two_shapes": Case(
        """
        def f(p, x):
            return tf.cond(p > 0, lambda: x, lambda: tf.concat([x, x], 0))
        """,
        (np.int32(0), X),
        host=True,
        known=False,
    ),
    "cond_nested": Case(
        """
        def f(p, x):
            return tf.cond(p > 0, lambda: tf.cond(p > 5, lambda: x * 3, lambda: x * x),
                           lambda: -x)
        """,
        (np.int32(3), X),
        gradient=True,
    ),
    "case": Case(
        """
        def f(i, x):
            return tf.switch_case(i, [lambda: x, lambda: x * x, lambda: tf.exp(x)])
        """,
        (np.int32(1), X),
        gradient=True,
    ),
    "case_out_of_range": Case(
        """
        def f(i, x):
            return tf.switch_case(i, [lambda: x, lambda: x * x, lambda: tf.exp(x)])
        """,
        (np.int32(-4), X),
    ),
    "counted_while": Case(
        """
        def f(x):
            return tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, tf.sin(y) * x + y),
                                 (tf.constant(0), x))
        """,
        (X,),
        gradient=True,
    ),
    "while_on_data": Case(
        """
        def f(x, n):
            return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.sin(y) * x),
                                 (tf.constant(0), x))
        """,
        (X, np.int32(4)),
    ),
    "while_until_small": Case(
        """
        def f(x):
            return tf.while_loop(lambda y, n: tf.reduce_max(y) > 0.1,
                                 lambda y, n: (y * 0.5, n + 1), (x, 0))
        """,
        (X,),
    ),
    "no_trip": Case(
        """
        def f(x):
            return tf.while_loop(lambda i, y: i < 0, lambda i, y: (i + 1, y * 2), (0, x))
        """,
        (X,),
        gradient=True,
    ),
    "no_trip_on_data": Case(
        """
        def f(x, n):
            return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * 2), (0, x))
        """,
        (X, np.int32(-1)),
    ),
    "nested_while": Case(
        """
        def f(x):
            def outer(i, y):
                _, z = tf.while_loop(lambda j, z: j < i + 2, lambda j, z: (j + 1, z * x + 1.0),
                                     (0, y))
                return i + 1, tf.tanh(z)
            return tf.while_loop(lambda i, y: i < 3, outer, (0, x))
        """,
        (X,),
    ),
    "nested_counted_while": Case(
        """
        def f(x):
            def outer(i, y):
                _, z = tf.while_loop(lambda j, z: j < 2, lambda j, z: (j + 1, z * x + 1.0), (0, y))
                return i + 1, tf.tanh(z)
            return tf.while_loop(lambda i, y: i < 3, outer, (0, x))
        """,
        (X,),
        gradient=True,
    ),
    "maximum_iterations": Case(
        """
        def f(x):
            return tf.while_loop(lambda y: tf.reduce_max(y) < 100.0, lambda y: [y * 2],
                                 [x], maximum_iterations=3)
        """,
        (X,),
    ),
    "growing": Case(
        """
        def f(x):
            return tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, tf.concat([y, y], 0)),
                (0, x), shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 3])))
        """,
        (X,),
        gradient=True,
    ),
    "growing_on_data": Case(
        """
        def f(x, n):
            return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.concat([y, y], 0)),
                (0, x), shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 3])))
        """,
        (X, np.int32(3)),
        host=True,
    ),
    "strings": Case(
        """
        def f(s, n):
            return tf.while_loop(lambda i, t: i < n,
                                 lambda i, t: (i + 1, tf.strings.join([t, s])), (0, s))
        """,
        (np.array(["ab", "c"]), np.int32(3)),
        host=True,
    ),
    "range_of_counter": Case(
        """
        def f(x):
            return tf.while_loop(lambda i, y: i < 4,
                lambda i, y: (i + 1, y + tf.reduce_sum(tf.cast(tf.range(i), tf.float32))), (0, x))
        """,
        (X,),
        gradient=True,
    ),
    "autograph": Case(
        """
        def f(x):
            total = tf.zeros_like(x[0])
            for i in tf.range(tf.shape(x)[0]):
                if tf.reduce_sum(x[i]) < 0.0:
                    continue
                total += x[i] * tf.cast(i, tf.float32)
                if tf.reduce_sum(total) > 100.0:
                    break
            return total
        """,
        (X,),
    ),
    "autograph_return": Case(
        """
        def f(x):
            if tf.reduce_sum(x) > 100.0:
                return x
            elif tf.reduce_max(x) > 1.0:
                return x * 2
            else:
                return x * 3
        """,
        (X,),
        gradient=True,
    ),
    "map_fn": Case(
        """
        def f(x):
            return tf.map_fn(lambda r: tf.reduce_sum(r) * r, x)
        """,
        (X,),
        gradient=True,
    ),
    "map_fn_of_types": Case(
        """
        def f(x):
            return tf.map_fn(lambda r: (r > 0, tf.cast(r, tf.int32)), x,
                             fn_output_signature=(tf.bool, tf.int32))
        """,
        (X,),
        known=False,
    ),
    "map_fn_of_strings": Case(
        """
        def f(s):
            return tf.map_fn(lambda t: tf.strings.join([t, t]), s)
        """,
        (np.array(["a", "bc"]),),
        host=True,
    ),
    "map_fn_of_nothing": Case(
        """
        def f(x):
            return tf.map_fn(lambda r: r * 2, x, fn_output_signature=tf.TensorSpec([3]))
        """,
        (X[:0],),
    ),
    "scan": Case(
        """
        def f(x):
            return tf.scan(lambda a, r: a * 0.5 + r, x)
        """,
        (X,),
        gradient=True,
    ),
    "scan_reverse": Case(
        """
        def f(x):
            return tf.scan(lambda a, r: (a[0] + r, a[1] * r), x, (x[0], x[1]), reverse=True)
        """,
        (X,),
        gradient=True,
    ),
    "foldl": Case(
        """
        def f(x):
            return tf.foldl(lambda a, r: a * 0.3 + r, x), tf.foldr(lambda a, r: a - r * r, x)
        """,
        (X,),
        gradient=True,
    ),
    "array_written": Case(
        """
        def f(x):
            array = tf.TensorArray(tf.float32, size=4)
            for i in tf.range(4):
                array = array.write(i, x * tf.cast(i, tf.float32))
            return array.stack(), array.concat()
        """,
        (X,),
        gradient=True,
    ),
    "array_growing": Case(
        """
        def f(x):
            array = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
            for i in tf.range(5):
                array = array.write(i, x * tf.cast(i, tf.float32))
            return array.stack()
        """,
        (X,),
        gradient=True,
    ),
    "array_growing_on_data": Case(
        """
        def f(x, n):
            array = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
            for i in tf.range(n):
                array = array.write(i, x * tf.cast(i, tf.float32))
            return array.stack()
        """,
        (X, np.int32(3)),
        host=True,
    ),
    "array_of_shapes": Case(
        """
        def f(x):
            array = tf.TensorArray(tf.float32, size=3, infer_shape=False)
            for i in tf.range(3):
                array = array.write(i, x[:, :i])
            return array.read(1), array.read(2)
        """,
        (X,),
        gradient=True,
    ),
    "gradient_of_while": Case(
        """
        def f(x):
            y = tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, tf.sin(y) * x), (0, x))[1]
            return y, tf.gradients(y, x)[0]
        """,
        (X,),
    ),
    "gradient_of_while_on_data": Case(
        """
        def f(x, n):
            y = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.sin(y) * x), (0, x))[1]
            return y, tf.gradients(y, x)[0]
        """,
        (X, np.int32(3)),
        host=True,
    ),
    "gradient_of_nested_while": Case(
        """
        def f(x):
            def outer(i, y):
                z = tf.while_loop(lambda j, z: j < i, lambda j, z: (j + 1, tf.sin(z * x)),
                                  (0, y))[1]
                return i + 1, z * 1.5
            y = tf.while_loop(lambda i, y: i < 3, outer, (0, x))[1]
            return y, tf.gradients(y, x)[0]
        """,
        (X,),
        host=True,
    ),
    "map_fn_of_ragged": Case(
        """
        def f(x):
            r = tf.RaggedTensor.from_row_lengths(x, [2, 0, 4])
            return tf.map_fn(tf.reduce_sum, r, fn_output_signature=tf.float32)
        """,
        (X.reshape(-1),),
        host=True,
    ),
    "search_with_break": Case(
        """
        def f(x, limit):
            found = tf.constant(-1)
            tokens = tf.TensorArray(tf.float32, size=0, dynamic_size=True)
            for i in tf.range(6):
                value = tf.reduce_sum(x) * tf.cast(i, tf.float32)
                tokens = tokens.write(i, value)
                if value > limit:
                    found = i
                    break
            return found, tokens.stack()
        """,
        (X, np.float32(9)),
        host=True,
    ),
    "assertion": Case(
        """
        def f(x):
            tf.debugging.assert_less(x, 100.0)
            return x * 2
        """,
        (X,),
        gradient=True,
    ),
    "gradient_of_cond": Case(
        """
        def f(p, x):
            y = tf.cond(p, lambda: tf.sin(x) * x, lambda: x)
            return y, tf.gradients(y, x)[0]
        """,
        (np.bool_(True), X),
        host=True,
    ),
    "gradient_of_map_fn": Case(
        """
        def f(x):
            y = tf.map_fn(lambda r: tf.sin(r) * tf.reduce_sum(r), x)
            return y, tf.gradients(y, x)[0]
        """,
        (X,),
        host=True,
    ),
    "string_branch": Case(
        """
        def f(p, s):
            return tf.cond(p, lambda: tf.strings.join([s, s]), lambda: s)
        """,
        (np.bool_(True), np.array(["a"])),
        host=True,
    ),
    "random_in_loop": Case(
        """
        def f(x):
            return tf.while_loop(lambda i, y: i < 3,
                lambda i, y: (i + 1, y + tf.random.uniform([2, 3]) * 0), (0, x))
        """,
        (X,),
    ),
    "switch_on_variable_count": Case(
        """
        v = tf.Variable(1.0)
        def f(x):
            for i in tf.range(3):
                v.assign_add(tf.reduce_sum(x) * tf.cast(i, tf.float32))
                if v > 5.0:
                    v.assign(v * 0.5)
            return v * x
        """,
        (X,),
    ),
    "variable_until": Case(
        """
        v = tf.Variable(1.0)
        n = tf.Variable(0)
        def f(x):
            while v < 50.0:
                v.assign(v * 2 + x)
                n.assign_add(1)
            return v + x
        """,
        (np.float32(1),),
    ),
    "variable_in_branch": Case(
        """
        v = tf.Variable([1.0, 2.0])
        def f(p, x):
            if p:
                v.assign_add(x)
            return v * 2
        """,
        (np.bool_(True), np.ones(2, np.float32)),
    ),
    "list_pushed": Case(
        """
        def f(x):
            from tensorflow.python.ops import list_ops
            l = list_ops.empty_tensor_list([3], tf.float32)
            _, l = tf.while_loop(lambda i, l: i < 4,
                lambda i, l: (i + 1, list_ops.tensor_list_push_back(
                    l, x[0] * tf.cast(i, tf.float32))), (0, l))
            l, last = list_ops.tensor_list_pop_back(l, tf.float32)
            return list_ops.tensor_list_stack(l, tf.float32, element_shape=[3]), last
        """,
        (X,),
        gradient=True,
    ),
}


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return record(oracle, CASES)


@pytest.mark.parametrize("name", CASES)
def test_like_tensorflow(name: str, answers: dict[str, Any]) -> None:
    check(CASES[name], answers[name])


def test_loops_and_conditionals_can_be_batched(answers: dict[str, Any]) -> None:
    for name in ("counted_while", "while_until_small", "scan", "array_written"):
        recorded = prepared(answers[name])
        xs = np.stack([X, X * 0.3, X + 1])
        batched = jax.vmap(lambda x, f=recorded: f(x))(xs)
        single = [recorded(x) for x in xs]
        for position, got in enumerate(batched):
            wanted = np.stack([np.asarray(one[position]) for one in single])
            np.testing.assert_allclose(np.broadcast_to(got, wanted.shape), wanted, rtol=2e-5)


def test_a_function_that_calls_itself_is_refused() -> None:
    graph = GraphDef()
    function = graph.library.function.add()
    function.signature.name = "f"
    function.signature.input_arg.add(name="x", type=1)
    function.signature.output_arg.add(name="y", type=1)
    node = function.node_def.add(name="c", op="PartitionedCall", input=["x"])
    node.attr["f"].func.name = "f"
    function.ret["y"] = "c:output:0"
    library = Library(parse_graph(graph.SerializeToString()).library)
    with pytest.raises(UnsupportedError, match="calls itself"):
        library.bound("f")


def test_what_cannot_be_traced_says_where_and_what_to_do(answers: dict[str, Any]) -> None:
    recorded = prepared(answers["growing_on_data"])
    with pytest.raises(UnsupportedError, match=r"node '.*while' .*outside of jax\.jit"):
        jax.jit(recorded)(X, np.int32(3))
    outputs = jax.jit(lambda x: recorded(x, np.int32(3)))(X)
    assert [np.shape(y) for y in outputs if np.ndim(y)] == [(16, 3)]
