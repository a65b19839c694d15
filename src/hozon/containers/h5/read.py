"""Reading: an H5 file of Keras 1, 2 or 3 as a `ModelRecord`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from hozon.containers.h5.detect import weights_group
from hozon.containers.h5.layout import (
    BACKEND,
    CONFIG,
    LAYER_NAMES,
    OLD_LAYERS,
    OLD_WEIGHTS,
    OPTIMIZER,
    OPTIMIZER_KERAS3,
    TOP_LEVEL,
    TRAINING,
    TRAINING_KERAS3,
    VERSION,
    WEIGHT_NAMES,
)
from hozon.errors import FormatError
from hozon.formats.hdf5.reader import Group, open_file
from hozon.formats.jsondoc import parse_object
from hozon.limits import LIMITS
from hozon.record import TRAINED_BY, Dialect, ModelRecord, StateGroup, marked
from hozon.stored.lazy import LazyTensor

DIALECTS: dict[str, Dialect] = {"0": "keras1", "1": "keras1", "2": "keras2", "3": "keras3"}


def read(path: str | os.PathLike[str]) -> ModelRecord:
    """The model, or the weights, of an H5 file; tensors are mapped from it, not read.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: it is no HDF5 file, damaged, or none of Keras.
        UnsafeError: it refers to other files.
        UnsupportedError: a tensor has a type or compression that is not known.
    """
    return read_root(open_file(path))


def read_root(root: Group) -> ModelRecord:
    """The record of an open file; see `read`."""
    weights = weights_group(root)
    config = _json(root, CONFIG)
    if weights is None and config is None:
        raise FormatError(
            f"{root.file} holds no Keras model and no weights by layer",
            file=root.file,
            expected=f"attribute {CONFIG!r} or {LAYER_NAMES!r}",
            found=", ".join(root.names()[:8]) or "an empty file",
        )
    places = [root] if weights is None else [root, weights]
    absent = [] if weights is None else _absent(weights)
    training, in_keras3 = _json(root, TRAINING), _json(root, TRAINING_KERAS3)
    version = _text(places, VERSION)
    return ModelRecord(
        form="h5_weights" if config is None else "h5",
        path=root.file,
        dialect=_dialect(version, config),
        naming="layers",
        producer=f"keras {version}" if version else "",
        backend=_text(places, BACKEND),
        config=config,
        training=training or in_keras3,
        trained_in="keras3" if in_keras3 and not training else None,
        state=() if weights is None else _layers(weights),
        optimizer=_optimizer(root),
        metadata={
            **({"absent_layers": absent} if absent else {}),
            **marked(root.attribute(TRAINED_BY)),
        },
    )


def _dialect(version: str, config: Any) -> Dialect:
    """By the version; Keras named none before 1.2, nor where somebody else made the file."""
    if version[:2].rstrip(".") in DIALECTS:
        return DIALECTS[version[:1]]
    if config is not None and '"batch_input_shape"' in str(config).replace("'", '"'):
        return "keras2"
    return "keras1"


def _json(root: Group, name: str) -> dict[str, Any] | None:
    text = root.attribute(name)
    if text is None:
        return None
    if not isinstance(text, (str, bytes)):
        raise FormatError(f"attribute {name!r} is no text", file=root.file, record=name)
    return parse_object(text, file=root.file, record=name)


def _text(groups: Sequence[Group], name: str) -> str:
    found = (group.attribute(name) for group in groups)
    return next((value for value in found if isinstance(value, str)), "")


def _layers(group: Group) -> tuple[StateGroup, ...]:
    """The layers' weights in the order of `layer_names`, the model's own last."""
    names = group.names_attribute(LAYER_NAMES)
    if names is None:
        return _old_layers(group)
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise FormatError(
            f"{group.file} names layers twice: {', '.join(twice[:5])}",
            file=group.file,
            record=LAYER_NAMES,
        )
    layers = [
        _layer(group.group(name), name) if name in group else StateGroup(name, {}) for name in names
    ]
    if TOP_LEVEL not in names and group.is_group(TOP_LEVEL):
        layers.append(_layer(group.group(TOP_LEVEL), TOP_LEVEL))
    return tuple(layers)


def _absent(group: Group) -> list[str]:
    """Layers that are named but have no group; whoever needs their weights says so."""
    return [name for name in group.names_attribute(LAYER_NAMES) or () if name not in group]


def _layer(group: Group, name: str) -> StateGroup:
    names = group.names_attribute(WEIGHT_NAMES)
    if names is None:
        names = [f"param_{i}" for i in range(_count(group, OLD_WEIGHTS))]
    tensors: dict[str, LazyTensor] = {}
    for weight in names:
        if weight in tensors:
            raise FormatError(
                f"layer {name!r} names a weight twice", file=group.file, record=weight
            )
        tensors[weight] = group.tensor(weight, weight)
    return StateGroup(name, tensors)


def _old_layers(group: Group) -> tuple[StateGroup, ...]:
    numbered = [f"layer_{i}" for i in range(_count(group, OLD_LAYERS))]
    return tuple(_layer(group.group(name), name) for name in numbered)


def _count(group: Group, name: str) -> int:
    count = group.attribute(name, 0)
    if not isinstance(count, int) or not 0 <= count <= LIMITS.members:
        raise FormatError(
            f"attribute {name!r} is no number of members", file=group.file, record=name, found=count
        )
    return count


def _optimizer(root: Group) -> StateGroup | None:
    places = (name for name in (OPTIMIZER, OPTIMIZER_KERAS3) if root.is_group(name))
    return next((_layer(root.group(name), OPTIMIZER) for name in places), None)
