"""Names of variables in H5 files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hozon.models.assignment.layers import name_of, owners, weights_of
from hozon.record import Dialect

if TYPE_CHECKING:
    import keras


def stored_names(
    layer: keras.Layer, variables: Sequence[keras.Variable], dialect: Dialect
) -> list[str]:
    """A name for each variable of a layer, all different: ``dense/kernel:0``.

    Keras 2 begins with the name of the layer that has the variable, also within nested models.
    """
    end = ":0" if dialect == "keras2" else ""
    inside = {id(v): owner for owner in reversed(owners(layer)) for v in weights_of(owner)}
    names = [name_of(inside.get(id(v), layer), v) for v in variables]
    return [f"{name}{end}" for name in different(names)]


def different(names: Sequence[str]) -> list[str]:
    """The same names; one that was there before, or lies below another one, gets a number."""
    taken: set[str] = set()
    made = []
    for name in names:
        free, number = name, 0
        while _is_taken(free, taken):
            number += 1
            free = f"{name}_{number}"
        taken.add(free)
        made.append(free)
    return made


def _is_taken(name: str, taken: set[str]) -> bool:
    parts = name.split("/")
    above = {"/".join(parts[:i]) for i in range(1, len(parts) + 1)}
    return bool(above & taken) or any(other.startswith(f"{name}/") for other in taken)
