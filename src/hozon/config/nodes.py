"""The calls of a Functional model's layers, in every form they were written in, as Keras 3's.

Keras 1 and 2 wrote a call as a structure of ``[layer, node, tensor, kwargs]`` (a single one where
the layer took one tensor as it is), with further tensors inside the kwargs as
``[layer, node, tensor]`` and constants as ``["_CONSTANT_VALUE", -1, value, kwargs]``. Keras 3
writes ``{"args": [...], "kwargs": {...}}`` with ``__keras_tensor__`` objects. A model used as a
layer had its own first call as node 0 in Keras 2, so that its calls elsewhere start at 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hozon.config.tagged import is_serialized
from hozon.errors import FormatError
from hozon.typing import ConfigEntry

CONSTANT = "_CONSTANT_VALUE"
#: Key of a call: the names of its arguments that are as in Keras 2, which Keras 3 has other rules
#: Key of an entry whose object stands in several places of a config: a number of its own.
SHARED = "shared_object_id"
#: for: a ``training`` that the model's own does not override, a ``mask`` that tensors carry.
FIXED = "fixed"
#: The arguments that Keras 3 overrides with the model's own.
OVERRIDDEN = ("training",)
#: Layers whose outputs carried another mask in Keras 2; those of several tensors did too.
MERGES = frozenset({"Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"})
MASKS_DIFFER = MERGES | {"Concatenate", "TimeDistributed"}
#: Layers of Keras 2 around TensorFlow's functions, which keep the structure of their inputs.
STRUCTURED = frozenset({"TFOpLambda", "SlicingOpLambda", "InstanceProperty", "InstanceMethod"})
Key = tuple[str, int, int]
Call = dict[str, Any]
#: Turns a reference of the file into the one to write.
Renumber = Callable[[Key], Key]


def key_of(value: Any) -> Key | None:
    """The tensor that a value names, in either dialect; None for other values."""
    if is_reference(value):
        return (value[0], value[1], value[2])
    if is_serialized(value) and value["class_name"] == "__keras_tensor__":
        try:
            name, node, tensor = value["config"]["keras_history"]
            return (str(name), int(node), int(tensor))
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"a tensor reference is damaged: {value!r:.200}") from error
    return None


def is_reference(value: Any) -> bool:
    """Whether a value is ``[layer, node, tensor]`` or ``[layer, node, tensor, kwargs]``."""
    return (
        isinstance(value, (list, tuple))
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and value[0] != CONSTANT
        and all(isinstance(i, int) and not isinstance(i, bool) for i in value[1:3])
        and (len(value) == 3 or value[3] is None or isinstance(value[3], Mapping))
    )


def is_constant(value: Any) -> bool:
    """Whether a value is ``["_CONSTANT_VALUE", -1, value, kwargs]``."""
    return isinstance(value, (list, tuple)) and len(value) >= 3 and value[0] == CONSTANT


def keys_in(value: Any) -> Iterator[Key]:
    """All tensors that a value names, at any depth, those in kwargs too."""
    key = key_of(value)
    if key is not None:
        yield key
        value = value[3] if isinstance(value, (list, tuple)) and len(value) > 3 else None
    if isinstance(value, Mapping):
        for item in value.values():
            yield from keys_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from keys_in(item)


def tensor(key: Key) -> dict[str, Any]:
    """Keras 3's form of a reference."""
    return {"class_name": "__keras_tensor__", "config": {"keras_history": list(key)}}


def upgraded_call(call: Any, names: frozenset[str], renumber: Renumber) -> Call:
    """A call of any dialect as ``{"args": ..., "kwargs": ...}``.

    `names` are the layers of the model: a list in kwargs that starts with another string is a
    plain value.
    """
    if isinstance(call, Mapping) and "args" in call and "kwargs" in call:
        return {
            "args": _references(call["args"], names, renumber),
            "kwargs": _references(call["kwargs"], names, renumber),
        }
    kwargs: dict[str, Any] = {}
    if isinstance(call, (list, tuple)) and len(call) == 1 and not isinstance(call[0], Mapping):
        call = call[0]
    argument = _argument(call, kwargs, names, renumber)
    given = {
        key: _references(value, names, renumber)
        for key, value in kwargs.items()
        if value is not None
    }
    return {"args": [argument], "kwargs": given}


def kept(call: Call, class_name: str) -> Call:
    """A call of Keras 2 with the names of the arguments that Keras 3 has another rule for."""
    kwargs = call["kwargs"]
    names = [name for name in OVERRIDDEN if kwargs.get(name) is not None]
    rest = {key: value for key, value in kwargs.items() if not key.endswith("mask")}
    if class_name in MASKS_DIFFER or any(keys_in(rest)):
        names.append("mask")
    return {**call, FIXED: names} if names else call


def _argument(value: Any, kwargs: dict[str, Any], names: frozenset[str], renumber: Renumber) -> Any:
    """The first argument of a call, its structure kept; `kwargs` receives the others."""
    key = key_of(value)
    if key is not None or is_constant(value):
        if isinstance(value, (list, tuple)) and len(value) > 3:
            kwargs.update(value[3] or {})
        return value[2] if key is None else tensor(renumber(_known(key, names)))
    if isinstance(value, Mapping):
        return {name: _argument(item, kwargs, names, renumber) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_argument(item, kwargs, names, renumber) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise FormatError(f"a call holds {value!r:.100} where a tensor belongs")


def _known(key: Key, names: frozenset[str]) -> Key:
    if key[0] not in names:
        raise FormatError(
            f"a layer reads from {key[0]!r}, which the model does not have", record=key[0]
        )
    if key[1] < 0 or key[2] < 0:
        raise FormatError(f"a layer reads tensor {list(key)}, which cannot be", record=key[0])
    return key


def _references(value: Any, names: frozenset[str], renumber: Renumber) -> Any:
    """A value with the references in it in Keras 3's form."""
    key = key_of(value)
    if key is not None and (key[0] in names or not isinstance(value, (list, tuple))):
        return tensor(renumber(_known(key, names)))
    if is_constant(value):
        return value[2]
    if isinstance(value, Mapping):
        return {name: _references(item, names, renumber) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_references(item, names, renumber) for item in value]
    return value


def upgraded_ends(ends: Any, renumber: Renumber) -> Any:
    """``input_layers`` or ``output_layers``: one tensor, or a list or dictionary of them."""
    key = key_of(ends)
    if key is not None:
        return list(renumber(key))
    if isinstance(ends, Mapping):
        return {name: upgraded_ends(end, renumber) for name, end in ends.items()}
    if isinstance(ends, (list, tuple)):
        return [upgraded_ends(end, renumber) for end in ends]
    raise FormatError(f"a model's inputs or outputs hold {ends!r:.100}")


def first_nodes(entries: list[dict[str, Any]], config: ConfigEntry) -> dict[str, int]:
    """For each layer the number of its first call in references: 1 for a model in Keras 2."""
    highest: dict[str, int] = {}
    sources = [entry.get("inbound_nodes") or [] for entry in entries]
    for value in (*sources, config.get("input_layers"), config.get("output_layers")):
        for name, node, _ in keys_in(value):
            highest[name] = max(highest.get(name, 0), node)
    calls = {str(entry.get("name")): len(entry.get("inbound_nodes") or []) for entry in entries}
    return {name: max(0, node + 1 - max(1, calls.get(name, 1))) for name, node in highest.items()}
