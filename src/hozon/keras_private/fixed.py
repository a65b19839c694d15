"""Calls in a functional model's graph that keep their arguments, as all calls did in Keras 2.

Keras 3 gives every layer of a functional model the ``training`` that the model is called with,
also where the graph was made with one of its own (``base(x, training=False)``), and has other rules
for masks. A call that is marked for ``training`` keeps its own; one for ``mask`` gets and gives the
masks of Keras 2. The mark is on the graph's node, so models made of other models' tensors keep it
too; calls without it are Keras' own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.models import cloning
from keras.src.models.functional import Functional
from keras.src.ops.function import Function, make_node_key

from hozon.keras_private.bends import bend
from hozon.keras_private.masks import given_mask, merged_as_they_are, set_output_mask

#: Attribute of a marked node: the names of the arguments that it keeps.
_MARK = "hozon_fixed_arguments"


def fix(layer: keras.Layer, names: Collection[str]) -> None:
    """Mark the latest symbolic call of a layer: it keeps the arguments of these names."""
    node = layer._inbound_nodes[-1]
    setattr(node, _MARK, fixed_in(node).union(names))


def fixed_in(node: Any) -> frozenset[str]:
    """The names of the arguments that a call of a graph keeps."""
    found: frozenset[str] = getattr(node, _MARK, frozenset())
    return found


def calls_in(functional: Function, operation: keras.Operation) -> list[Any]:
    """The nodes of an operation that are part of a functional model, as its config lists them."""
    return [
        node
        for i, node in enumerate(operation._inbound_nodes)
        if make_node_key(operation, i) in functional._nodes and node.input_tensors
    ]


def called(
    layer: Any, names: Collection[str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """The outputs of a layer whose call keeps the arguments of these names."""
    if "mask" not in names or not isinstance(layer, keras.Layer):
        return layer(*args, **kwargs)
    mask = given_mask(layer, args, kwargs)
    with merged_as_they_are(layer, args):
        outputs = layer(*args, **(kwargs if mask is None else {**kwargs, "mask": mask}))
    set_output_mask(layer, args, outputs)
    return outputs


def takes(layer: Any, name: str) -> bool:
    """Whether the call of a layer has an argument of this name."""
    return isinstance(layer, keras.Layer) and name in layer.call_signature_parameters


def keeping(node: Any, operation: keras.Operation) -> Any:
    """What runs a node: its operation, which keeps the arguments that the node is marked for."""
    names = fixed_in(node)
    return _Keeping(operation, names) if names else operation


class _Keeping:
    """An operation that is not given arguments by the model around it.

    What it is called with counts for the layers inside of it, not for those called after it.
    """

    def __init__(self, operation: keras.Operation, names: frozenset[str]) -> None:
        self.operation = operation
        self._names = names
        self._call_context_args = frozenset(operation._call_context_args) - names

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        context = global_state.get_global_attribute("current_call_ctx")
        before = {} if context is None else {n: context.get_value(n) for n in self._names}
        try:
            return called(self.operation, self._names, args, kwargs)
        finally:
            for name, value in before.items():
                context.set_value(name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.operation, name)


def _cloning(original: Callable[..., Any]) -> Callable[..., Any]:
    """Keras' clones of functional models keep the marks; callers' functions get plain layers."""

    def clone(model: Any, clone_function: Any, *args: Any, **kwargs: Any) -> Any:
        def cloned(operation: Any) -> Any:
            inside = operation.operation if isinstance(operation, _Keeping) else operation
            return clone_function(inside)

        made = original(model, cloned if callable(clone_function) else None, *args, **kwargs)
        _fix_alike(model, made)
        return made

    return clone


def _fix_alike(functional: Function, clone: Function) -> None:
    """Mark the calls of a clone as those that they were made after, in nested models too."""
    found, made = _calls_by_name(functional), _calls_by_name(clone)
    for name, nodes in found.items():
        for node, again in zip(nodes, made.get(name, ()), strict=False):
            if fixed_in(node):
                setattr(again, _MARK, fixed_in(node))
            inner, other = node.operation, again.operation
            if isinstance(inner, Functional) and isinstance(other, Functional):
                _fix_alike(inner, other)


def _calls_by_name(functional: Function) -> dict[str, list[Any]]:
    """The calls of each operation in the order in which they run."""
    found: dict[str, list[Any]] = {}
    for _, nodes in sorted(functional._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            found.setdefault(node.operation.name, []).append(node)
    return found


def _install() -> None:
    """Let functional models run marked calls as they are marked; others are not touched."""
    original = Function._get_operation_for_node

    def operation_for_node(function: Any, node: Any) -> Any:
        return keeping(node, original(function, node))

    Function._get_operation_for_node = operation_for_node


_install()
bend(cloning, "_clone_functional_model", _cloning)
