"""Functions written in TensorFlow, recorded by the oracle and run by Hozon.

A case is the source of a function ``f`` of tensors (`tf`, `keras` and `np` are there) and its
inputs. The oracle traces it, runs it, takes gradients of its floating results by its floating
inputs, and sends the graph; Hozon runs the graph eagerly, under `jax.jit` and under `jax.vjp`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.formats.protos.graph import parse_graph
from hozon.graphs.build import function_from_graph
from hozon.graphs.execute import call, call_pure
from hozon.graphs.ir import Function
from hozon.graphs.library import Library
from hozon.graphs.resources import Variable
from tests.oracle.client import Oracle

RECORD = """
def spec(x, known):
    dtype = tf.string if x.dtype.kind in "OSU" else tf.as_dtype(x.dtype)
    return tf.TensorSpec(x.shape if known else [None] * x.ndim, dtype)

def weighted(outputs):
    total = 0.0
    for y in outputs:
        if y.dtype.is_floating:
            w = tf.cos(tf.range(tf.cast(tf.size(y), tf.float64), dtype=tf.float64))
            total += tf.reduce_sum(y * tf.cast(tf.reshape(w, tf.shape(y)), y.dtype))
    return total

def record2(f, xs, known, gradient):
    traced = tf.function(f).get_concrete_function(*[spec(x, known) for x in xs])
    graph = traced.graph.as_graph_def().SerializeToString()
    feeds = [t.name for t in traced.inputs]
    fetches = [t.name for t in traced.outputs]
    variables = list(traced.variables)
    before = [v.numpy() for v in variables]
    handles = {id(v.handle): v for v in variables}
    with tf.GradientTape() as tape:
        args = [tf.constant(x) for x in xs]
        tape.watch([a for a in args if gradient and a.dtype.is_floating])
        flat = tf.nest.flatten(traced(*args))
        total = weighted(flat) if gradient else None
    floating = [a for a in args if a.dtype.is_floating]
    gradients = tape.gradient(total, floating) if gradient else []
    captured = [handles.get(id(c)) for c in traced.captured_inputs]
    return dict(
        graph=graph, feeds=feeds, fetches=fetches, outputs=[y.numpy() for y in flat],
        gradients=[None if g is None else tf.convert_to_tensor(g).numpy() for g in gradients],
        variables=[None if v is None else before[[id(w) for w in variables].index(id(v))]
                   for v in captured],
        after=[v.numpy() for v in captured if v is not None],
    )

def record1(f, xs, known, gradient):
    tf.compat.v1.disable_control_flow_v2()
    graph = tf.Graph()
    try:
        with graph.as_default():
            ps = [tf.compat.v1.placeholder(spec(x, known).dtype, spec(x, known).shape) for x in xs]
            flat = tf.nest.flatten(f(*ps))
            floating = [p for p in ps if p.dtype.is_floating]
            gradients = tf.gradients(weighted(flat), floating) if gradient else []
            forward = tf.compat.v1.graph_util.extract_sub_graph(
                graph.as_graph_def(), [t.op.name for t in flat + ps])
            asked = [tf.convert_to_tensor(g) for g in gradients if g is not None]
            with tf.compat.v1.Session() as session:
                session.run(tf.compat.v1.global_variables_initializer())
                values = session.run(flat + asked, dict(zip(ps, xs)))
    finally:
        tf.compat.v1.enable_control_flow_v2()
    computed = iter(values[len(flat):])
    return dict(
        graph=forward.SerializeToString(), feeds=[p.name for p in ps],
        fetches=[t.name for t in flat], outputs=values[:len(flat)],
        gradients=[None if g is None else next(computed) for g in gradients],
        variables=[], after=[])

answers = {}
for name, case in cases.items():
    try:
        scope = {"tf": tf, "keras": keras, "np": np}
        import linecache
        linecache.cache[name] = (len(case["source"]), None, case["source"].splitlines(True), name)
        exec(compile(case["source"], name, "exec"), scope)
        record = record1 if case["v1"] else record2
        answers[name] = record(scope["f"], case["inputs"], case["known"], case["gradient"])
    except Exception:
        import traceback
        answers[name] = traceback.format_exc()
out["answers"] = answers
"""


@dataclass(frozen=True)
class Case:
    """A function to record. `host`: it cannot be traced as a whole (strings, shapes)."""

    source: str
    inputs: tuple[Any, ...]
    gradient: bool = False
    host: bool = False
    known: bool = True
    v1: bool = False


def record(oracle: Oracle, cases: dict[str, Case]) -> dict[str, Any]:
    """What TensorFlow makes of all cases, in one question."""
    asked = {
        name: {
            "source": textwrap.dedent(case.source),
            "inputs": [np.asarray(x) for x in case.inputs],
            "gradient": case.gradient,
            "known": case.known,
            "v1": case.v1,
        }
        for name, case in cases.items()
    }
    answers: dict[str, Any] = oracle.python(RECORD, cases=asked)["answers"]
    return answers


@dataclass(eq=False)
class Recorded:
    """A recorded function, ready to run."""

    function: Function
    library: Library
    variables: list[Variable | Any]

    def __call__(self, *inputs: Any) -> tuple[Any, ...]:
        return call(self.library, self.function, [*inputs, *self.variables])

    def outputs(self, *inputs: Any) -> tuple[Any, ...]:
        """The results alone; assignments stay without effect."""
        return call_pure(self.library, self.function, [*inputs, *self.variables], {})[0]


def prepared(answer: dict[str, Any]) -> Recorded:
    """The function of one answer."""
    graph = parse_graph(answer["graph"])
    records = graph.library.functions
    feeds = {f"a{i}": name for i, name in enumerate(answer["feeds"])}
    fetches = {f"r{i}": name for i, name in enumerate(answer["fetches"])}
    function = function_from_graph("main", graph.nodes, feeds, fetches, records)
    variables = [
        Variable(v, name=f"v{i}", shape=v.shape, dtype=v.dtype)
        for i, v in enumerate(answer["variables"])
    ]
    return Recorded(function, Library(records), variables)


def check(case: Case, answer: Any) -> None:
    """Run one case in every way that it allows and compare with what TensorFlow gave."""
    assert not isinstance(answer, str), answer
    recorded = prepared(answer)
    inputs = [_given(x) for x in case.inputs]
    same(recorded(*inputs), answer["outputs"])
    changed = False
    for variable, before, after in zip(
        recorded.variables, answer["variables"], answer["after"], strict=True
    ):
        same([variable.numpy()], [after])
        changed |= not np.array_equal(before, after)
    if case.host or changed:
        return
    with jax.enable_x64(True):
        same(jax.jit(recorded.outputs)(*inputs), answer["outputs"])
    if case.gradient:
        same(gradients(recorded, inputs), answer["gradients"], loose=True)


def gradients(recorded: Recorded, inputs: Sequence[Any]) -> list[Any]:
    """Gradients of the floating results, weighted like in the oracle, by floating inputs."""
    floating = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

    def total(varied: list[Any]) -> Any:
        given = list(inputs)
        for i, x in zip(floating, varied, strict=True):
            given[i] = x
        outputs = [y for y in recorded(*given) if jnp.issubdtype(y.dtype, jnp.floating)]
        weights = [jnp.cos(jnp.arange(y.size, dtype=jnp.float64)) for y in outputs]
        return sum(
            (jnp.asarray(y) * w.reshape(y.shape).astype(y.dtype)).sum()
            for y, w in zip(outputs, weights, strict=True)
        )

    with jax.enable_x64(True):
        result: list[Any] = jax.grad(total)([jnp.asarray(inputs[i]) for i in floating])
    return result


def same(actual: Sequence[Any], expected: Sequence[Any], *, loose: bool = False) -> None:
    """Count, dtype, shape and values agree; a gradient that is None is zero."""
    assert len(actual) == len(expected)
    for got, want in zip(actual, expected, strict=True):
        got = np.asarray(got)
        want = np.zeros_like(got) if want is None else np.asarray(want)
        assert got.shape == want.shape
        if want.dtype.kind in "OSU":
            assert [_bytes(x) for x in got.reshape(-1)] == [_bytes(x) for x in want.reshape(-1)]
            continue
        assert got.dtype == want.dtype
        tolerance = 2e-4 if loose else 2e-5
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _given(value: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(value)
    if array.dtype.kind in "SU":
        return np.array([_bytes(x) for x in array.reshape(-1)], object).reshape(array.shape)
    return array
