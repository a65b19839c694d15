"""What a SavedModel cannot say of a live model is told when it is saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

import hozon


def test_scales_of_float8_are_told(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="e")])
    assert hozon.save_model(model, tmp_path / "plain").lost == []
    model.layers[0].quantize("float8")
    lost = hozon.save_model(model, tmp_path / "m").lost
    assert len([line for line in lost if "kernel_scale" in line and "steps differ" in line]) == 1
    report = hozon.save_model(model, tmp_path / "m.keras")
    assert report.lost == []


class Encoder(keras.Model):
    """A functional model of a class whose config does not list its layers."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        tokens = keras.Input((None,), dtype="int32", name="tokens")
        shown = keras.layers.Embedding(9, size)(tokens)
        kept = keras.ops.expand_dims(keras.ops.not_equal(tokens, 0), -1)
        super().__init__(tokens, keras.ops.where(kept, shown, 0.0), **kwargs)
        self.size = size

    def get_config(self) -> dict[str, Any]:
        return {"size": self.size, "name": self.name}


def test_a_config_need_not_list_layers(tmp_path: Path) -> None:
    model = Encoder(4)
    hozon.save_model(model, tmp_path / "m")
    loaded = hozon.load_model(tmp_path / "m", custom_objects={"Encoder": Encoder}, compile=False)
    tokens = np.array([[1, 0, 3]], "int32")
    np.testing.assert_array_equal(loaded(tokens), model(tokens))


class Whole(keras.layers.Layer):
    """Builds without knowing the shape."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = keras.layers.Dense(2)

    def build(self, input_shape: Any) -> None:
        self.inner.build((None, 3))

    def call(self, x: Any) -> Any:
        return self.inner(x)


class Around(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.whole = Whole(name="whole")
        self.whole.build(None)
        self.whole.built = True

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.whole.inner.kernel)


def test_a_layer_built_for_no_shape_is_told(tmp_path: Path) -> None:
    model = Around()
    x = np.ones((1, 3), "float32")
    expected = model(x)
    report = hozon.save_model(model, tmp_path / "m")
    assert [line for line in report.lost if "whole" in line and "unknown" in line]
    loaded = hozon.load_model(tmp_path / "m", compile=False)
    np.testing.assert_allclose(loaded(x), expected, rtol=1e-6)


class Compiled(keras.layers.Layer):
    """Compiles a part of its call once, which reads a variable."""

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 2))
        self.product = jax.jit(lambda x: x @ self.kernel.value)
        self.rest = keras.layers.BatchNormalization()
        self.rest.build((None, 2))

    def call(self, x: Any, training: bool = False) -> Any:
        return self.rest(self.product(x), training=training)


def test_what_jax_remembers_of_a_function_is_in_no_file(tmp_path: Path) -> None:
    """Each function is traced anew: values of an earlier trace would be in it, or none."""
    model = keras.Sequential([keras.Input((3,)), Compiled(name="compiled")])
    kernel, x = np.array(model.layers[0].kernel), np.ones((4, 3), "float32")
    for factor in (1, 2):
        model.layers[0].kernel.assign(kernel * factor)
        hozon.save_model(model, tmp_path / "m", overwrite=True)
        loaded = hozon.saved_model.load(tmp_path / "m")
        expected = x @ kernel * factor / np.sqrt(1 + model.layers[0].rest.epsilon)
        np.testing.assert_allclose(loaded(x, training=False), expected, rtol=1e-5)
