"""Checkpoint keys: how TensorFlow spells "this tensor of the object at this path".

A key is ``<path>/.ATTRIBUTES/<tensor>``, the path being edge names joined by ``/``. An optimizer's
slot variable has the key ``<variable path>/.OPTIMIZER_SLOT/<optimizer path>/<slot>/.ATTRIBUTES/
<tensor>``. Inside a name ``.`` is doubled and ``/`` becomes ``.S``, so no name can look like a
separator (tensorflow/python/trackable/trackable_utils.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hozon.errors import FormatError

ATTRIBUTES = ".ATTRIBUTES"
OPTIMIZER_SLOT = ".OPTIMIZER_SLOT"
#: The tensor of a variable.
VARIABLE_VALUE = "VARIABLE_VALUE"
#: The value of a hash table, and what the names of its two tensors, keys and values, end in.
TABLE = "table"
TABLE_PARTS = ("-keys", "-values")
#: The tensor that holds the checkpoint's own object graph.
OBJECT_GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"

_ESCAPED = re.compile(r"\.(.?)")
_ESCAPES = {".": ".", "S": "/"}


def escape(name: str) -> str:
    """One edge or tensor name as it stands inside a key."""
    return name.replace(".", "..").replace("/", ".S")


def unescape(text: str) -> str:
    """The name that `escape` turned into `text`.

    Raises FormatError for a ``.`` that escapes nothing.
    """
    return _ESCAPED.sub(lambda match: _unescape_one(match, text), text)


def _unescape_one(match: re.Match[str], text: str) -> str:
    if match[1] not in _ESCAPES:
        raise FormatError("a checkpoint key has a stray '.'", record=text)
    return _ESCAPES[match[1]]


def path_text(path: Iterable[str]) -> str:
    """A path of edge names as the first part of a key."""
    return "/".join(map(escape, path))


def tensor_key(path: Iterable[str], tensor: str = VARIABLE_VALUE) -> str:
    """The key of a tensor of the object at `path`."""
    return f"{path_text(path)}/{ATTRIBUTES}/{escape(tensor)}"


def slot_key(
    variable: Iterable[str],
    optimizer: Iterable[str],
    slot: str,
    tensor: str = VARIABLE_VALUE,
) -> str:
    """The key of the slot variable that the object at `optimizer` keeps for `variable`."""
    owner = f"{path_text(variable)}/{OPTIMIZER_SLOT}/{path_text(optimizer)}/{escape(slot)}"
    return f"{owner}/{ATTRIBUTES}/{escape(tensor)}"


@dataclass(frozen=True, slots=True)
class Key:
    """A key taken apart. `optimizer` and `slot` are None except for a slot variable."""

    path: tuple[str, ...]
    tensor: str
    optimizer: tuple[str, ...] | None = None
    slot: str | None = None

    def text(self) -> str:
        """The key as the checkpoint spells it."""
        if self.optimizer is None or self.slot is None:
            return tensor_key(self.path, self.tensor)
        return slot_key(self.path, self.optimizer, self.slot, self.tensor)


def parse_key(text: str) -> Key | None:
    """The parts of an object-based key; None for another name (as of a TensorFlow 1 variable)."""
    owner, found, tensor = text.rpartition(f"/{ATTRIBUTES}/")
    if not found:
        return None
    variable, slotted, rest = owner.partition(f"/{OPTIMIZER_SLOT}/")
    if not slotted:
        return Key(_path(owner), unescape(tensor))
    optimizer, _, slot = rest.rpartition("/")
    return Key(_path(variable), unescape(tensor), _path(optimizer), unescape(slot))


def _path(text: str) -> tuple[str, ...]:
    return tuple(map(unescape, text.split("/"))) if text else ()
