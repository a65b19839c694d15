"""TensorFlow's op definitions: arguments, results, attributes and their defaults.

The data file is made from TensorFlow's own registry by ``make opdefs``; nothing here is typed by
hand. It is a JSON object with one op a line: loading it only cuts the lines apart, and an op is
parsed when somebody asks for it. Attribute defaults and allowed values have the same plain form as
attributes of decoded nodes.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from hozon.formats.protos.tensor import Shape, TypeNumber, parse_tensor


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
    """An attribute.

    `is_arity`: it only says how many inputs or outputs of which type there are. `allowed`: the
    values, or of a list the members, that TensorFlow takes; None when any will do. `minimum`: of
    an integer its least value, of a list its least length.
    """

    name: str
    type: str
    has_default: bool
    default: Any
    is_arity: bool
    allowed: tuple[Any, ...] | None
    minimum: int | None


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
def _lines() -> Mapping[str, str]:
    """The text of each op's row by its name."""
    data = files("hozon.graphs").joinpath("opdefs.json.gz").read_bytes()
    members = gzip.decompress(data).decode("ascii").splitlines()[1:-1]
    pairs = (member.rstrip(",").partition(":") for member in members)
    return {name[1:-1]: row for name, _, row in pairs}


def op_names() -> Iterator[str]:
    """All op types that TensorFlow 2.21 registers, in alphabetical order."""
    return iter(_lines())


@cache
def op_def(name: str) -> OpDef | None:
    """The definition of an op type, None if TensorFlow 2.21 has none of this name."""
    row = _lines().get(name)
    if row is None:
        return None
    inputs, outputs, attrs, stateful = json.loads(row)
    arguments = tuple(ArgDef(*a) for a in inputs)
    results = tuple(ArgDef(*a) for a in outputs)
    arity = {a.number_attr for a in (*arguments, *results)} - {""}
    return OpDef(
        name,
        arguments,
        results,
        MappingProxyType({a[0]: _attribute(a, arity) for a in attrs}),
        stateful,
    )


def _attribute(row: Any, arity: Collection[str]) -> AttrDef:
    name, kind, default, allowed, minimum = row
    return AttrDef(
        name, kind, default is not None, _plain(default), name in arity, _plain(allowed), minimum
    )


def _plain(tagged: Any) -> Any:
    """A tagged value of the data file as a decoded node would have it; None stays None."""
    if tagged is None:
        return None
    kind, value = tagged
    if kind == "list":
        return tuple(_plain(item) for item in value)
    return _CONVERT.get(kind, lambda v: v)(value)


_CONVERT: Mapping[str, Any] = {
    "s": lambda v: v.encode("latin-1"),
    "f": float,
    "type": TypeNumber,
    "shape": lambda v: Shape(None if v is None else tuple(v)),
    "tensor": lambda v: parse_tensor(v.encode("latin-1")),
}
