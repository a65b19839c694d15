"""TensorFlow's op definitions: arguments, results, attributes and their defaults.

The data file is made from TensorFlow's own registry by ``make opdefs``; nothing here is typed by
hand. Attribute defaults have the same plain form as attributes of decoded nodes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from hozon.formats.protos.tensor import Shape, TypeNumber


@dataclass(frozen=True, slots=True)
class ArgDef:
    """An argument or result: one tensor, `number_attr` tensors, or one per type of a list."""

    name: str
    type: int
    type_attr: str
    number_attr: str
    type_list_attr: str
    is_ref: bool

    def count(self, attrs: Mapping[str, Any]) -> int:
        """How many tensors this is for a node with these attributes."""
        if self.number_attr:
            return int(attrs.get(self.number_attr, 1))
        if self.type_list_attr:
            return len(attrs.get(self.type_list_attr, ()))
        return 1


@dataclass(frozen=True, slots=True)
class AttrDef:
    """An attribute. `is_arity`: it only says how many inputs or outputs of which type there are."""

    name: str
    type: str
    has_default: bool
    default: Any
    is_arity: bool


@dataclass(frozen=True, slots=True)
class OpDef:
    """One op type of TensorFlow."""

    name: str
    inputs: tuple[ArgDef, ...]
    outputs: tuple[ArgDef, ...]
    attrs: Mapping[str, AttrDef]
    is_stateful: bool

    def output_arity(self, attrs: Mapping[str, Any]) -> int:
        """The number of outputs of a node with these attributes."""
        return sum(output.count(attrs) for output in self.outputs)


@cache
def _table() -> Mapping[str, Any]:
    data = files("hozon.graphs").joinpath("opdefs.json.gz").read_bytes()
    table: Mapping[str, Any] = json.loads(gzip.decompress(data))
    return table


def op_names() -> Iterator[str]:
    """All op types that TensorFlow registers."""
    return iter(_table())


@cache
def op_def(name: str) -> OpDef | None:
    """The definition of an op type, None if TensorFlow 2.21 has none of this name."""
    row = _table().get(name)
    if row is None:
        return None
    inputs, outputs, attrs, stateful = row
    arguments = tuple(ArgDef(*a) for a in inputs)
    results = tuple(ArgDef(*a) for a in outputs)
    arity = {a.number_attr for a in (*arguments, *results)} - {""}
    return OpDef(
        name, arguments, results,
        {a[0]: AttrDef(a[0], a[1], a[2] is not None, _default(a[2]), a[0] in arity)
         for a in attrs},
        stateful,
    )  # fmt: skip


def _default(tagged: Any) -> Any:
    if tagged is None:
        return None
    kind, value = tagged
    if kind == "list":
        return tuple(_default(item) for item in value)
    return _CONVERT.get(kind, lambda v: v)(value)


_CONVERT: Mapping[str, Any] = {
    "s": lambda v: v.encode("latin-1"),
    "f": float,
    "type": TypeNumber,
    "shape": lambda v: Shape(None if v is None else tuple(v)),
}
