"""What is compared of a model, taken in TensorFlow or in Keras 3 on JAX."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Measured = dict[str, Any]


class Failed:
    """A check that raised instead of giving numbers."""

    def __init__(self, error: BaseException) -> None:
        self.kind = type(error).__name__
        self.refused = any(c.__name__ == "HozonError" for c in type(error).__mro__)
        self.text = " ".join(str(error).split())[:600]
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/src/hozon/" in f.filename] or frames[-1:]
        self.where = [f"{f.filename.rpartition('/hozon/')[2]}:{f.name}" for f in ours][-2:]
        self.trace = "".join(traceback.format_exception(error))[-6000:]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text} @ {' < '.join(reversed(self.where))}"


def guarded(check: Callable[[], Any]) -> Any:
    """The answer of a check, or how it failed."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - it is told to the judge
        return Failed(error)


def weighted(value: Any, cos: Callable[[Any], Any]) -> Any:
    """Weights of an output, so that no sum hides an error."""
    return cos(np.arange(value.size, dtype="float32").reshape(value.shape))


@dataclass(frozen=True)
class Data:
    """What a draw is measured on, and what cannot be compared of it."""

    inputs: list[Any]
    targets: Any = None
    weights: Any = None
    class_weight: Any = None
    random: bool = False
    stateful: bool = False
    names: tuple[str, ...] = ()

    @property
    def x(self) -> Any:
        """The inputs as `fit` takes them."""
        return self.given(self.inputs)

    def given(self, values: list[Any]) -> Any:
        """Inputs as the model takes them."""
        if self.names:
            return dict(zip(self.names, values, strict=True))
        return values[0] if len(values) == 1 else values

    @property
    def has_text(self) -> bool:
        """Whether some inputs are strings."""
        return any(x.dtype.kind not in "fi" for x in self.inputs)

    @property
    def y(self) -> Any:
        """The targets as `fit` takes them."""
        single = isinstance(self.targets, list) and len(self.targets) == 1
        return self.targets[0] if single else self.targets


def measure(side: Any, model: Any, data: Data) -> Measured:
    """All checks, in one order everywhere: some change the model's state."""
    found: Measured = {
        "weights": guarded(lambda: side.weights(model)),
        "predict": guarded(lambda: side.call(model, data, False)),
    }
    # TensorFlow's gradients leave state behind, those of JAX do not, and JAX takes no strings
    if not data.stateful and not data.has_text:
        found["gradients"] = guarded(lambda: side.gradients(model, data))
    if data.random:
        return found
    found["training call"] = guarded(lambda: side.call(model, data, True))
    if data.targets is not None:
        found["logs"] = guarded(lambda: side.fit(model, data))
        found["trained"] = guarded(lambda: side.weights(model))
        found["trained predict"] = guarded(lambda: side.call(model, data, False))
    return found


def history(model: Any, data: Data) -> dict[str, list[float]]:
    """What `fit` shows in two steps."""
    shown = model.fit(
        data.x,
        data.y,
        batch_size=len(data.inputs[0]),
        epochs=2,
        shuffle=False,
        verbose=0,
        sample_weight=data.weights,
        class_weight=data.class_weight,
    )
    return {name: [float(v) for v in values] for name, values in shown.history.items()}


class TensorFlowSide:
    """Measures tf_keras' models."""

    def __init__(self) -> None:
        import tensorflow as tf

        self.tf = tf

    def flat(self, outputs: Any) -> list[Any]:
        return [np.asarray(v) for v in self.tf.nest.flatten(outputs)]

    def call(self, model: Any, data: Data, training: bool) -> list[Any]:
        given = data.given([self.tf.constant(x) for x in data.inputs])
        return self.flat(model(given, training=training))

    def gradients(self, model: Any, data: Data) -> list[Any]:
        tf = self.tf
        tensors = [tf.constant(x) for x in data.inputs]
        floats = [t for t in tensors if t.dtype.is_floating]
        variables = list(model.trainable_variables)
        with tf.GradientTape() as tape:
            for t in floats:
                tape.watch(t)
            outputs = tf.nest.flatten(model(data.given(tensors), training=False))
            total = sum(
                tf.reduce_sum(tf.cast(o, tf.float32) * weighted(np.asarray(o), np.cos))
                for o in outputs
            )
        found = tape.gradient(total, [*floats, *variables])
        return [
            np.zeros(v.shape, "float32") if g is None else np.asarray(tf.convert_to_tensor(g))
            for v, g in zip([*floats, *variables], found, strict=True)
        ]

    def weights(self, model: Any) -> list[Any]:
        # a vocabulary is no array, and what a Discretization adapted by is none elsewhere, nor are
        # the weights of words, of any number, that a frozen TextVectorization counts among its own
        found = [v for v in model.weights if hasattr(v, "dtype") and v.dtype.is_floating]
        return [v.numpy() for v in found if "summary" not in v.name and None not in v.shape]

    def fit(self, model: Any, data: Data) -> dict[str, list[float]]:
        return history(model, data)


class KerasSide:
    """Measures Keras 3's models on JAX."""

    def __init__(self) -> None:
        import jax
        import keras

        self.jax = jax
        self.jit = False
        self.keras = keras

    def call(self, model: Any, data: Data, training: bool) -> list[Any]:
        made = model(data.x, training=training)
        return [np.asarray(v) for v in self.keras.tree.flatten(made)]

    def gradients(self, model: Any, data: Data) -> list[Any]:
        jax, inputs = self.jax, data.inputs
        fixed = [v.value for v in model.non_trainable_variables]
        variables = [v.value for v in model.trainable_variables]
        at = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]

        def total(floats: list[Any], values: list[Any]) -> Any:
            given: list[Any] = list(inputs)
            for i, value in zip(at, floats, strict=True):
                given[i] = value
            outputs, _ = model.stateless_call(values, fixed, data.given(given), training=False)
            return sum(
                (o.astype("float32") * weighted(o, jax.numpy.cos)).sum()
                for o in self.keras.tree.flatten(outputs)
            )

        found = jax.grad(total, (0, 1))([jax.numpy.asarray(inputs[i]) for i in at], variables)
        return [np.asarray(g) for group in found for g in group]

    def weights(self, model: Any) -> list[Any]:
        return [
            np.asarray(v.value)
            for v in model.weights
            if (v.dtype == "bfloat16" or np.issubdtype(np.dtype(v.dtype), np.floating))
            and "rnn_state" not in v.path
        ]

    def fit(self, model: Any, data: Data) -> dict[str, list[float]]:
        if not self.jit:
            model.run_eagerly = True  # compiling each small model would take most of the time
        return history(model, data)
