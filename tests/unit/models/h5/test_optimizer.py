"""Slots in H5 files find their variables by what the file says, never by their shapes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

import hozon
from hozon.errors import MismatchError

L = keras.layers
X = np.ones((4, 3), "float32")


def model(optimizer: Any, *frozen: str) -> Any:
    """Layers of one shape, whose order is not that of their names."""
    made = keras.Sequential(
        [keras.Input((3,)), *(L.Dense(3, use_bias=False, name=n) for n in ("z", "a", "m"))]
    )
    for name in frozen:
        made.get_layer(name).trainable = False
    made.compile(optimizer, "mse")
    return made


def renumbered(path: Path, version: str, values: Sequence[float], first: bool = True) -> None:
    """Make a file what Keras 1 to 2.3 wrote: values without names, one after the other."""
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = version
        del file["optimizer_weights"]
        group = file.create_group("optimizer_weights")
        arrays = [np.int64(7)] if first else []
        arrays += [np.full((3, 3), value, "float32") for value in values]
        names = [f"training/Any/Variable_{i}:0" for i in range(len(arrays))]
        group.attrs["weight_names"] = [name.encode() for name in names]
        for name, array in zip(names, arrays, strict=True):
            group[name] = array


def slots(model: Any, attribute: str) -> dict[str, float]:
    """The slot of each layer, as one number."""
    trained = model.optimizer._trainable_variables
    found = zip(trained, getattr(model.optimizer, attribute), strict=True)
    return {v.path.split("/")[-2]: float(np.asarray(slot)[0, 0]) for v, slot in found}


def saved(tmp_path: Path, optimizer: Any, *frozen: str) -> Path:
    live = model(optimizer, *frozen)
    live.train_on_batch(X, X)
    hozon.save_model(live, tmp_path / "m.h5", dialect="keras2")
    return tmp_path / "m.h5"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("2.2.4", {"z": 1, "a": 2, "m": 3}),
        ("2.1.6-tf", {"z": 1, "a": 2, "m": 3}),
        ("2.0.6", {"z": 1, "a": 2, "m": 3}),
        ("2.0.5", {"a": 1, "m": 2, "z": 3}),
        ("1.2.2", {"a": 1, "m": 2, "z": 3}),
    ],
)
def test_the_version_says_in_which_order_slots_stand(
    version: str, expected: dict[str, float], tmp_path: Path
) -> None:
    path = saved(tmp_path, keras.optimizers.SGD(0.1, momentum=0.9))
    renumbered(path, version, [1, 2, 3])
    assert slots(hozon.load_model(path), "momentums") == expected


def test_the_class_says_how_many_slots_there_are(tmp_path: Path) -> None:
    """Four values are one slot of each of four variables, not two of each of two."""
    path = saved(tmp_path, keras.optimizers.RMSprop(0.1), "a")
    renumbered(path, "2.2.4", [1, 2, 3])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*its variable is frozen")
        back = hozon.load_model(path)
    assert slots(back, "_velocities") == {"z": 1, "m": 3}
    assert any("/a/" in line for line in back.load_report.lost)


@pytest.mark.parametrize(("version", "values"), [("2.1.2", 6), ("2.1.3", 9)])
def test_the_version_says_how_many_slots_adam_has(
    version: str, values: int, tmp_path: Path
) -> None:
    path = saved(tmp_path, keras.optimizers.Adam(0.1, amsgrad=values == 9))
    renumbered(path, version, range(values))
    back = hozon.load_model(path)
    assert slots(back, "_momentums") == {"z": 0, "a": 1, "m": 2}
    assert slots(back, "_velocities") == {"z": 3, "a": 4, "m": 5}
    other = {"2.1.2": "2.1.3", "2.1.3": "2.1.2"}[version]
    renumbered(path, other, range(values))
    with pytest.raises(MismatchError, match="no counterpart"):
        hozon.load_model(path)


def test_names_of_keras_3_say_whose_slots_they_are(tmp_path: Path) -> None:
    """As many values of the same shapes, of a layer that was frozen since and one that was not."""
    live = model(keras.optimizers.SGD(0.1, momentum=0.9), "a")
    live.train_on_batch(X, X)
    live.get_layer("a").trainable, live.get_layer("z").trainable = True, False
    live.save(tmp_path / "m.h5")
    want = slots(live, "momentums")
    with pytest.warns(UserWarning, match="did not come back whole"):
        back = hozon.load_model(tmp_path / "m.h5")
    assert slots(back, "momentums") == {"a": 0, "m": want["m"]}
    assert any("z/kernel: its variable is frozen" in line for line in back.load_report.lost)
    assert any("a/kernel: the file holds none" in line for line in back.load_report.lost)
