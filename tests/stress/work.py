"""What the threads do, and what each finds wrong."""

from __future__ import annotations

import gc
import random
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

import hozon

#: Suffixes of whole models and of weights.
MODELS = ("", ".h5", ".keras")
WEIGHTS = (".weights.h5", ".safetensors", ".ckpt")


@dataclass
class Account:
    """How often each operation ran, and what was wrong."""

    operations: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, name: str, operation: Callable[[], str | None]) -> None:
        """Run an operation, which gives what is wrong."""
        try:
            said = operation()
        except Exception:  # noqa: BLE001 - whatever a thread raises is what we look for
            said = traceback.format_exc(limit=-3)
        with self._lock:
            self.operations[name] += 1
            if said:
                self.wrong.append(f"{name}: {said}")


def _dense() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(2),
        ]
    )


def _convolutional() -> keras.Model:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.add([x, keras.layers.SeparableConv2D(4, 3, padding="same")(x)])
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalMaxPooling2D()(x)))


def _recurrent() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((None, 5)),
            keras.layers.TimeDistributed(keras.layers.Dense(4)),
            keras.layers.Bidirectional(keras.layers.LSTM(3)),
            keras.layers.Dense(2),
        ]
    )


def _words() -> keras.Model:
    inputs = keras.Input((7,), dtype="int64")
    x = keras.layers.Embedding(20, 4)(inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


@dataclass(frozen=True)
class Case:
    """A trained model, an input, and what it predicts."""

    model: keras.Model
    inputs: np.ndarray[Any, Any]
    outputs: np.ndarray[Any, Any]

    def differs(self, model: keras.Model, outputs: Any) -> str | None:
        """What is not as it was."""
        pairs = zip(model.weights, self.model.weights, strict=True)
        unequal = [new.path for new, old in pairs if not np.array_equal(new, old)]
        if unequal:
            return f"other weights: {', '.join(unequal)}"
        far = float(np.max(np.abs(np.asarray(outputs) - self.outputs)))
        return f"predictions off by {far}" if far > 1e-5 else None


def _case(make: Callable[[], keras.Model], inputs: np.ndarray[Any, Any]) -> Case:
    model = make()
    model.compile("adam", "mse")
    model.fit(inputs, np.ones((len(inputs), 2)), epochs=2, verbose=0)
    return Case(model, inputs, np.asarray(model(inputs)))


def cases() -> dict[str, Case]:
    """The models that the threads load and save."""
    rng = np.random.default_rng(3)

    def drawn(*shape: int) -> np.ndarray[Any, Any]:
        return rng.normal(size=shape).astype("float32")

    return {
        "dense": _case(_dense, drawn(4, 6)),
        "convolutional": _case(_convolutional, drawn(4, 8, 8, 3)),
        "recurrent": _case(_recurrent, drawn(4, 6, 5)),
        "words": _case(_words, rng.integers(0, 20, (4, 7))),
    }


class Files:
    """The saved cases, and the operations on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases = cases()
        self.places: dict[Path, Case] = {}
        self.facts: dict[Path, str] = {}
        self.weights: dict[Path, Case] = {}
        for name, case in self.cases.items():
            for suffix in MODELS:
                path = folder / f"{name}{suffix}"
                hozon.save_model(case.model, path)
                self.places[path] = case
                self.facts[path] = _facts(path)
            for suffix in WEIGHTS:
                path = folder / f"{name}{suffix}"
                hozon.save_weights(case.model, path)
                self.weights[path] = case
        self.functions = {
            name: hozon.saved_model.load(folder / name).signatures["serving_default"]
            for name in self.cases
        }

    def load(self, draw: random.Random) -> str | None:
        """A model comes back with its weights, and predicts the same."""
        path, case = draw.choice([*self.places.items()])
        model = hozon.load_model(path)
        return case.differs(model, model(case.inputs))

    def load_weights(self, draw: random.Random) -> str | None:
        """Weights land in a new model."""
        path, case = draw.choice([*self.weights.items()])
        model = keras.models.clone_model(case.model)
        hozon.load_weights(model, path)
        return case.differs(model, model(case.inputs))

    def save(self, draw: random.Random) -> str | None:
        """A model that is saved comes back."""
        case = draw.choice([*self.cases.values()])
        path = self.folder / f"{threading.get_ident()}{draw.choice(MODELS)}"
        hozon.save_model(case.model, path)
        model = hozon.load_model(path)
        return case.differs(model, model(case.inputs))

    def inspect(self, draw: random.Random) -> str | None:
        """What is said of a file is what was said before."""
        path = draw.choice([*self.facts])
        return None if _facts(path) == self.facts[path] else f"{path.name}: other facts"

    def predict(self, draw: random.Random) -> str | None:
        """A function that all threads share gives the same."""
        name = draw.choice([*self.cases])
        case = self.cases[name]
        function = self.functions[name]
        (outputs,) = function(**dict.fromkeys(function.inputs, case.inputs)).values()
        return case.differs(case.model, outputs)


def _facts(path: Path) -> str:
    return repr(hozon.inspect(path))


def known_layers() -> str | None:
    """Layers whose initializers are known begin as they say."""
    for initializer, expected in (("ones", 12.0), ("zeros", 0.0)):
        layer = keras.layers.Dense(4, kernel_initializer=initializer)
        layer.build((None, 3))
        found = float(np.sum(layer.get_weights()[0]))
        if found != expected:
            return f"a kernel of {initializer} sums to {found}"
    return None


def trained() -> list[np.ndarray[Any, Any]]:
    """The weights of a small model after some steps, the same each time."""
    seeds = iter(range(100))
    model = keras.Sequential(
        [
            keras.Input((5, 6)),
            keras.layers.TimeDistributed(
                keras.layers.Dense(4, kernel_initializer=keras.initializers.HeNormal(next(seeds)))
            ),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2, seed=next(seeds)),
            keras.layers.Dense(1, kernel_initializer=keras.initializers.HeNormal(next(seeds))),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    x = np.linspace(-1, 1, 8 * 5 * 6, dtype="float32").reshape(8, 5, 6)
    model.fit(x, x.sum((1, 2)), batch_size=4, epochs=3, shuffle=False, verbose=0)
    return [*model.get_weights(), *(np.asarray(v) for v in model.optimizer.variables)]


def like(truth: list[np.ndarray[Any, Any]]) -> str | None:
    """A model trained now ends as the one that was trained alone."""
    pairs = zip(trained(), truth, strict=True)
    return None if all(np.array_equal(a, b) for a, b in pairs) else "trained to other weights"


def process_state() -> Mapping[str, Any]:
    """What all threads share and none may change."""
    return {
        "warnings": list(warnings.filters),
        "collector": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
        "thresholds": gc.get_threshold(),
        "floatx": keras.config.floatx(),
        "call of TimeDistributed": keras.layers.TimeDistributed.call,
        "save of Model": keras.Model.save,
    }


def stress(folder: Path, seconds: float, threads: int = 8, seed: int = 0) -> Account:
    """Run `threads` threads on files, and one that builds and trains, for some seconds."""
    files, account, truth = Files(folder), Account(), trained()
    before = process_state()
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        draw = random.Random(f"{seed}/{number}")
        while time.monotonic() < end:
            operation = draw.choice(
                (files.load, files.load_weights, files.save, files.inspect, files.predict)
            )
            account.run(operation.__name__, partial(operation, draw))

    def build() -> None:
        while time.monotonic() < end:
            account.run("known_layers", known_layers)
            account.run("train", partial(like, truth))

    running = [
        threading.Thread(target=work, args=(number,), name=f"files {number}")
        for number in range(threads)
    ]
    running.append(threading.Thread(target=build, name="builds"))
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    after = process_state()
    account.wrong += [f"{name} is {after[name]}" for name in before if after[name] != before[name]]
    return account
