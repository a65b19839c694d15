"""Whole functions with variables, written by `emit`, run by TensorFlow and by JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from hozon.formats.protos.graph import FunctionLibrary, GraphDef, encode_graph
from hozon.graphs.emit.function import EmittedFunction, emit
from hozon.graphs.emit.keys import numbers
from hozon.graphs.emit.trace import ArgumentSpec, Capture
from hozon.graphs.execute import call
from hozon.graphs.library import Library
from hozon.graphs.resources import Variable
from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import same_arrays

#: Loads the functions as tf.saved_model.load does and calls each with its feeds, one after the
#: other on the same variables; an error is an answer too. With `slopes`, gradients of the
#: weighted sum of the outputs, for floating inputs and variables.
RUN = """
from tensorflow.core.protobuf import saved_object_graph_pb2
from tensorflow.python.saved_model import function_deserialization, nested_structure_coder

library = tf.compat.v1.GraphDef.FromString(data).library
objects = saved_object_graph_pb2.SavedObjectGraph()
for function in library.function:
    specs = [tf.TensorSpec(None, tf.DType(r.type)) for r in function.signature.output_arg]
    described = objects.concrete_functions[function.signature.name]
    described.output_signature.CopyFrom(nested_structure_coder.encode_structure(specs))
    inputs = tuple(tf.TensorSpec(None, tf.DType(a.type), a.name)
                   for a in function.signature.input_arg)
    described.canonicalized_input_signature.CopyFrom(
        nested_structure_coder.encode_structure((inputs, {})))
functions = function_deserialization.load_function_def_library(library, objects)

def floating(values):
    return [x for x in values if x.dtype.is_floating]

def one(function, feed, variables, wanted):
    inputs = [tf.constant(x) for x in feed]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        if wanted:
            tape.watch(floating(inputs))
            tape.watch(floating(variables))
        results = function._call_flat(inputs + [v.handle for v in variables], [])
        total = [tf.reduce_sum(y * tf.cast(1 + i, y.dtype)) for i, y in enumerate(results)
                 if y.dtype.is_floating]
    sources = floating(inputs) + floating(variables)
    slopes = tape.gradient(total, sources, unconnected_gradients="zero") if wanted else []
    return list(results), [tf.convert_to_tensor(g) for g in slopes]

for name, (feeds, values, wanted) in calls.items():
    try:
        variables = [tf.Variable(v) for v in values]
        runs = [one(functions[name], feed, variables, wanted and not k)
                for k, feed in enumerate(feeds)]
        out[name] = (runs, [v.numpy() for v in variables], "")
    except Exception as error:
        out[name] = ([], [], f"{type(error).__name__}: {error}"[:3000])
"""


@dataclass(frozen=True)
class Case:
    """A function of variables and arguments, sizes of the arguments, and inputs in turn."""

    name: str
    function: Callable[..., Any]
    specs: Sequence[tuple[tuple[int | str | None, ...], str]]
    feeds: Sequence[Sequence[Any]]
    variables: Sequence[Any] = ()
    gradient: bool = False
    native: bool = True
    tolerance: float = 2e-5
    constraints: Sequence[str] = ()

    def written(self, name: str) -> EmittedFunction:
        """The function in TensorFlow's terms."""
        specs = [ArgumentSpec(shape, dtype, f"x{i}") for i, (shape, dtype) in enumerate(self.specs)]
        captures = [
            Capture(f"v{i}", np.shape(v), np.asarray(v).dtype.name)
            for i, v in enumerate(self.variables)
        ]
        emitted = emit(name, self.function, specs, None, captures, constraints=self.constraints)
        assert emitted.native == self.native
        return emitted


def ask(oracle: Oracle, cases: Sequence[Case]) -> dict[str, Any]:
    """TensorFlow's answers to all cases, by the cases' names."""
    calls, functions = {}, {}
    for number, case in enumerate(cases):
        emitted = case.written(f"f{number}")
        functions |= {f.name: f for f in (emitted.definition, *emitted.nested)}
        values = [case.variables[i] for i in emitted.captures]
        calls[f"f{number}"] = (list(case.feeds), values, case.gradient)
    graph = GraphDef((), FunctionLibrary(functions, {}, {}), 2000, 0)
    data = encode_graph(graph).SerializeToString()
    answers = oracle.python(RUN, data=data, calls=calls)
    return {case.name: answers[f"f{number}"] for number, case in enumerate(cases)}


def check(case: Case, answer: Any) -> None:
    """Compare outputs, gradients and the variables afterwards with JAX's."""
    runs, variables, error = answer
    assert not error, error
    wanted, slopes, values = by_jax(case)
    for (results, _), expected in zip(runs, wanted, strict=True):
        same_arrays(results, expected, case.tolerance)
    if case.gradient:
        assert slopes
        same_arrays(runs[0][1], slopes, 50 * case.tolerance)
    used = case.written("f").captures if case.variables else ()
    same_arrays(variables, [values[i] for i in used], case.tolerance)


def check_own(case: Case) -> None:
    """Compare what Hozon's interpreter makes of the function with JAX's results."""
    emitted = case.written("f")
    library = Library({f.name: f for f in (emitted.definition, *emitted.nested)})
    variables = [_variable(np.asarray(case.variables[i])) for i in emitted.captures]
    wanted, _, values = by_jax(case)
    for feed, expected in zip(case.feeds, wanted, strict=True):
        same_arrays(call(library, "f", [*feed, *variables]), expected, case.tolerance)
    found = [variable.read() for variable in variables]
    same_arrays(found, [values[i] for i in emitted.captures], case.tolerance)


def _variable(value: Any) -> Variable:
    return Variable(value, name="v", shape=value.shape, dtype=value.dtype)


def by_jax(case: Case) -> tuple[list[Any], list[Any], list[Any]]:
    """Outputs of each call, gradients at the first one, and the variables after the last."""
    values = [np.asarray(v) for v in case.variables]
    slopes = _slopes(case, values) if case.gradient else []
    outputs = []
    for feed in case.feeds:
        results, updates = jax.jit(case.function)(values, *feed)
        outputs.append(jax.tree.leaves(results))
        values = [numbers(updates.get(i, value)) for i, value in enumerate(values)]
    return outputs, slopes, values


def _slopes(case: Case, values: list[Any]) -> list[Any]:
    leaves, tree = jax.tree.flatten((values, list(case.feeds[0])))
    order = [*range(len(values), len(leaves)), *case.written("f").captures]
    places = [i for i in order if np.asarray(leaves[i]).dtype.kind == "f"]

    def total(*given: Any) -> Any:
        filled = list(leaves)
        for place, x in zip(places, given, strict=True):
            filled[place] = x
        values, feed = jax.tree.unflatten(tree, filled)
        results = jax.tree.leaves(case.function(values, *feed)[0])
        return sum((i + 1) * y.sum() for i, y in enumerate(results) if y.dtype.kind == "f")

    return list(jax.jit(jax.grad(total, tuple(range(len(places)))))(*(leaves[i] for i in places)))
