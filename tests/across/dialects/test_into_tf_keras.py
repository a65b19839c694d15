"""Models of Keras 3 in Keras 2's dialect: tf_keras opens them, computes and trains the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

import hozon
from hozon import UnsupportedError
from tests.conftest import shared_folder
from tests.oracle.client import Oracle

FORMS = (".h5", ".keras")
RECORDED = sorted((shared_folder() / "legacy" / "keras3.15.1").glob("*.keras"))
X = np.random.default_rng(1).normal(size=(8, 6)).astype(np.float32)
Y = X[:, :2] ** 2

pytestmark = pytest.mark.filterwarnings("ignore")

OPEN = """
out["answers"] = {}
for name, (path, inputs) in asked.items():
    try:
        model = keras.models.load_model(path)
        given = inputs if len(inputs) > 1 else inputs[0]
        found = tf.nest.flatten(model(given, training=False))
        out["answers"][name] = [tf.convert_to_tensor(v).numpy() for v in found]
    except Exception as error:
        out["answers"][name] = f"{type(error).__name__}: {error}"[:400]
"""


def opened(oracle: Oracle, asked: dict[str, Any]) -> dict[str, Any]:
    """The outputs of tf_keras for each file and its inputs, or what it raised."""
    answers: dict[str, Any] = oracle.python(OPEN, asked=asked)["answers"]
    return answers


def differences(expected: dict[str, Any], answers: dict[str, Any]) -> dict[str, str]:
    """What is wrong with which answer."""
    wrong = {}
    for name, want in expected.items():
        have = answers[name]
        if isinstance(have, str):
            wrong[name] = have
        elif [v.shape for v in have] != [v.shape for v in want]:
            wrong[name] = f"shapes {[v.shape for v in have]}, not {[v.shape for v in want]}"
        else:
            off = [
                i
                for i, (a, b) in enumerate(zip(have, want, strict=True))
                if not np.allclose(a, b, rtol=1e-4, atol=1e-5)
            ]
            if off:
                wrong[name] = f"outputs {off} differ"
    return wrong


# What Keras 3 wrote


@pytest.mark.skipif(not RECORDED, reason="the shared folder is missing")
def test_recorded_files_of_keras_3(oracle: Oracle, tmp_path: Path) -> None:
    asked, expected = {}, {}
    for path in RECORDED:
        with np.load(path.with_suffix(".npz")) as data:
            inputs = [data[f"x{i}"] for i in range(int(data["nx"]))]
            outputs = [data[f"y{i}"] for i in range(int(data["ny"]))]
        for form in FORMS:
            there = tmp_path / f"{path.stem}{form}"
            hozon.convert(path, there, dialect="keras2")
            asked[there.name], expected[there.name] = (str(there), inputs), outputs
    assert differences(expected, opened(oracle, asked)) == {}


# Models made here


def shared() -> keras.Model:
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    dense = layers.Dense(4, activation="gelu")
    merged = layers.Concatenate()([dense(a), dense(b)])
    return keras.Model([a, b], [layers.Dense(2)(merged), layers.Dot(axes=1)([a, b])])


def operations() -> keras.Model:
    x = keras.Input((6,))
    y = ops.relu(x * 2.0 - 1.0) + ops.mean(x, axis=-1, keepdims=True)
    y = ops.concatenate([y[:, 1:3], ops.reshape(x, (-1, 6))], axis=1)
    return keras.Model(x, layers.Dense(3)(ops.exp(-ops.square(y))))


def nested() -> keras.Model:
    inner = keras.Sequential(
        [keras.Input((6,)), layers.Dense(6, activation="silu"), layers.LayerNormalization()]
    )
    x = keras.Input((6,))
    return keras.Model(x, layers.Add()([inner(x), inner(inner(x))]))


def sequence() -> keras.Model:
    x = keras.Input((6,))
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(layers.Reshape((3, 2))(x))
    y = layers.MultiHeadAttention(2, 3)(y, y)
    return keras.Model(x, layers.GRU(2)(layers.TimeDistributed(layers.Dense(3))(y)))


def image() -> keras.Model:
    x = keras.Input((6,))
    y = layers.Reshape((6, 1, 1))(layers.BatchNormalization()(layers.GaussianNoise(0.1)(x)))
    y = layers.Conv2D(3, (3, 1), padding="same", kernel_regularizer="l2")(y)
    y = layers.DepthwiseConv2D((2, 1))(layers.UpSampling2D((2, 1))(y))
    return keras.Model(x, layers.GlobalAveragePooling2D()(layers.MaxPooling2D((2, 1))(y)))


MADE = (shared, operations, nested, sequence, image)


def test_models_made_here(oracle: Oracle, tmp_path: Path) -> None:
    asked, expected = {}, {}
    for make in MADE:
        model = make()
        inputs = [X, X[::-1].copy()][: len(model.inputs)]
        outputs = keras.tree.flatten(model(inputs if len(inputs) > 1 else inputs[0]))
        for form in FORMS:
            there = tmp_path / f"{make.__name__}{form}"
            hozon.save_model(model, there, dialect="keras2")
            asked[there.name] = (str(there), inputs)
            expected[there.name] = [np.asarray(v) for v in outputs]
    assert differences(expected, opened(oracle, asked)) == {}


def test_what_keras_2_cannot_say_is_named(tmp_path: Path) -> None:
    x = keras.Input((4, 6))
    for layer, named in (
        (layers.RMSNormalization(), "RMSNormalization"),
        (layers.GroupQueryAttention(2, 2, 1), "GroupQueryAttention"),
    ):
        y = layer(x, x) if named.endswith("Attention") else layer(x)
        for form in FORMS:
            with pytest.raises(UnsupportedError, match=named):
                hozon.save_model(keras.Model(x, y), tmp_path / f"m{form}", dialect="keras2")
    assert list(tmp_path.iterdir()) == []


# Training goes on

OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "adamax": lambda: keras.optimizers.Adamax(0.01),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: keras.optimizers.Adagrad(0.1),
    "adadelta": lambda: keras.optimizers.Adadelta(0.5),
    "ftrl": lambda: keras.optimizers.Ftrl(0.1, l1_regularization_strength=0.01),
    "lion": lambda: keras.optimizers.Lion(0.01),
    "adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "schedule": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=3)
    ),
    "ema": lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5),
}

TRAIN = """
out["trained"] = {}
for name, path in paths.items():
    try:
        model = keras.models.load_model(path)
        before = int(model.optimizer.iterations)
        losses = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(2)]
        out["trained"][name] = (before, losses, model.get_weights())
    except Exception as error:
        out["trained"][name] = f"{type(error).__name__}: {error}"[:400]
"""


def test_compiled_models_train_on(oracle: Oracle, tmp_path: Path) -> None:
    paths, expected = {}, {}
    for name, optimizer in OPTIMIZERS.items():
        keras.utils.set_random_seed(7)
        model = keras.Sequential(
            [keras.Input((6,)), layers.Dense(4, activation="tanh"), layers.Dense(2)]
        )
        model.compile(optimizer(), "mse", metrics=["mae"])
        for _ in range(2):
            model.train_on_batch(X, Y)
        for form in FORMS:
            there = tmp_path / f"{name}{form}"
            hozon.save_model(model, there, dialect="keras2")
            paths[there.name] = str(there)
        model.reset_metrics()
        losses = []
        for _ in range(2):
            losses.append(float(np.ravel(model.train_on_batch(X, Y))[0]))
            model.reset_metrics()
        expected[name] = (2, losses, model.get_weights())
    # No file of tf_keras, its own neither, holds the product of Nadam's momenta.
    expected["nadam"] = (2, expected["nadam"][1][:1], None)
    trained = oracle.python(TRAIN, paths=paths, x=X, y=Y)["trained"]
    wrong = {}
    for name, have in trained.items():
        step, losses, weights = expected[Path(name).stem]
        if isinstance(have, str):
            wrong[name] = have
        elif have[0] != step or not np.allclose(have[1][: len(losses)], losses, 1e-4, 1e-5):
            wrong[name] = f"step {have[0]}, losses {have[1]}, not {losses}"
        elif weights is not None and not all(
            np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(have[2], weights, strict=True)
        ):
            wrong[name] = "weights differ"
    assert wrong == {}
