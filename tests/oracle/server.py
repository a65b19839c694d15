"""TensorFlow's side of the oracle; run with the oracle environment's Python."""

from __future__ import annotations

import os
import pickle
import struct
import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tensorflow.python.framework import op_def_library, op_def_registry

tf.config.threading.set_intra_op_parallelism_threads(2)
tf.config.threading.set_inter_op_parallelism_threads(2)


def python(source: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Run a snippet; its dictionary ``out`` is the answer, tensors as arrays."""
    scope: dict[str, Any] = {"tf": tf, "keras": tf_keras, "np": np, "out": {}, **inputs}
    exec(compile(source, "<oracle>", "exec"), scope)
    return tf.nest.map_structure(plain, scope["out"])


def plain(value: Any) -> Any:
    """A tensor or variable as an array; anything else as it is."""
    return value.numpy() if isinstance(value, (tf.Tensor, tf.Variable)) else value


def one_op_graphs(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A graph of one op per case: the GraphDef, feeds, fetches, outputs, gradients, error."""
    return [one_op_graph(**case) for case in cases]


def one_op_graph(
    op: str, inputs: list[Any], attrs: dict[str, Any], known_shapes: bool, gradient: bool
) -> dict[str, Any]:
    """One case; an error of TensorFlow is an answer too, with the graph if that could be built."""
    answer: dict[str, Any] = {
        "graph": b"",
        "feeds": [],
        "fetches": [],
        "outputs": [],
        "gradients": [],
        "error": "",
    }
    try:
        _run_one_op(answer, op, inputs, attrs, known_shapes, gradient)
    except Exception as error:  # noqa: BLE001 - an error is an answer
        answer["error"] = f"{type(error).__name__}: {error}"[:2000]
    return answer


def _run_one_op(
    answer: dict[str, Any],
    op: str,
    inputs: list[Any],
    attrs: dict[str, Any],
    known_shapes: bool,
    gradient: bool,
) -> None:
    graph = tf.Graph()
    with graph.as_default():
        feeds: dict[Any, Any] = {}

        def feed(array: Any) -> Any:
            array = np.asarray(array)
            dtype = tf.string if array.dtype.kind in "OSU" else tf.as_dtype(array.dtype)
            shape = array.shape if known_shapes else None
            placeholder = tf.compat.v1.placeholder(dtype, shape, name=f"in{len(feeds)}")
            feeds[placeholder] = array
            return placeholder

        arguments = [[feed(v) for v in x] if isinstance(x, list) else feed(x) for x in inputs]
        named = dict(zip(op_argument_names(op), arguments, strict=True))
        typed = {**_defaults(op), **{name: _attr(value) for name, value in attrs.items()}}
        op_def_library.apply_op(op, name="op", **named, **typed)
        operation = graph.get_operation_by_name("op")
        outputs = list(operation.outputs)
        floating = [p for p in feeds if p.dtype.is_floating]
        gradients = _gradients(outputs[0], floating) if gradient else []
        answer["graph"] = graph.as_graph_def().SerializeToString()
        answer["feeds"] = [p.name for p in feeds]
        answer["fetches"] = [o.name for o in outputs]
        fetches = [*outputs, *(g for g in gradients if g is not None)]
        with tf.compat.v1.Session(graph=graph) as session:
            values = session.run(fetches or [operation], feeds)
        computed = iter(values[len(outputs) :])
        answer["outputs"] = values[: len(outputs)]
        answer["gradients"] = [None if g is None else next(computed) for g in gradients]


def _gradients(output: Any, sources: list[Any]) -> list[Any]:
    """Gradients weighted by the cosine of the position, so that no sum hides an error."""
    size = tf.size(output)
    weights = tf.cos(tf.cast(tf.range(size), tf.float64))
    weights = tf.cast(tf.reshape(weights, tf.shape(output)), output.dtype)
    gradients = tf.gradients(output, sources, grad_ys=weights)
    return [None if g is None else tf.convert_to_tensor(g) for g in gradients]


def op_argument_names(op: str) -> list[str]:
    """The names of an op's inputs in its definition."""
    return [argument.name for argument in op_def_registry.get(op).input_arg]


def _defaults(op: str) -> dict[str, Any]:
    """The attributes that are not read off the inputs, at their defaults."""
    definition = op_def_registry.get(op)
    inferred = {
        name
        for arg in definition.input_arg
        for name in (arg.type_attr, arg.number_attr, arg.type_list_attr)
    }
    return {
        attr.name: _default(attr.default_value)
        for attr in definition.attr
        if attr.HasField("default_value") and attr.name not in inferred
    }


def _default(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "list":
        fields = [field for _, field in value.list.ListFields()]
        return [tf.as_dtype(x) if value.list.type else x for x in fields[0]] if fields else []
    plain = getattr(value, kind)
    return tf.as_dtype(plain) if kind == "type" else plain


def _attr(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_attr(item) for item in value]
    if isinstance(value, str):
        try:
            return tf.as_dtype(value)
        except TypeError:
            return value
    return value


VERBS: dict[str, Callable[..., Any]] = {"python": python, "one_op_graphs": one_op_graphs}


def respond(verb: str, arguments: dict[str, Any]) -> bytes:
    """The pickled pair (True, answer), or (False, traceback)."""
    try:
        return pickle.dumps((True, VERBS[verb](**arguments)), protocol=4)
    except Exception:  # noqa: BLE001 - it is told to the test
        return pickle.dumps((False, traceback.format_exc()), protocol=4)


def main() -> None:
    """Answer until standard input ends. TensorFlow's own prints go to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while header := sys.stdin.buffer.read(8):
        verb, arguments = pickle.loads(sys.stdin.buffer.read(struct.unpack("<Q", header)[0]))
        data = respond(verb, arguments)
        answers.write(struct.pack("<Q", len(data)) + data)
        answers.flush()


if __name__ == "__main__":
    main()
