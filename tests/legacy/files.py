"""The recorded files of older Keras versions, and just enough of a weight loader to run them."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SHARED = Path(os.environ.get("HOZON_SHARED", Path(__file__).parents[3] / "shared"))
LEGACY = SHARED / "legacy"
WRITERS = ("keras2.2.4", "tf2.12", "tf2.15")


def cases(writer: str) -> list[str]:
    """The cases of one writer, sorted; none where the folder is missing."""
    folder = LEGACY / writer
    return sorted(path.stem for path in folder.glob("*.npz")) if folder.is_dir() else []


def h5_config(writer: str, case: str, attribute: str = "model_config") -> Any:
    """A JSON attribute of a case's H5 file, None where it has none."""
    with h5py.File(LEGACY / writer / f"{case}.h5", "r") as file:
        value = file.attrs.get(attribute)
    return None if value is None else json.loads(value)


def zip_config(path: Path) -> Any:
    """``config.json`` of a ``.keras`` zip, None where the file is no zip."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as file:
        return json.loads(file.read("config.json"))


def recorded(writer: str, case: str) -> tuple[list[Any], list[Any]]:
    """Recorded inputs and the writer's outputs."""
    with np.load(LEGACY / writer / f"{case}.npz", allow_pickle=True) as data:
        inputs = [data[f"x{i}"] for i in range(int(data["nx"]))]
        return inputs, [data[f"y{i}"] for i in range(int(data["ny"]))]


def load_weights(model: Any, writer: str, case: str) -> None:
    """Give the weights of an H5 file to a model's layers by name and position."""
    with h5py.File(LEGACY / writer / f"{case}.h5", "r") as file:
        group = file["model_weights"]
        for layer in model.layers:
            found = next((n for n in (layer.name,) if n in group), None)
            if found is None:
                continue
            names = [_text(name) for name in group[found].attrs["weight_names"]]
            values = [np.asarray(group[found][name]) for name in names]
            _assign(layer, values)


def _assign(layer: Any, values: list[Any]) -> None:
    variables = [
        v
        for v in (*layer.trainable_weights, *layer.non_trainable_weights)
        if "seed_generator" not in v.path
    ]
    assert len(variables) == len(values), (layer.name, len(variables), len(values))
    for variable, value in zip(variables, values, strict=True):
        assert tuple(variable.shape) == value.shape, (layer.name, variable.path, value.shape)
        variable.assign(value)
    if hasattr(layer, "finalize_state") and values:
        layer.finalize_state()


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def run(model: Any, inputs: list[Any]) -> Iterator[Any]:
    """The model's outputs, flat, as NumPy arrays; a model that takes strings runs its layers."""
    import keras

    if any(str(x.dtype) == "string" for x in model.inputs):
        outputs = inputs[0]
        for layer in model.layers:
            outputs = layer(outputs)
    else:
        outputs = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
    for output in keras.tree.flatten(outputs):
        yield np.asarray(output)
