"""TensorFlow 1 control flow against TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hozon.errors import FormatError
from hozon.graphs.build import finish
from hozon.graphs.ir import Node, Ref
from tests.oracle.client import Oracle
from tests.unit.graphs.flow import Case, check, prepared, record

X = np.linspace(-1, 2, 6, dtype=np.float32).reshape(2, 3)
CELL = """
        class Cell(tf.compat.v1.nn.rnn_cell.RNNCell):
            state_size = 4
            output_size = 4
            def call(self, x, h):
                w = tf.constant(np.cos(np.arange(28.0)).reshape(7, 4), tf.float32)
                h = tf.tanh(tf.matmul(tf.concat([x, h], 1), w))
                return h, h
"""
MERGE_OF_THREE = """
        def f(p, q, x):
            from tensorflow.python.ops import control_flow_ops as cf
            no, yes = cf.switch(x, p)
            inner, _ = cf.switch(q, p)
            neither, second = cf.switch(no, inner)
            return cf.merge([yes + 1, second * 2, neither * 3])[0] + x
        """
SEQUENCES = np.sin(np.arange(30, dtype=np.float32)).reshape(2, 5, 3)


def _v1(source: str, *inputs: Any, **options: Any) -> Case:
    return Case(source, inputs, v1=True, **options)


CASES = {
    "cond": _v1(
        """
        def f(p, x):
            return tf.cond(p > 0, lambda: (x * 2, x + 1), lambda: (tf.sin(x), x))
        """,
        np.int32(1),
        X,
        gradient=True,
    ),
    "cond_false": _v1(
        """
        def f(p, x):
            return tf.cond(p > 0, lambda: (x * 2, x + 1), lambda: (tf.sin(x), x))
        """,
        np.int32(0),
        X,
        gradient=True,
    ),
    "cond_of_constants": _v1(
        """
        def f(p):
            return tf.cond(p, lambda: tf.constant(3.0), lambda: tf.constant(4.0))
        """,
        np.bool_(False),
    ),
    "cond_of_two_shapes": _v1(
        """
        def f(p, x):
            return tf.cond(p > 0, lambda: x, lambda: tf.concat([x, x], 0))
        """,
        np.int32(0),
        X,
        host=True,
    ),
    "cond_nested": _v1(
        """
        def f(p, x):
            def inner():
                return tf.cond(p > 5, lambda: x * 3,
                               lambda: tf.cond(p > 2, lambda: x, lambda: x * x))
            y = tf.cond(p > 0, inner, lambda: -x)
            return y, tf.cond(p < 9, lambda: y + 1, lambda: y * y)
        """,
        np.int32(3),
        X,
        gradient=True,
    ),
    "cond_after_cond_on_one_condition": _v1(
        """
        def f(p, x):
            for _ in range(3):
                x = tf.cond(p, lambda: x * 2, lambda: tf.sin(x))
                x = tf.tanh(x)
            return x
        """,
        np.bool_(True),
        X,
        gradient=True,
    ),
    "case": _v1(
        """
        def f(p, x):
            return tf.case([(p < 1, lambda: x), (p < 2, lambda: x * 2)], default=lambda: x * 3)
        """,
        np.int32(1),
        X,
        gradient=True,
    ),
    "case_exclusive": _v1(
        """
        def f(p, x):
            return tf.case([(p < 1, lambda: x), (p > 2, lambda: x * 2)], lambda: x * 3, True)
        """,
        np.int32(4),
        X,
    ),
    "while": _v1(
        """
        def f(x):
            return tf.while_loop(lambda i, y: i < 5, lambda i, y: (i + 1, tf.sin(y) * x + y),
                                 (tf.constant(0), x))
        """,
        X,
        gradient=True,
    ),
    "while_on_data": _v1(
        """
        def f(x, n):
            return tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.sin(y) * x),
                                 (tf.constant(0), x))
        """,
        X,
        np.int32(4),
    ),
    "while_no_trip": _v1(
        """
        def f(x):
            return tf.while_loop(lambda i, y: i < 0, lambda i, y: (i + 1, y + 1), (0, x))
        """,
        X,
    ),
    "while_one_result": _v1(
        """
        def f(x):
            return tf.while_loop(lambda i, j, y: i + j < 7,
                                 lambda i, j, y: (i + 1, j, y * 1.5), (0, 2, x))[2]
        """,
        X,
        gradient=True,
    ),
    "while_nested": _v1(
        """
        def f(x):
            def outer(i, y):
                _, z = tf.while_loop(lambda j, z: j < i + 2, lambda j, z: (j + 1, z * x + 1.0),
                                     (0, y))
                return i + 1, tf.tanh(z)
            return tf.while_loop(lambda i, y: i < 3, outer, (0, x))
        """,
        X,
    ),
    "cond_in_while": _v1(
        """
        def f(x):
            def body(i, y):
                z = tf.cond(i < 2, lambda: y * x, lambda: tf.cond(i > 3, lambda: y, lambda: y + x))
                return i + 1, z
            return tf.while_loop(lambda i, y: i < 6, body, (0, x))
        """,
        X,
        gradient=True,
    ),
    "while_in_cond": _v1(
        """
        def f(p, x):
            def loop():
                return tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * x), (0, x))[1]
            return tf.cond(p, loop, lambda: x)
        """,
        np.bool_(True),
        X,
        gradient=True,
    ),
    "while_in_cond_in_while": _v1(
        """
        def f(x):
            def body(i, y):
                def loop():
                    return tf.while_loop(lambda j, z: j < i, lambda j, z: (j + 1, z * 1.1),
                                         (0, y))[1]
                return i + 1, tf.cond(tf.equal(i % 2, 0), loop, lambda: y - x)
            return tf.while_loop(lambda i, y: i < 5, body, (0, x))[1]
        """,
        X,
    ),
    "gradient_of_while": _v1(
        """
        def f(x):
            y = tf.while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, tf.sin(y) * x), (0, x))[1]
            return y, tf.gradients(y, x)
        """,
        X,
    ),
    "gradient_of_while_on_data": _v1(
        """
        def f(x, n):
            y = tf.while_loop(lambda i, y: i < n, lambda i, y: (i + 1, tf.sin(y) * x), (0, x))[1]
            return y, tf.gradients(y, x)
        """,
        X,
        np.int32(3),
        host=True,
    ),
    "gradient_of_nested_while": _v1(
        """
        def f(x):
            def outer(i, y):
                z = tf.while_loop(lambda j, z: j < i, lambda j, z: (j + 1, tf.sin(z * x)),
                                  (0, y))[1]
                return i + 1, z * 1.5
            y = tf.while_loop(lambda i, y: i < 3, outer, (0, x))[1]
            return y, tf.gradients(y, x)
        """,
        X,
        host=True,
    ),
    "gradient_of_map_fn": _v1(
        """
        def f(x):
            y = tf.map_fn(lambda r: tf.reduce_sum(r) * r, x)
            return y, tf.gradients(y, x)
        """,
        X,
    ),
    "gradient_of_scan": _v1(
        """
        def f(x):
            y = tf.scan(lambda a, r: tf.sin(a) * 0.5 + r, x)
            return y, tf.gradients(y, x)
        """,
        X,
    ),
    "gradient_of_dynamic_rnn": _v1(
        CELL
        + """
        def f(x):
            y, _ = tf.compat.v1.nn.dynamic_rnn(Cell(), x, dtype=tf.float32)
            return y, tf.gradients(y, x)
        """,
        SEQUENCES,
    ),
    "gradient_of_dynamic_rnn_lengths": _v1(
        CELL
        + """
        def f(x, n):
            y, s = tf.compat.v1.nn.dynamic_rnn(Cell(), x, n, dtype=tf.float32)
            return y, tf.gradients([y, s], x)
        """,
        SEQUENCES,
        np.array([2, 4], np.int32),
        host=True,
    ),
    "gradient_of_array": _v1(
        """
        def f(x):
            a = tf.TensorArray(tf.float32, size=2, clear_after_read=False).unstack(x)
            y = a.read(0) * a.read(1) + a.read(0) * 3 + a.stack()[1]
            return y, tf.gradients(y, x)
        """,
        X,
    ),
    "gradient_of_array_concat": _v1(
        """
        def f(x):
            a = tf.TensorArray(tf.float32, size=2, infer_shape=False, clear_after_read=False)
            a = a.split(x[0], [1, 2])
            y = a.concat() * tf.constant([1., 2., 3.]) + a.read(0)
            return y, tf.gradients(y, x)
        """,
        X,
    ),
    "gradient_of_array_writes": _v1(
        """
        def f(x):
            a = tf.TensorArray(tf.float32, size=0, dynamic_size=True, clear_after_read=False)
            _, a = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a.write(i, x[0] * x[1])),
                                 (0, a))
            y = a.read(1) * a.read(2) + a.gather([0, 2])
            return y, tf.gradients(y, x)
        """,
        X,
    ),
    "strings": _v1(
        """
        def f(s, n):
            return tf.while_loop(lambda i, t: i < n,
                                 lambda i, t: (i + 1, tf.strings.join([t, s])), (0, s))
        """,
        np.array(["ab", "c"]),
        np.int32(3),
        host=True,
    ),
    "map_fn": _v1(
        """
        def f(x):
            return tf.map_fn(lambda r: tf.reduce_sum(r) * r, x)
        """,
        X,
        gradient=True,
    ),
    "map_fn_unknown": _v1(
        """
        def f(x):
            return tf.map_fn(lambda r: tf.reduce_sum(r) * r, x)
        """,
        X,
        known=False,
    ),
    "scan": _v1(
        """
        def f(x):
            return tf.scan(lambda a, r: a * 0.5 + r, x), tf.foldl(lambda a, r: a - r, x)
        """,
        X,
        gradient=True,
    ),
    "dynamic_rnn": _v1(
        CELL
        + """
        def f(x):
            return tf.compat.v1.nn.dynamic_rnn(Cell(), x, dtype=tf.float32)
        """,
        SEQUENCES,
        gradient=True,
    ),
    "dynamic_rnn_lengths": _v1(
        CELL
        + """
        def f(x, n):
            return tf.compat.v1.nn.dynamic_rnn(Cell(), x, n, dtype=tf.float32, time_major=False)
        """,
        SEQUENCES,
        np.array([2, 4], np.int32),
        gradient=True,
    ),
    "bidirectional_dynamic_rnn": _v1(
        CELL
        + """
        def f(x, n):
            return tf.compat.v1.nn.bidirectional_dynamic_rnn(Cell(), Cell(), x, n, dtype=tf.float32)
        """,
        SEQUENCES,
        np.array([2, 5], np.int32),
        gradient=True,
    ),
    "array": _v1(
        """
        def f(x):
            array = tf.TensorArray(tf.float32, size=4, infer_shape=False)
            for i in range(4):
                array = array.write(i, x[:, :i])
            return array.read(2), array.size()
        """,
        X,
    ),
    "array_split": _v1(
        """
        def f(x):
            array = tf.TensorArray(tf.float32, size=2, infer_shape=False).split(x[0], [1, 2])
            return array.concat()
        """,
        X,
    ),
    "value_index": _v1(
        """
        def f(p, x):
            from tensorflow.python.ops import control_flow_ops as cf
            no, yes = cf.switch(x, p)
            value, index = cf.merge([yes + 1, no * 2], name="scope/m")
            return value, index
        """,
        np.bool_(True),
        X,
    ),
    "merge_of_three": _v1(MERGE_OF_THREE, np.bool_(False), np.bool_(True), X),
    "merge_of_three_first": _v1(MERGE_OF_THREE, np.bool_(True), np.bool_(False), X),
    "merge_of_three_last": _v1(MERGE_OF_THREE, np.bool_(False), np.bool_(False), X),
    "ref_variable": _v1(
        """
        def f(x):
            v = tf.compat.v1.get_variable("v", initializer=tf.zeros([3]), use_resource=False)
            def body(i):
                with tf.control_dependencies([tf.compat.v1.assign_add(v, x[0])]):
                    return i + 1
            with tf.control_dependencies([tf.compat.v1.assign(v, x[1])]):
                n, = tf.nest.flatten(tf.while_loop(lambda i: i < 3, body, [tf.constant(0)]))
            with tf.control_dependencies([n]):
                return tf.cond(x[0, 0] < 0, lambda: v + 1, lambda: v * 2), n
        """,
        X,
    ),
}


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return record(oracle, CASES)


@pytest.mark.parametrize("name", CASES)
def test_like_tensorflow(name: str, answers: dict[str, Any]) -> None:
    check(CASES[name], answers[name])


def test_loops_and_conditionals_leave_no_trace(answers: dict[str, Any]) -> None:
    function = prepared(answers["cond_in_while"]).function
    assert [node.op for node in function.nodes].count("While") == 1
    assert not {"Switch", "Merge", "Enter", "Exit"} & {node.op for node in function.nodes}


def _finish(nodes: list[Node], result: int) -> None:
    finish(
        "broken", nodes, [], [Ref(result, 0)], [], argument_names=(), result_names=("r",), attrs={}
    )


def _node(op: str, *inputs: int, controls: tuple[int, ...] = (), **attrs: Any) -> Node:
    return Node(f"{op}{inputs}", op, tuple(Ref(i, 0) for i in inputs), controls, attrs)


BROKEN = {
    "cycle": [_node("Identity", 1), _node("Identity", 0)],
    "cycle_through_merge": [_node("Const"), _node("Merge", 0, 2), _node("Identity", 1)],
    "merge_without_switch": [_node("Const"), _node("Const"), _node("Merge", 0, 1)],
    "merge_of_itself": [_node("Merge", 0, 0)],
    "merge_of_three_without_switch": [
        _node("Const"),
        _node("Const"),
        _node("Const"),
        _node("Merge", 0, 1, 2),
    ],
    "index_of_three": [
        _node("Const"),
        _node("Switch", 0, 0),
        _node("Const"),
        Node("second", "Switch", (Ref(1, 0), Ref(2, 0))),
        Node("merge", "Merge", (Ref(1, 1), Ref(3, 1), Ref(3, 0))),
        Node("index", "Identity", (Ref(4, 1),)),
    ],
    "switch_of_nothing": [_node("Switch"), _node("Const"), _node("Merge", 0, 1)],
    "exit_outside": [_node("Const"), _node("LoopCond", 0), _node("Exit", 1)],
    "enter_alone": [_node("Const"), _node("Enter", 0, frame_name=b"f")],
    "iteration_alone": [_node("NextIteration", 1), _node("Merge", 0), _node("Exit", 1)],
    "switch_of_no_variable": [
        _node("Const"),
        _node("Enter", 0, frame_name=b"f"),
        _node("LoopCond", 1),
        _node("Switch", 1, 2),
        _node("Exit", 3),
    ],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_frames_are_refused(name: str) -> None:
    with pytest.raises(FormatError):
        _finish(BROKEN[name], len(BROKEN[name]) - 1)


OPS = ("Const", "Identity", "Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond", "Add")


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs_are_structured_or_refused(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(300):
        count = int(random.integers(2, 14))
        nodes = []
        for i in range(count):
            op = str(random.choice(OPS))
            arity = {"Const": 0, "Switch": 2, "Merge": 2, "Add": 2}.get(op, 1)
            inputs = tuple(
                Ref(int(random.integers(count)), int(random.integers(2))) for _ in range(arity)
            )
            controls = tuple(random.integers(count, size=int(random.random() < 0.2)).tolist())
            nodes.append(Node(f"s{i % 3}/n{i}", op, inputs, controls, {"frame_name": b"f"}))
        try:
            _finish(nodes, count - 1)
        except FormatError:
            continue
