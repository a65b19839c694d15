"""Which stored tensor of one artifact is which of another, by names, across forms.

A form names a tensor by the layer and the variable, by the path of attributes and a number, or by a
key of the object graph. All of them tell the layer, by the names that the file keeps of its objects
and full names of variables, and within it the variable's name or its position. What these do not
tell is left alone: never are tensors paired by their shapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from hozon.containers.agreement import entry_name, layers_of, snake_name
from hozon.containers.checkpoint.audit import object_graph
from hozon.containers.checkpoint.layers import ORDERS
from hozon.containers.keraszip.layout import OPTIMIZER
from hozon.objects.keys import OBJECT_GRAPH_KEY, VARIABLE_VALUE
from hozon.record import ModelRecord, names_of
from hozon.stored.lazy import LazyTensor

__all__ = ["Aligned", "Placed", "align", "placed"]

EMPTY: Mapping[str, str] = MappingProxyType({})
#: Keys of an optimizer's state, of metrics and counters, where tensors are named by objects.
OPTIMIZER_KEYS = re.compile(r"(^|/)optimizer(s/[^/]+)?/|/\.OPTIMIZER_SLOT/")
BESIDE = re.compile(
    r"keras_api/metrics|^save_counter/|(^|/)seed_generator(_\d+)?/|^((compile_)?metrics|metrics_variables)/"
)


@dataclass(frozen=True, slots=True)
class Placed:
    """A stored tensor and what its name tells.

    Attributes:
        name: its own name.
        tensor: the tensor.
        owner: the names of the layers around it, ``encoder/dense``; "" where the name tells none.
        variable: its name in the layer; "" where there is a number.
        position: its position in the layer; None where there is a name.
        beside: whether it is the optimizer's, a metric's or a seed, for which not all forms have
            a place.
    """

    name: str
    tensor: LazyTensor
    owner: str = ""
    variable: str = ""
    position: int | None = None
    beside: bool = False


@dataclass(slots=True)
class Aligned:
    """Pairs of the same tensor, and what only one side has; those `beside` the weights apart."""

    pairs: list[tuple[Placed, Placed]] = field(default_factory=list)
    only_a: list[Placed] = field(default_factory=list)
    only_b: list[Placed] = field(default_factory=list)
    beside_a: list[Placed] = field(default_factory=list)
    beside_b: list[Placed] = field(default_factory=list)


class Names:
    """The names of tensors: of the very ones that are named, and of others by what they are called.

    A checkpoint makes its tensors anew whenever it is asked.
    """

    def __init__(self, named: Mapping[str, LazyTensor]) -> None:
        self._held = {id(tensor): (name, tensor) for name, tensor in named.items()}
        self._called = {tensor.name: name for name, tensor in self._held.values()}

    def of(self, tensor: LazyTensor) -> str:
        """The name of a tensor."""
        held = self._held.get(id(tensor))
        return held[0] if held is not None else self._called[tensor.name]


def placed(
    record: ModelRecord, named: Mapping[str, LazyTensor], renamed: Mapping[str, str] = EMPTY
) -> list[Placed]:
    """The tensors of a record, and what their names tell of each.

    `renamed` says which layer of the other side one is that has another name there.
    """
    names = Names(named)
    make = {
        "layers": _by_layer,
        "attributes": _by_path,
        "objects": _by_object,
        "variables": _by_variable,
    }
    found = list(make[record.naming](record, names))
    return [replace(item, owner=_renamed(item.owner, renamed)) for item in found]


def _renamed(owner: str, renamed: Mapping[str, str]) -> str:
    return "/".join(renamed.get(part, part) for part in owner.split("/"))


def align(a: Sequence[Placed], b: Sequence[Placed], *, alike: bool, of_an_age: bool) -> Aligned:
    """Pair tensors.

    Args:
        a: those of one side.
        b: those of the other.
        alike: whether both sides name theirs in the same way.
        of_an_age: whether the same Keras wrote both, hence number the optimizer's alike.
    """
    made = Aligned()
    left_a, left_b = list(a), list(b)
    if alike:
        by_name = {item.name: item for item in b if of_an_age or not item.beside}
        pairs = [(item, by_name[item.name]) for item in a if item.name in by_name]
        made.pairs += pairs
        paired = {item.name for item, _ in pairs}
        left_a = [item for item in a if item.name not in paired]
        left_b = [item for item in b if item.name not in paired]
    made.beside_a = [item for item in left_a if item.beside]
    made.beside_b = [item for item in left_b if item.beside]
    left_a = [item for item in left_a if not item.beside]
    left_b = [item for item in left_b if not item.beside]
    for mine, theirs in _owners(left_a, left_b):
        made.pairs += _within(mine, theirs)
    done = {id(item) for pair in made.pairs for item in pair}
    made.only_a = [item for item in left_a if id(item) not in done]
    made.only_b = [item for item in left_b if id(item) not in done]
    return made


def _owners(
    a: Sequence[Placed], b: Sequence[Placed]
) -> Iterator[tuple[list[Placed], list[Placed]]]:
    """The tensors of each layer that both sides have; scopes around it may be missing on one."""
    ours, theirs = _grouped(a), _grouped(b)
    for owner in [owner for owner in ours if owner in theirs]:
        yield ours.pop(owner), theirs.pop(owner)
    for told in (_suffixes, _around):
        for mine, other in _claimed(ours, theirs, told):
            yield ours.pop(mine), theirs.pop(other)


def _claimed(
    ours: Iterable[str], theirs: Iterable[str], told: Callable[[str], list[str]]
) -> list[tuple[str, str]]:
    """Owners that just one of the other side is told to be, and the other way round."""
    first, second = _by_told(ours, told), _by_told(theirs, told)
    claims: dict[str, set[str]] = {}
    for owner in ours:
        found = {other for name in (owner, *told(owner)) for other in second.get(name, ())}
        if len(found) == 1:
            claims.setdefault(found.pop(), set()).add(owner)
    single = ((next(iter(mine)), other) for other, mine in claims.items() if len(mine) == 1)
    return [
        (mine, other)
        for mine, other in single
        if len({x for name in (other, *told(other)) for x in first.get(name, ())}) == 1
    ]


def _by_told(owners: Iterable[str], told: Callable[[str], list[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for owner in owners:
        for name in (owner, *told(owner)):
            found.setdefault(name, []).append(owner)
    return found


def _around(name: str) -> list[str]:
    """The layer around an object of it, which one side may call by its attribute, as a cell."""
    around = name.rpartition("/")[0]
    return [around] if around else []


def _suffixes(name: str) -> list[str]:
    """What is left of a name without one enclosing scope, or more."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts))]


def _grouped(items: Sequence[Placed]) -> dict[str, list[Placed]]:
    found: dict[str, list[Placed]] = {}
    for item in items:
        if item.owner:
            found.setdefault(item.owner, []).append(item)
    return found


def _within(a: Sequence[Placed], b: Sequence[Placed]) -> Iterator[tuple[Placed, Placed]]:
    """Tensors of one layer, by name where both sides have names, else by position."""
    if all(item.variable for item in (*a, *b)):
        theirs = {item.variable: item for item in b}
        yield from ((item, theirs[item.variable]) for item in a if item.variable in theirs)
        return
    first, second = _ordered(a), _ordered(b)
    if first is not None and second is not None and len(first) == len(second):
        yield from zip(first, second, strict=True)


def _ordered(items: Sequence[Placed]) -> list[Placed] | None:
    """The tensors of a layer in the order of its weights; None where that is not known."""
    if all(item.position is not None for item in items):
        return sorted(items, key=lambda item: item.position or 0)
    if len(items) == 1:
        return list(items)
    last = [item.variable.rpartition("/")[2] for item in items]
    for order, _ in ORDERS:
        known = [name.rpartition("/")[2] for name in order]
        single = len(set(last)) == len(last) and len(set(known)) == len(known)
        if single and set(last) <= set(known):
            return sorted(items, key=lambda item: known.index(item.variable.rpartition("/")[2]))
    return None


# What names tell


def _by_layer(record: ModelRecord, names: Names) -> Iterator[Placed]:
    for group in record.state:
        counted: dict[str, int] = {}
        for name, tensor in group.tensors.items():
            plain = name.partition(":")[0]
            scope, _, variable = plain.rpartition("/")
            owner = scope or group.name
            position = counted.get(owner, 0)
            counted[owner] = position + 1
            yield Placed(names.of(tensor), tensor, owner, variable, position)
    yield from _of_optimizer(record, names)


def _by_path(record: ModelRecord, names: Names) -> Iterator[Placed]:
    objects = dict(record.names) or dict(_told_by_config(record.config, ""))
    for group in record.state:
        owner = "/".join(names_of(group.name, objects))
        for number, (name, tensor) in enumerate(group.tensors.items()):
            variable = "" if name.isdigit() else name
            beside = bool(BESIDE.search(f"{group.name}/"))
            yield Placed(names.of(tensor), tensor, owner, variable, number, beside)
    yield from _of_optimizer(record, names)


def _by_variable(record: ModelRecord, names: Names) -> Iterator[Placed]:
    for group in record.state:
        beside = bool(BESIDE.search(f"{group.name}/"))
        for name, tensor in group.tensors.items():
            yield Placed(names.of(tensor), tensor, group.name, name, None, beside)
    yield from _of_optimizer(record, names)


def _of_optimizer(record: ModelRecord, names: Names) -> Iterator[Placed]:
    if record.optimizer is not None:
        for tensor in record.optimizer.tensors.values():
            yield Placed(names.of(tensor), tensor, beside=True)


def _told_by_config(config: Mapping[str, Any] | None, path: str) -> Iterator[tuple[str, str]]:
    """Names of layers by path, where the file has none: paths count the classes of the layers."""
    counted: dict[str, int] = {}
    for entry in layers_of(config or {}):
        kind = str(entry.get("class_name", "")).rpartition(">")[2]
        short = snake_name(kind)
        number = counted.get(short, 0)
        counted[short] = number + 1
        place = f"{path}layers/{short}{f'_{number}' if number else ''}"
        yield place, entry_name(entry)
        yield from _told_by_config(entry, f"{place}/")


def _by_object(record: ModelRecord, names: Names) -> Iterator[Placed]:
    told = _full_names(record)
    for group in record.state:
        for key, tensor in group.tensors.items():
            full = told.get(key, "")
            owner, _, variable = full.partition(":")[0].rpartition("/")
            beside = bool(OPTIMIZER_KEYS.search(key) or BESIDE.search(key) or is_optimizers(full))
            yield Placed(names.of(tensor), tensor, owner, variable, None, beside)


def is_optimizers(full: str) -> bool:
    """Whether the full name of a variable is one that only an optimizer gives."""
    return full.startswith(f"{OPTIMIZER}/")


def _full_names(record: ModelRecord) -> dict[str, str]:
    """The full names of variables by their keys, as the object graph tells them."""
    stored = record.metadata.get(OBJECT_GRAPH_KEY)
    if stored is None:
        return {}
    return {
        tensor.key: tensor.full_name
        for node in object_graph(stored, record.path).nodes
        for tensor in node.tensors
        if tensor.name == VARIABLE_VALUE
    }
