"""The objects of a live model that own variables, by the paths that files name them by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras

from hozon.keras_private.paths import saveables
from hozon.models.assignment.learned import learned_name
from hozon.record import ModelRecord, StateGroup
from hozon.stored.dtypes import INT32, INT64

#: Classes whose own `load_own_variables` only assigns, one variable after the other.
PLAIN = (keras.Layer, keras.Metric, keras.optimizers.Optimizer, keras.random.SeedGenerator)


#: Attributes of layers that are private in tf_keras, whose files name them so.
PRIVATE_IN_KERAS2: Mapping[type, tuple[str, ...]] = {
    keras.layers.MultiHeadAttention: ("query_dense", "key_dense", "value_dense", "output_dense"),
}


@dataclass(frozen=True, slots=True)
class Owner:
    """One object: its path, itself, and what it would save, by name.

    `assigns` says that the values are variables and that loading only assigns them; `fixed` that
    what is stored must have just their names and shapes; `optional` that a file need not have it.
    """

    path: str
    target: Any
    variables: Mapping[str, Any]
    assigns: bool
    fixed: bool
    optional: bool = False


def owners(root: Any, *, optimizer: bool, keras2: bool = False) -> Iterator[Owner]:
    """All objects below a model or layer that save variables; by tf_keras' paths if `keras2`."""
    for path, target in saveables(root, keras2):
        if not optimizer and isinstance(target, keras.optimizers.Optimizer):
            continue
        if isinstance(target, keras.optimizers.Optimizer) and not target.built:
            continue
        stored = _stored(target)
        if learned_name(target):
            # Keras 3 takes the summary of bins and does not store it; weights of tokens need not
            # be there before the file's are.
            yield Owner(path, target, stored, assigns=False, fixed=False, optional=True)
        elif stored:
            variables = all(isinstance(value, keras.Variable) for value in stored.values())
            assigns = variables and _is_plain(target)
            known = variables and type(target).__module__.startswith("keras.")
            fixed = assigns or known or isinstance(target, keras.optimizers.Optimizer)
            yield Owner(path, target, stored, assigns, fixed)
        yield from _seeds(path, target)


def _stored(target: Any) -> dict[str, Any]:
    """What an object would save; of Keras' optimizers the variables, not copies of their values."""
    save = getattr(target, "save_own_variables", None)
    if getattr(save, "__func__", None) is keras.optimizers.Optimizer.save_own_variables:
        return {str(i): variable for i, variable in enumerate(target.variables)}
    stored: dict[str, Any] = {}
    if save is not None:
        save(stored)
    return stored


def _seeds(path: str, target: Any) -> Iterator[Owner]:
    """The states of a layer's random numbers, which Keras itself leaves out."""
    if isinstance(target, keras.Layer):
        for name, value in vars(target).items():
            if isinstance(value, keras.random.SeedGenerator):
                stored = {"0": value.state}
                yield Owner(f"{path}/{name}".lstrip("/"), value, stored, True, True, optional=True)


def keras2_paths(root: Any) -> Callable[[str], str]:
    """How tf_keras names a path of Keras 3: by private attributes, which Keras 3 has as public."""
    hidden = {
        f"{path}/{name}"
        for path, target in saveables(root)
        for kind, names in PRIVATE_IN_KERAS2.items()
        if isinstance(target, kind)
        for name in names
    }

    def renamed(path: str) -> str:
        owner, _, name = path.rpartition("/")
        return f"{owner}/_{name}" if path in hidden else path

    return renamed


def _is_plain(target: Any) -> bool:
    own = type(target).load_own_variables
    bases = (base for base in PLAIN if isinstance(target, base))
    return any(own is base.load_own_variables for base in bases) or _of_keras(own)


def _of_keras(method: Any) -> bool:
    """Whether a method is that of one of Keras' base classes."""
    return method.__qualname__ in (
        "Layer.load_own_variables",
        "BaseOptimizer.load_own_variables",
        "Metric.load_own_variables",
    )


def objects_by_path(model: keras.Model) -> dict[str, Any]:
    """What Keras 3 saves of a model, by path."""
    return dict(saveables(model))


def optimizers_by_path(live: Mapping[str, Any]) -> dict[str, keras.optimizers.Optimizer]:
    """The optimizers among a model's objects, those that a step of its own uses included."""
    return {
        path: target
        for path, target in live.items()
        if isinstance(target, keras.optimizers.Optimizer)
    }


def inner_models(live: Mapping[str, Any]) -> dict[str, keras.Model]:
    """The models inside of one, among its objects."""
    return {path: m for path, m in live.items() if path and isinstance(m, keras.Model)}


def future_optimizers(
    live: Mapping[str, Any], record: ModelRecord
) -> dict[str, tuple[keras.Model, str]]:
    """Optimizers of a file that the model's own code makes later: by path, owner and attribute.

    A class with a ``compile`` of its own has none before that is called.
    """
    found = {group.name: group.name.rpartition("/") for group in record.state}
    return {
        group.name: (live[owner], name)
        for group in record.state
        for owner, _, name in [found[group.name]]
        if _counts_steps(group) and is_yet_to_come(live.get(owner), name)
    }


def is_yet_to_come(owner: Any, name: str) -> bool:
    """Whether a class of the user's may yet make an optimizer of this name."""
    own = isinstance(owner, keras.Model) and not type(owner).__module__.startswith("keras.")
    return own and bool(name) and getattr(owner, name, None) is None


def _counts_steps(group: StateGroup) -> bool:
    """Whether the first value is a counter, which no layer's is."""
    first = group.tensors.get("0")
    return first is not None and first.shape == () and first.dtype in (INT32, INT64)
