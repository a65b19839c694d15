"""Functions written from JAX, run by TensorFlow and compared with `jax.jit`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import jax
import numpy as np
from jax import export

from hozon.formats.protos.graph import (
    ArgDef,
    FunctionDef,
    FunctionLibrary,
    GraphDef,
    TypeNumber,
    encode_graph,
)
from hozon.graphs.emit.body import Body, Functions
from hozon.graphs.emit.custom import EmittedGradient, placed
from hozon.graphs.emit.definition import pruned
from hozon.graphs.emit.primitives import PRIMITIVES
from hozon.graphs.emit.values import Tensor
from hozon.graphs.execute import call
from hozon.graphs.library import Library
from hozon.stored.dtypes import dtype_of_numpy
from tests.oracle.client import Oracle

#: Imports the functions and runs each with its feeds; an error is an answer too.
RUN = """
from tensorflow.python.framework import function_def_to_graph

def weighted(outputs):
    floating = [o for o in outputs if o.dtype.is_floating]
    return [tf.reduce_sum(o * tf.cos(tf.reshape(tf.cast(tf.range(tf.size(o)), o.dtype),
                                                tf.shape(o)))) for o in floating]

def gradients(graph):
    sources = [x for x in graph.inputs if x.dtype.is_floating]
    found = tf.gradients(weighted(graph.outputs), sources)
    return [tf.zeros_like(x) if g is None else tf.convert_to_tensor(g)
            for x, g in zip(sources, found)]

def run(definition, feeds, differentiate):
    graph = function_def_to_graph.function_def_to_graph(definition)
    with graph.as_default():
        slopes = gradients(graph) if differentiate else []
        with tf.compat.v1.Session(graph=graph) as session:
            return [session.run((list(graph.outputs), [] if k else slopes),
                                {x.name: v for x, v in zip(graph.inputs, feed)})
                    for k, feed in enumerate(feeds)]

def register(kind, definition, captures):
    graph_def, flat = function_def_to_graph.function_def_to_graph_def(definition)
    names = [a.name for a in definition.signature.input_arg]
    wanted = [flat[definition.ret[a.name]] for a in definition.signature.output_arg]

    @tf.RegisterGradient(kind)
    def gradient(op, *cotangents):
        given = [*cotangents, *map(op.graph.get_tensor_by_name, captures)]
        pairs = {f"{n}:0": x for n, x in zip(names, given)}
        made = tf.graph_util.import_graph_def(graph_def, pairs, wanted)
        return [None] * (len(op.inputs) - len(made)) + made

definitions = {f.signature.name: f for f in
               tf.compat.v1.GraphDef.FromString(data).library.function}
for kind, (name, captures) in gradients_of.items():
    register(kind, definitions[name], captures)
for name, (feeds, differentiate) in calls.items():
    try:
        out[name] = (run(definitions[name], feeds, differentiate), "")
    except Exception as error:
        out[name] = ([], f"{type(error).__name__}: {error}"[:2000])
"""


@dataclass(frozen=True)
class Case:
    """A function, the sizes and dtypes of its arguments, and inputs to try it with.

    A spec is a text of sizes, maybe symbolic, and a dtype: ``("b, 4", "float32")``.
    With `gradient`, TensorFlow's gradient for the first inputs is compared as well.
    """

    name: str
    function: Callable[..., Any]
    specs: Sequence[tuple[str, str]]
    inputs: Sequence[Sequence[Any]]
    gradient: bool = False
    constraints: Sequence[str] = ()
    tolerance: float = 2e-5


def written(case: Case, name: str) -> tuple[FunctionDef, Sequence[EmittedGradient]]:
    """The case's function in TensorFlow's terms, and its custom gradients."""
    scope = export.SymbolicScope(case.constraints)
    avals = [
        jax.ShapeDtypeStruct(export.symbolic_shape(sizes, scope=scope) if sizes else (), dtype)
        for sizes, dtype in case.specs
    ]
    closed = jax.make_jaxpr(case.function)(*avals)
    arguments = [Tensor(f"x{i}", np.dtype(a.dtype), tuple(a.shape)) for i, a in enumerate(avals)]
    body = Body(PRIMITIVES, arguments, Functions(name))
    results = body.inline(closed, arguments)
    for x, aval in zip(results, closed.out_avals, strict=True):
        assert x.dtype == aval.dtype
        assert [str(dim) for dim in x.shape] == [str(dim) for dim in aval.shape]
    definition = FunctionDef(
        name,
        tuple(_argument(x.name, x) for x in arguments),
        tuple(_argument(f"y{i}", x) for i, x in enumerate(results)),
        pruned(body.nodes, [x.name for x in results]),
        {f"y{i}": x.name for i, x in enumerate(results)},
        {},
        {},
        {},
        {},
    )
    return definition, placed(body, name, [node.name for node in definition.nodes])


def _argument(name: str, x: Tensor) -> ArgDef:
    return ArgDef(name, TypeNumber(dtype_of_numpy(x.dtype).number))


#: TensorFlow registers a gradient's name once for its process, which many modules ask.
NUMBERS = count()


def ask(oracle: Oracle, cases: Sequence[Case]) -> dict[str, Any]:
    """TensorFlow's answers to all cases, by the cases' names."""
    names = {case.name: f"f{next(NUMBERS)}" for case in cases}
    assert len(names) == len(cases)
    made = {names[case.name]: written(case, names[case.name]) for case in cases}
    functions = {name: definition for name, (definition, _) in made.items()}
    gradients = {g.kind: g for _, found in made.values() for g in found}
    functions |= {g.definition.name: g.definition for g in gradients.values()}
    gradients_of = {kind: (g.definition.name, g.captures) for kind, g in gradients.items()}
    graph = GraphDef((), FunctionLibrary(functions, {}, {}), 2000, 0)
    data = encode_graph(graph).SerializeToString()
    calls = {names[case.name]: (list(case.inputs), case.gradient) for case in cases}
    answers = oracle.python(RUN, data=data, calls=calls, gradients_of=gradients_of)
    return {case.name: answers[names[case.name]] for case in cases}


def check(case: Case, answer: Any) -> None:
    """Compare count, dtype, shape and values with JAX's, and gradients if asked for."""
    runs, error = answer
    assert not error, error
    assert len(runs) == len(case.inputs)
    for k, (feed, (results, slopes)) in enumerate(zip(case.inputs, runs, strict=True)):
        differentiate = case.gradient and k == 0
        expected, wanted_slopes = _by_jax(case.function, feed, differentiate)
        same_arrays(results, expected, case.tolerance)
        if differentiate:
            assert slopes
            same_arrays(slopes, wanted_slopes, 50 * case.tolerance)


def check_own(case: Case) -> None:
    """Compare what Hozon's interpreter makes of the function with JAX's results."""
    library = Library({"f": written(case, "f")[0]})
    feed = case.inputs[0]
    with jax.enable_x64(True):
        results = jax.jit(lambda *arguments: call(library, "f", arguments))(*feed)
    same_arrays(results, jax.tree.leaves(jax.jit(case.function)(*feed)), case.tolerance)


def same_arrays(found: Sequence[Any], expected: Sequence[Any], tolerance: float) -> None:
    """Compare count, dtype, shape and values."""
    assert len(found) == len(expected)
    for result, wanted in zip(found, expected, strict=True):
        _same(np.asarray(result), np.asarray(wanted), tolerance)


def _same(found: Any, expected: Any, tolerance: float) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if found.dtype.kind in "biu":
        np.testing.assert_array_equal(found, expected)
    elif found.dtype.name == "bfloat16":
        _same(found.astype(np.float32), expected.astype(np.float32), tolerance)
    else:
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def _by_jax(
    function: Callable[..., Any], feed: Sequence[Any], differentiate: bool
) -> tuple[Sequence[Any], Sequence[Any]]:
    """Results, and gradients of their sum weighted by the cosine of the position."""
    if not differentiate:
        return jax.tree.leaves(jax.jit(function)(*feed)), []
    places = [i for i, x in enumerate(feed) if np.asarray(x).dtype.kind == "f"]

    def total(*floating: Any) -> tuple[Any, Any]:
        values = list(feed)
        for place, x in zip(places, floating, strict=True):
            values[place] = x
        leaves = jax.tree.leaves(function(*values))
        return sum(_weighted(y) for y in leaves if y.dtype.kind == "f"), leaves

    slopes = jax.jit(jax.grad(total, argnums=tuple(range(len(places))), has_aux=True))
    gradients, results = slopes(*(feed[i] for i in places))
    return results, gradients


def _weighted(y: Any) -> Any:
    return (y * np.cos(np.arange(y.size, dtype=y.dtype)).reshape(y.shape)).sum()


_RANDOM = np.random.default_rng(20)


def floats(*shape: int) -> Any:
    """Normal numbers of single precision."""
    return _RANDOM.normal(size=shape).astype(np.float32)


def integers(low: int, high: int, *shape: int) -> Any:
    """Integers from `low` to below `high`."""
    return _RANDOM.integers(low, high, shape).astype(np.int32)
