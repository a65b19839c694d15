"""Calls in a functional model's graph that keep their arguments, as all calls did in Keras 2.

Keras 3 gives every layer of a functional model the ``training`` that the model is called with,
also where the graph was made with one of its own (``base(x, training=False)``), and has other rules
for masks. A call that is marked for ``training`` keeps its own; one for ``mask`` gets and gives the
masks of Keras 2. The mark is on the graph's node, so models made of other models' tensors keep it
too; calls without it are Keras' own.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras
from keras.src.backend.common import global_state
from keras.src.ops.function import Function, make_node_key

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
        self._operation = operation
        self._names = names
        self._call_context_args = frozenset(operation._call_context_args) - names

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        context = global_state.get_global_attribute("current_call_ctx")
        before = {} if context is None else {n: context.get_value(n) for n in self._names}
        try:
            return called(self._operation, self._names, args, kwargs)
        finally:
            for name, value in before.items():
                context.set_value(name, value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operation, name)


def _install() -> None:
    """Let functional models run marked calls as they are marked; others are not touched."""
    original = Function._get_operation_for_node

    def operation_for_node(function: Any, node: Any) -> Any:
        return keeping(node, original(function, node))

    Function._get_operation_for_node = operation_for_node


_install()
