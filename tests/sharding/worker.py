"""Runs with eight virtual devices: loads under each distribution, and prints what is wrong.

``python -m tests.sharding.worker FOLDER`` prints a JSON object: case -> what is wrong.
"""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

import hozon
from hozon import train

X = np.random.default_rng(5).normal(size=(16, 8)).astype("float32")
Y = np.random.default_rng(6).normal(size=(16, 4)).astype("float32")


@keras.saving.register_keras_serializable(package="sharding")
class Scaled(keras.layers.Layer):
    """A layer of one's own, which is also loaded without its class."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.seen = self.add_weight(initializer="zeros", trainable=False, name="seen")

    def call(self, x: Any) -> Any:
        return x * self.scale + 0 * self.seen


def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, activation="tanh", name="wide"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dense(4, name="narrow"),
        ]
    )


def functional() -> keras.Model:
    inputs = keras.Input((8,))
    a = keras.layers.Dense(16, activation="tanh", name="wide")(inputs)
    x = Scaled(name="scaled")(a)
    x = keras.layers.concatenate([a, x])
    x = keras.layers.Reshape((4, 8))(x)
    x = keras.layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    return keras.Model(inputs, keras.layers.Dense(4, name="narrow")(keras.layers.Flatten()(x)))


MAKES: dict[str, Callable[[], keras.Model]] = {"sequential": sequential, "functional": functional}
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "sequential": lambda: keras.optimizers.Adam(0.01),
    "functional": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
}
MODELS = {"SavedModel": "m", "h5": "m.h5", "keras": "m.keras"}
WEIGHTS = {
    "checkpoint": "w",
    "h5 weights": "w.h5",
    "weights.h5": "w.weights.h5",
    "safetensors": "w.safetensors",
}


def data_parallel() -> Any:
    return keras.distribution.DataParallel()


def model_parallel(shape: tuple[int, int]) -> Any:
    mesh = keras.distribution.DeviceMesh(shape, ("batch", "model"))
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*wide/kernel"] = (None, "model")
    layouts[".*wide/bias"] = ("model",)
    layouts[".*narrow/kernel"] = ("model", None)
    return keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")


DISTRIBUTIONS: dict[str, Callable[[], Any]] = {
    "data parallel": data_parallel,
    "model parallel 2x4": lambda: model_parallel((2, 4)),
    "model parallel 1x8": lambda: model_parallel((1, 8)),
}


@contextmanager
def distributed(distribution: Any) -> Iterator[None]:
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(distribution)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


def compiled(name: str) -> keras.Model:
    model = MAKES[name]()
    model.compile(OPTIMIZERS[name](), "mse")
    return model


def step(model: keras.Model) -> list[np.ndarray[Any, Any]]:
    model.fit(X, Y, batch_size=8, shuffle=False, verbose=0)
    return values(model)


def variables(model: keras.Model) -> list[Any]:
    return [*model.weights, *model.optimizer.variables]


def values(model: keras.Model) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(v.value) for v in variables(model)]


class Truth:
    """One model as it was saved without a distribution, and how it trains on."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        model = compiled(name)
        step(model)
        self.values = values(model)
        for path in MODELS.values():
            hozon.save_model(model, self.folder / path)
        for path in WEIGHTS.values():
            hozon.save_weights(model, self.folder / path)
        train.Checkpoint(model=model, optimizer=model.optimizer).write(str(self.folder / "ckpt"))
        self.outputs = np.asarray(model.predict(X, verbose=0))
        self.trained = step(model)

    def wrong(self, model: keras.Model, *, slots: bool = True) -> Iterator[str]:
        """What is wrong with a model that was loaded under a distribution."""
        count = len(model.weights)
        fresh = compiled(self.name)
        fresh.optimizer.build(fresh.trainable_variables)
        for new, old, value in zip(variables(model), variables(fresh), self.values, strict=True):
            if not new.value.sharding.is_equivalent_to(old.value.sharding, new.ndim):
                yield f"{new.path} lies as {new.value.sharding}, not {old.value.sharding}"
            if slots or any(new is v for v in model.weights):
                if not np.array_equal(new.value, value):
                    yield f"{new.path} has another value"
        if not np.allclose(model.predict(X, verbose=0), self.outputs, atol=1e-5):
            yield "predicts something else"
        if slots:
            trained = zip(step(model), self.trained, strict=True)
            bad = [i for i, (a, b) in enumerate(trained) if not np.allclose(a, b, atol=1e-4)]
            if bad:
                yield f"trained on to other values: {bad} of {count} weights and slots"
        else:
            step(model)

    def wrong_saved(self, model: keras.Model, distribution: Any, path: str) -> Iterator[str]:
        """What is wrong with what a model on several devices saves."""
        saved = self.folder / "again" / path
        saved.parent.mkdir(exist_ok=True)
        hozon.save_model(model, saved)
        expected = values(model)
        with distributed(None):
            loaded = values(hozon.load_model(saved))
        if not all(np.array_equal(a, b) for a, b in zip(loaded, expected, strict=True)):
            yield "saved other values"


def loads(truth: Truth, distribution: Any) -> Iterator[tuple[str, Callable[[], Iterator[str]]]]:
    """Each way to load, with what is wrong then."""

    def whole(path: str) -> Iterator[str]:
        model = hozon.load_model(truth.folder / path)
        yield from truth.wrong(model)
        yield from truth.wrong_saved(model, distribution, path)

    def weights(path: str) -> Iterator[str]:
        model = compiled(truth.name)
        hozon.load_weights(model, truth.folder / path)
        model.optimizer.build(model.trainable_variables)
        yield from truth.wrong(model, slots=False)

    def checkpoint(built: bool) -> Iterator[str]:
        model = compiled(truth.name)
        if built:
            model.optimizer.build(model.trainable_variables)
        holder = train.Checkpoint(model=model, optimizer=model.optimizer)
        holder.read(str(truth.folder / "ckpt"))
        model.optimizer.build(model.trainable_variables)
        yield from truth.wrong(model)

    def without_classes() -> Iterator[str]:
        known = dict(keras.saving.get_custom_objects())
        keras.saving.get_custom_objects().clear()
        try:
            model = hozon.load_model(truth.folder / MODELS["SavedModel"])
        finally:
            keras.saving.get_custom_objects().update(known)
        alone = [v.path for v in variables(model) if len(v.value.sharding.device_set) != 8]
        if alone:
            yield f"on one device: {alone}"
        if not np.allclose(model.predict(X, verbose=0), truth.outputs, atol=1e-5):
            yield "predicts something else"
        step(model)

    yield "SavedModel without classes", without_classes
    for name, path in MODELS.items():
        yield name, lambda path=path: whole(path)
    for name, path in WEIGHTS.items():
        yield name, lambda path=path: weights(path)
    yield "Checkpoint", lambda: checkpoint(built=True)
    yield "Checkpoint, optimizer built later", lambda: checkpoint(built=False)


def main(folder: Path) -> None:
    assert jax.device_count() == 8
    found: dict[str, list[str]] = {}
    truths = [Truth(name, folder) for name in MAKES]
    for title, make in DISTRIBUTIONS.items():
        distribution = make()
        with distributed(distribution):
            for truth in truths if title != "model parallel 1x8" else truths[:1]:
                for form, check in loads(truth, distribution):
                    try:
                        said = list(check())
                    except Exception:  # noqa: BLE001 - reported as what is wrong
                        said = [traceback.format_exc(limit=-4)]
                    found[f"{title}, {truth.name}, {form}"] = said
    print(json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(Path(sys.argv[1]))
