"""The calls of a Functional model's layers, from Keras 3's form to Keras 2's.

Keras 2 wrote a call as a structure of ``[layer, node, tensor, kwargs]``, one for each tensor of the
first argument, and everything else as kwargs (tf_keras/src/engine/node.py). A layer that keeps its
input structure, which those around TensorFlow functions do, writes a single tensor as it is; others
write a list of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hozon.config.nodes import CONSTANT, Renumber, key_of, keys_in
from hozon.config.tagged import is_serialized
from hozon.errors import FormatError, UnsupportedError

Call = dict[str, Any]


def written_call(call: Call, renumber: Renumber, *, structured: bool = False) -> Any:
    """A call ``{"args": [first], "kwargs": {...}}`` as Keras 2 wrote it.

    Args:
        call: with one positional argument at most.
        renumber: gives for a reference of Keras 3 the one of Keras 2.
        structured: whether the layer keeps a single tensor as it is.
    """
    kwargs = {key: written_value(value, renumber) for key, value in call["kwargs"].items()}
    first = _first(call["args"][0] if call["args"] else None, kwargs, renumber)
    single = isinstance(first, list) and bool(first) and isinstance(first[0], str)
    return [first] if single and not structured else first


def _first(value: Any, kwargs: Mapping[str, Any], renumber: Renumber) -> Any:
    """The first argument, each tensor and constant with the kwargs beside it."""
    key = key_of(value) if isinstance(value, Mapping) else None
    if key is not None:
        return [*renumber(key), dict(kwargs)]
    items = sequence(value)
    if items is not None and any(keys_in(items)):
        return [_first(item, kwargs, renumber) for item in items]
    if isinstance(value, Mapping) and not is_serialized(value):
        return {name: _first(item, kwargs, renumber) for name, item in value.items()}
    return [CONSTANT, -1, written_value(value, renumber), dict(kwargs)]


def written_value(value: Any, renumber: Renumber) -> Any:
    """A value of a call: tensors as ``[layer, node, tensor]``, slices and arrays as Keras 2 had."""
    key = key_of(value) if isinstance(value, Mapping) else None
    if key is not None:
        return list(renumber(key))
    items = sequence(value)
    if items is not None:
        return [written_value(item, renumber) for item in items]
    if is_serialized(value):
        return _tagged(value, renumber)
    if isinstance(value, Mapping):
        return {name: written_value(item, renumber) for name, item in value.items()}
    return value


def _tagged(value: Mapping[str, Any], renumber: Renumber) -> Any:
    tag, config = value["class_name"], value.get("config")
    if tag == "__slice__" and isinstance(config, Mapping):
        return {
            part: written_value(config.get(part), renumber) for part in ("start", "stop", "step")
        }
    if tag in ("__numpy__", "__tensor__") and isinstance(config, Mapping):
        return config.get("value")
    raise UnsupportedError(f"a call holds a {tag}, which Keras 2 has no form for", feature=tag)


def sequence(value: Any) -> list[Any] | None:
    """The items of a list or of a tagged tuple, None for other values."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if is_serialized(value) and value["class_name"] == "__tuple__":
        items = value.get("config", value.get("items"))
        if not isinstance(items, (list, tuple)):
            raise FormatError(f"a serialized tuple is damaged: {value!r:.100}")
        return list(items)
    return None


def named_call(call: Any, names: Sequence[str], layer: str) -> Call:
    """A call of Keras 3 with only its first argument left without a name.

    The others are in the order in which Keras 3 looks at them: Keras 2 orders a model's layers by
    it, and files' weights by the layers.

    Args:
        call: ``{"args": [...], "kwargs": {...}}``.
        names: of the layer's call arguments in order, as far as they are known.
        layer: for messages.
    """
    if not isinstance(call, Mapping) or not isinstance(call.get("kwargs"), Mapping):
        raise FormatError(f"layer {layer!r} has a call without arguments", record=layer)
    args, kwargs = sequence(call.get("args")) or [], dict(call["kwargs"])
    if not args:
        first = next((n for n in (*names[:1], *kwargs) if any(keys_in(kwargs.get(n)))), None)
        args = [] if first is None else [kwargs.pop(first)]
    if len(args) > max(1, len(names)):
        raise UnsupportedError(
            f"layer {layer!r} was called with {len(args)} positional arguments, whose names the "
            "config does not hold; Keras 2 keeps them by name",
            feature="positional arguments",
            record=layer,
            instead="call the layer with keyword arguments",
        )
    positional = dict(zip(names[1:], args[1:], strict=False))
    return {"args": args[:1], "kwargs": {**positional, **dict(sorted(kwargs.items()))}}


def written_ends(ends: Any, renumber: Renumber) -> Any:
    """``input_layers`` or ``output_layers``: a list of references, also of one; or a dictionary."""
    key = key_of(ends)
    if key is not None:
        return [list(renumber(key))]
    return _ends(ends, renumber)


def _ends(ends: Any, renumber: Renumber) -> Any:
    key = key_of(ends)
    if key is not None:
        return list(renumber(key))
    items = sequence(ends)
    if items is not None:
        return [_ends(end, renumber) for end in items]
    if isinstance(ends, Mapping):
        return {name: _ends(end, renumber) for name, end in ends.items()}
    raise FormatError(f"a model's inputs or outputs hold {ends!r:.100}")
