"""Models of users' classes that take integers are written with integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
import hozon.keras_private.called  # which any load imports, and hozon.keras

IDS = np.array([[1, 2, 0], [6, 0, 0]], "int32")
PRICES = np.array([[0.5], [2.0]], "float32")


#: What the signature gives, for inputs by name.
SERVED = """
import tensorflow as tf
serve = tf.saved_model.load(path).signatures["serving_default"]
(found,) = serve(**{name: tf.constant(value) for name, value in given.items()}).values()
out["found"] = found.numpy()
"""


class Words(keras.layers.Layer):
    """Words and their places."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = keras.layers.Embedding(7, 3, mask_zero=True)
        self.places = keras.layers.Embedding(3, 3)

    def call(self, ids: Any) -> Any:
        return self.words(ids) + self.places(keras.ops.arange(3))


class Reader(keras.Model):
    """A model of ids alone."""

    def __init__(self) -> None:
        super().__init__()
        self.words = Words()
        self.pool = keras.layers.GlobalAveragePooling1D()
        self.head = keras.layers.Dense(2)

    def call(self, ids: Any) -> Any:
        return self.head(self.pool(self.words(ids)))


class Shop(keras.Model):
    """A model of ids and of floats."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = Reader()
        self.price = keras.layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        return self.reader(inputs["ids"]) + self.price(inputs["price"])


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("kind", "given"), [(Reader, IDS), (Shop, {"ids": IDS, "price": PRICES})], ids=["ids", "both"]
)
def test_integers_are_taken_as_such(kind: Any, given: Any, tmp_path: Path, oracle: Any) -> None:
    model = kind()
    want = np.asarray(model(given))
    hozon.save_model(model, tmp_path / "m")
    np.testing.assert_allclose(
        hozon.load_model(tmp_path / "m", compile=False)(given), want, atol=1e-6
    )
    served = given if isinstance(given, dict) else {"ids": given}
    found = oracle.python(SERVED, path=str(tmp_path / "m"), given=served)["found"]
    np.testing.assert_allclose(found, want, atol=1e-6)


class Casts(keras.Model):
    """A model to which numbers of any type are the same."""

    def __init__(self) -> None:
        super().__init__()
        self.head = keras.layers.Dense(2)

    def call(self, inputs: Any) -> Any:
        x = inputs["x"] * keras.ops.cast(inputs["mask"], "float32")
        return self.head(x)


@pytest.mark.oracle
@pytest.mark.parametrize("how", ["call", "predict", "fit"])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_what_is_only_cast_keeps_its_type(
    dtype: str, how: str, tmp_path: Path, oracle: Any
) -> None:
    given = {"x": PRICES, "mask": np.array([[1], [0]], dtype)}
    model = Casts()
    if how == "fit":
        model.compile("sgd", "mse")
        model.fit(given, np.ones((2, 2)), verbose=0)
    run = model if how == "call" else lambda x: model.predict(x, verbose=0)
    want = np.asarray(run(given))
    hozon.save_model(model, tmp_path / "m")
    again = hozon.load_model(tmp_path / "m", compile=False, custom_objects={"Casts": Casts})
    hozon.save_model(again, tmp_path / "again")
    for name in ("m", "again"):
        found = oracle.python(SERVED, path=str(tmp_path / name), given=given)["found"]
        np.testing.assert_allclose(found, want, atol=1e-6)
