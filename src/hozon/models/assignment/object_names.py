"""The names of a file's layers by the paths of their groups: as it says, or by its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import keras

from hozon.keras_private.paths import saveables, to_snake_case
from hozon.record import ModelRecord
from hozon.typing import ConfigEntry

#: Classes of models, whose layers a file has in a list.
MODELS = ("Sequential", "Functional", "Model")
#: Objects whose names people choose.
NAMED = (keras.Layer, keras.optimizers.Optimizer)


def object_names(record: ModelRecord) -> Mapping[str, str]:
    """Names of layers by path; empty where the file tells none."""
    if record.names or record.config is None:
        return record.names
    return dict(_layers(record.config, ""))


def _layers(entry: ConfigEntry, path: str) -> Iterator[tuple[str, str]]:
    """The layers of a Sequential or functional model's config, as Keras numbers their classes."""
    config = entry.get("config")
    layers = config.get("layers") if isinstance(config, Mapping) else None
    if entry.get("class_name") not in MODELS or not isinstance(layers, list):
        return
    used: dict[str, int] = {}
    for layer in layers:
        inner = layer.get("config") if isinstance(layer, Mapping) else None
        name = (layer.get("name") or inner.get("name")) if isinstance(inner, Mapping) else None
        if not isinstance(name, str):
            continue
        kind = to_snake_case(str(layer.get("class_name")).rpartition(">")[2])
        used[kind] = used.get(kind, -1) + 1
        below = f"{path}layers/{kind}" + (f"_{used[kind]}" if used[kind] else "")
        yield below, name
        yield from _layers(layer, f"{below}/")


def object_paths(model: keras.Model) -> Iterator[tuple[str, str]]:
    """The paths of a model's layers and optimizers, and their names; its own does not count."""
    for path, target in saveables(model):
        name = getattr(target, "name", None)
        if path and isinstance(name, str) and isinstance(target, NAMED):
            yield path, name
