"""A pytree of arrays, and JAX functions of it, as the content of a SavedModel. No Keras.

Arrays become variables that TensorFlow can read, assign and fine-tune under their places in the
tree (`hozon.graph_level.pytrees`). A signature is a function of the tree and of keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from hozon import arguments as check
from hozon.containers.savedmodel.content import Content
from hozon.errors import InternalError, UnsupportedError
from hozon.formats.protos.graph import FunctionDef
from hozon.formats.protos.object_graph import (
    ConcreteFunction,
    Payload,
    SavedObjectGraph,
    UserObject,
    Variable,
)
from hozon.formats.protos.tensor import Shape, TypeNumber
from hozon.formats.protos.trackable import encode_trackable_graph
from hozon.graph_level.pytrees import ArrayLeaf, Branch, NamedTree
from hozon.graph_level.written import (
    FIRST,
    SIGNATURES,
    ObjectNodes,
    Trace,
    keyword_signature,
)
from hozon.graphs.emit.function import emit
from hozon.graphs.emit.trace import ArgumentSpec, Capture
from hozon.objects.keys import OBJECT_GRAPH_KEY
from hozon.objects.tracking import Trackable, TrackedNode, track


class TreeDraft:
    """A SavedModel of a tree: a `hozon.containers.savedmodel.content.Draft`."""

    def __init__(
        self,
        tree: Any,
        signatures: Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]],
        *,
        native_only: bool = False,
    ) -> None:
        self.tree = NamedTree(tree)
        self.signatures = signatures
        self.native_only = native_only
        self.fallbacks: dict[str, tuple[str, ...]] = {}
        self.tracked = track(self.tree.root, describe)
        self.nodes = ObjectNodes(
            map(_payload, self.tracked.nodes),
            ({edge.name: edge.node for edge in node.children} for node in self.tracked.nodes),
        )
        self.positions = {id(n.target): i for i, n in enumerate(self.tracked.nodes)}
        self.functions: list[FunctionDef] = []
        self.concrete: dict[str, ConcreteFunction] = {}
        self.gradients: dict[str, str] = {}

    def tensors(self) -> Iterator[tuple[str, Any]]:
        """The arrays, and the object graph that finds them."""
        leaves = sorted(self.tracked.leaves(), key=lambda entry: entry[0])
        if leaves:
            record = np.empty((), object)
            record[()] = encode_trackable_graph(self.tracked.record())
            yield OBJECT_GRAPH_KEY, record
        for key, leaf in leaves:
            yield key, leaf.read()

    def content(self) -> Content:
        """Objects and functions.

        Raises:
            UnsupportedError: a function looks at values or sizes that are not known; or, with
                `native_only`, computes what TensorFlow has no ops for.
        """
        traces = {name: self._signature(name, value) for name, value in self.signatures.items()}
        named = {name: self.nodes.trace(trace) for name, trace in traces.items()}
        self.nodes.edges[0]["signatures"] = self.nodes.generic(SIGNATURES, named)
        return Content(
            objects=SavedObjectGraph(self.nodes.saved(), self.concrete),
            functions=self.functions,
            signatures={name: trace.name for name, trace in traces.items()},
            gradients=self.gradients,
            keys={
                i: n.key for i, n in enumerate(self.tracked.nodes) if n.trackable.leaf is not None
            },
        )

    def _signature(self, name: str, value: Any) -> Trace:
        function, keywords = _taken_apart(name, value)
        leaves = self.tree.arrays
        captures = [Capture(leaf.name, leaf.shape, leaf.dtype.name) for leaf in leaves]

        def call(values: Sequence[Any], **given: Any) -> Any:
            return function(self.tree.filled(values), **given), {}

        try:
            body = emit(
                f"__inference_{name}",
                call,
                (),
                dict(sorted(keywords.items())),
                captures,
                native_only=self.native_only,
            )
        except (UnsupportedError, InternalError):
            raise
        except Exception as error:
            raise UnsupportedError(
                f"signature {name!r} cannot be traced: {str(error)[:500]}",
                feature=f"signature {name!r}",
                instead="jax.lax for decisions that depend on values, inputs of known sizes",
            ) from error
        if not body.native:
            self.fallbacks[name] = body.primitives
        outputs = jax.tree.unflatten(body.structure, list(range(len(body.outputs))))
        named = outputs if isinstance(outputs, Mapping) else _numbered(outputs)
        wrapped = f"__inference_signature_wrapper_{name}"
        made = keyword_signature(wrapped, body, sorted(keywords), named)
        self.functions += [*body.nested, body.definition, made.definition]
        for kind, function_name, description in self.nodes.gradients(body):
            self.gradients[kind] = function_name
            self.concrete[function_name] = description
        bound = tuple(self.positions[id(leaves[i])] for i in body.captures)
        self.concrete[wrapped] = ConcreteFunction(bound, ((), made.inputs), made.outputs)
        return made.trace


def describe(target: Branch | ArrayLeaf) -> Trackable:
    """The named parts of a node, or the array that it is."""
    if isinstance(target, ArrayLeaf):
        return Trackable(leaf=target)
    return Trackable(target.parts)


def _payload(node: TrackedNode) -> tuple[str, Payload]:
    target = node.target
    if isinstance(target, ArrayLeaf):
        number = TypeNumber(target.dtype.number)
        trainable = target.generator is None and target.dtype.numpy.kind in "fcV"
        return "variable", Variable(number, Shape(target.shape), trainable, 0, 0, target.name, "")
    return "user_object", UserObject(target.kind, FIRST, "")


def _taken_apart(name: str, value: Any) -> tuple[Callable[..., Any], dict[str, ArgumentSpec]]:
    try:
        function, keywords = value
        return function, {key: _spec(key, spec) for key, spec in dict(keywords).items()}
    except (TypeError, ValueError) as error:
        raise check.wrong(
            f"signatures[{name!r}]",
            value,
            "a pair of a function and a dictionary of the shapes and dtypes of its keywords, such "
            "as (apply, {'x': ((None, 3), 'float32')})",
        ) from error


def _spec(name: str, value: Any) -> ArgumentSpec:
    shape, dtype = (value.shape, value.dtype) if hasattr(value, "shape") else value
    return ArgumentSpec(tuple(shape), np.dtype(dtype).name, name)


def _numbered(outputs: Any) -> dict[str, int]:
    return {f"output_{i}": place for i, place in enumerate(jax.tree.leaves(outputs))}
