"""What Keras 3's own reader of H5 files opens of a file for both, and what it is told not to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.legacy.saving import saving_options, saving_utils

import hozon
from hozon.config.downgrade import to_keras2
from hozon.errors import UnsupportedError
from hozon.models.h5.elsewhere import unread_by_keras3
from hozon.models.h5.portable import portable
from tests.across.dialects.test_layers_into_keras2 import WORDS, serialized

X = np.random.default_rng(0).normal(size=(4, 3, 4)).astype(np.float32)
pytestmark = pytest.mark.filterwarnings("ignore")


class Two(layers.Layer):  # type: ignore[misc]
    """Takes a second tensor by name."""

    def call(self, a: Any, b: Any = None) -> Any:
        return a if b is None else a + b


def of(call: Callable[[Any], Any]) -> keras.Model:
    x = keras.Input((3, 4))
    return keras.Model(x, call(x))


def state(x: Any) -> Any:
    return layers.Dense(2)(layers.Flatten()(x))


MODELS: Mapping[str, Callable[[Any], Any]] = {
    "attention of one": lambda x: layers.MultiHeadAttention(2, 2)(x, x),
    "attention by name": lambda x: layers.MultiHeadAttention(2, 2)(query=x, value=x, key=-x),
    "attention inside": lambda x: of(lambda y: layers.MultiHeadAttention(2, 2)(y, y))(x),
    "old attention": lambda x: layers.Attention()([x, layers.Dense(4)(x)]),
    "states": lambda x: layers.GRU(2)(x, initial_state=state(x)),
    "two states": lambda x: layers.LSTM(2)(x, initial_state=[state(x), state(x)]),
    "no states": lambda x: layers.LSTM(2)(layers.Masking()(x)),
    "own, by name": lambda x: Two()(x, b=layers.Dense(4)(x)),
    "own": lambda x: Two()(x),
    "operations": lambda x: keras.ops.add(x * 2, 1),
    "fixed argument": lambda x: layers.Dropout(0.5)(x, training=False),
    "several": lambda x: layers.Concatenate()([x, layers.Dense(2)(x)]),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_are_told_as_keras_opens_them(name: str, tmp_path: Path) -> None:
    model = of(MODELS[name])
    told = hozon.save_model(model, tmp_path / "m.h5").lost
    try:
        again = keras.models.load_model(tmp_path / "m.h5", custom_objects={"Two": Two})
        opened = bool(np.allclose(again(X), model(X), atol=1e-5))
    except (TypeError, ValueError):
        opened = False
    lines = [line for line in told if line.startswith("Keras 3's own reader of H5 files cannot")]
    assert opened == (not lines)
    hozon.save_model(model, tmp_path / "other.h5", dialect="keras3")
    keras.models.load_model(tmp_path / "other.h5", custom_objects={"Two": Two})


def test_layers_are_told_as_keras_makes_them() -> None:
    wrong = []
    for words in WORDS:
        try:
            layer = to_keras2(serialized(words))
        except UnsupportedError:
            continue
        entry = portable({"class_name": "Sequential", "config": {"name": "s", "layers": [layer]}})
        told = unread_by_keras3(entry)
        try:
            with saving_options.keras_option_scope(use_legacy_config=True):
                saving_utils.model_from_config(entry)
        except (TypeError, ValueError) as error:
            wrong += [f"{words}: {error}"] if not told else []
        else:
            wrong += [f"{words}: {told}"] if told else []
    assert wrong == []
