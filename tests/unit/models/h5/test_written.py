"""H5 files that we write open in TensorFlow's Keras and in Keras 3, compiled ones with state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from hozon.containers.h5 import read, write
from hozon.models.h5 import describe_h5, describe_h5_weights, load_h5_weights, revive_record
from tests.oracle.client import Oracle

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray[Any, Any]:
    """Random numbers."""
    return RNG.normal(size=shape).astype("float32")


def chain(shape: tuple[int, ...], *steps: Any) -> Any:
    """A Sequential model."""
    return keras.Sequential([keras.Input(shape), *steps])


def functional(shape: tuple[int, ...], make: Callable[[Any], Any]) -> Any:
    """A Functional model of one input."""
    given = keras.Input(shape)
    return keras.Model(given, make(given))


def nested() -> Any:
    """A model in a model, partly frozen."""
    inner = functional(
        (8,),
        lambda i: layers.Dense(3)(layers.BatchNormalization()(layers.Dense(8, name="first")(i))),
    )
    inner.get_layer("first").trainable = False
    return functional((8,), lambda i: layers.Dense(2)(inner(i)))


def shared() -> Any:
    """One layer called twice, on two branches."""
    once = layers.Dense(8)
    return functional((8,), lambda i: layers.Concatenate()([once(once(i)), layers.Dense(2)(i)]))


def several() -> Any:
    """Two inputs and two outputs."""
    a, b = keras.Input((8,), name="a"), keras.Input((4,), name="b")
    joined = layers.Concatenate()([a, b])
    return keras.Model([a, b], [layers.Dense(2, name="o1")(joined), layers.Dense(3, name="o2")(b)])


PLAIN: Mapping[str, Callable[[], Any]] = {
    "recurrent": lambda: chain(
        (5, 3),
        layers.LSTM(4, return_sequences=True),
        layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode="sum"),
        layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]),
    ),
    "convolution": lambda: chain(
        (8, 8, 2),
        layers.Conv2D(3, 3, padding="same"),
        layers.BatchNormalization(),
        layers.DepthwiseConv2D(2),
        layers.SeparableConv2D(4, 2),
        layers.Conv2DTranspose(2, 2),
        layers.PReLU(),
        layers.GlobalMaxPooling2D(),
    ),
    "attention": lambda: functional(
        (5, 8), lambda i: layers.LayerNormalization()(layers.MultiHeadAttention(2, 4)(i, i))
    ),
    "spectral": lambda: chain((8,), layers.SpectralNormalization(layers.Dense(3))),
    "distributed": lambda: chain((3, 8), layers.TimeDistributed(chain((8,), layers.Dense(4)))),
    "operations": lambda: functional(
        (8,), lambda i: keras.ops.mean(layers.Dense(3)(i) * 2.0 + 1.0, axis=1)
    ),
    "mixed": lambda: chain((8,), layers.Dense(4, dtype="mixed_float16"), layers.Dense(3)),
    "nested": nested,
    "shared": shared,
    "several": several,
}
#: What tf_keras' own reader does not know, and what Keras 3's cannot build from the dialect of
#: Keras 2, whoever wrote it.
NOT_BY_TENSORFLOW = {"spectral"}
NOT_BY_KERAS3 = {"attention", "operations", "nested"}
TRAINED: Mapping[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "Adam": lambda: ("adam", {"loss": "mse", "metrics": ["mae"]}),
    "momentum": lambda: (optimizers.SGD(0.1, momentum=0.9, nesterov=True), {"loss": "mae"}),
    "RMSprop": lambda: (optimizers.RMSprop(0.01, momentum=0.5, centered=True), {"loss": "mse"}),
    "Ftrl": lambda: (optimizers.Ftrl(0.01), {"loss": keras.losses.Huber()}),
    "AdamW": lambda: (optimizers.AdamW(0.01, amsgrad=True), {"loss": "mse"}),
    "schedule": lambda: (
        optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)),
        {"loss": "mse"},
    ),
}


def outputs_of(model: Any, inputs: list[Any]) -> list[np.ndarray[Any, Any]]:
    """Outputs as arrays."""
    given = inputs[0] if len(inputs) == 1 else inputs
    return [np.asarray(o) for o in keras.tree.flatten(model(given, training=False))]


def trained(name: str) -> Any:
    """A small model after two steps."""
    optimizer, arguments = TRAINED[name]()
    model = chain(
        (6,), layers.Dense(3, activation="relu"), layers.BatchNormalization(), layers.Dense(1)
    )
    model.layers[0].trainable = name != "Ftrl"
    model.compile(optimizer, **arguments)
    model.fit(draw(8, 6), draw(8, 1), epochs=2, verbose=0)
    return model


OPEN = """
out['outputs'], out['weights'] = {}, {}
for path, inputs in plain.items():
    model = keras.models.load_model(path)
    made = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
    out['outputs'][path] = [np.asarray(o) for o in tf.nest.flatten(made)]
for path, (x, y) in trained.items():
    model = keras.models.load_model(path)
    model.train_on_batch(x, y)
    out['weights'][path] = [np.asarray(w) for w in model.get_weights()]
"""


def test_tensorflows_keras_opens_them_with_state(oracle: Oracle, tmp_path: Path) -> None:
    plain: dict[str, Any] = {}
    expected: dict[str, Any] = {}
    for name, make in PLAIN.items():
        if name in NOT_BY_TENSORFLOW:
            continue
        model, path = make(), str(tmp_path / f"{name}.h5")
        write(describe_h5(model, "keras2")[0], path)
        plain[path] = [draw(2, *t.shape[1:]) for t in model.inputs]
        expected[path] = outputs_of(model, plain[path])
    steps: dict[str, Any] = {}
    for name in TRAINED:
        model, path = trained(name), str(tmp_path / f"trained {name}.h5")
        write(describe_h5(model, "keras2")[0], path)
        steps[path] = draw(8, 6), draw(8, 1)
        model.train_on_batch(*steps[path])
        expected[path] = model.get_weights()
    found = oracle.python(OPEN, plain=plain, trained=steps)
    for path, made in {**found["outputs"], **found["weights"]}.items():
        tolerance = 2e-3 if "mixed" in path else 1e-5
        for value, want in zip(made, expected[path], strict=True):
            np.testing.assert_allclose(value, want, rtol=1e-5, atol=tolerance, err_msg=path)


@pytest.mark.parametrize("dialect", ["keras2", "keras3"])
def test_keras3_opens_them(tmp_path: Path, dialect: Any) -> None:
    models = {**PLAIN, "trained": lambda: trained("Adam")}
    for name, make in models.items():
        if dialect == "keras2" and name in NOT_BY_KERAS3:
            continue
        model, path = make(), tmp_path / f"{name}.h5"
        write(describe_h5(model, dialect)[0], path)
        again = keras.saving.load_model(path)
        inputs = [draw(2, *t.shape[1:]) for t in model.inputs]
        for value, want in zip(outputs_of(again, inputs), outputs_of(model, inputs), strict=True):
            np.testing.assert_allclose(value, want, rtol=1e-5, atol=1e-5, err_msg=name)
        assert again.compiled == model.compiled


@pytest.mark.parametrize("dialect", ["keras2", "keras3"])
@pytest.mark.parametrize("name", PLAIN)
def test_we_open_them(tmp_path: Path, name: str, dialect: Any) -> None:
    model = PLAIN[name]()
    write(describe_h5(model, dialect)[0], tmp_path / "m.h5")
    again = revive_record(read(tmp_path / "m.h5"))
    inputs = [draw(2, *t.shape[1:]) for t in model.inputs]
    for value, want in zip(outputs_of(again, inputs), outputs_of(model, inputs), strict=True):
        np.testing.assert_allclose(value, want, rtol=1e-6, atol=1e-6)
    assert all(map(np.array_equal, again.get_weights(), model.get_weights()))


OLD = """
out['weights'] = {}
for name in names:
    make = eval(name, {'keras': keras})
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile(make, 'mse')
    for _ in range(3):
        model.train_on_batch(x, x[:, :1])
    model.save(f'{folder}/{names.index(name)}.h5')
"""
AGAIN = """
out['weights'] = []
for path in paths:
    model = keras.models.load_model(path)
    model.train_on_batch(x, x[:, :1])
    out['weights'].append([np.asarray(w) for w in model.get_weights()])
"""
OLD_OPTIMIZERS = (
    "keras.optimizers.legacy.Nadam(0.01)",
    "keras.optimizers.legacy.Adagrad(0.1, decay=0.1)",
    "keras.optimizers.legacy.RMSprop(0.01, centered=True)",
    "keras.optimizers.legacy.RMSprop(0.01, momentum=0.5)",
    "keras.optimizers.legacy.Adam(0.01, amsgrad=True)",
    "keras.optimizers.legacy.SGD(0.1, momentum=0.5)",
    "keras.optimizers.Adafactor(0.01)",
)


def test_optimizers_of_keras_2_go_there_and_back(oracle: Oracle, tmp_path: Path) -> None:
    x = draw(8, 6)
    oracle.python(OLD, names=OLD_OPTIMIZERS, folder=str(tmp_path), x=x)
    paths = [tmp_path / f"{i}.h5" for i in range(len(OLD_OPTIMIZERS))]
    models = [revive_record(read(path)) for path in paths]
    written = [path.with_suffix(".hdf5") for path in paths]
    for model, path in zip(models, written, strict=True):
        write(describe_h5(model)[0], path)
    both = [str(path) for path in (*paths, *written)]
    found = oracle.python(AGAIN, paths=both, x=x)["weights"]
    for i, (name, model) in enumerate(zip(OLD_OPTIMIZERS, models, strict=True)):
        model.train_on_batch(x, x[:, :1])
        again = found[i + len(models)]
        for value, back, want in zip(model.get_weights(), again, found[i], strict=True):
            np.testing.assert_allclose(value, want, rtol=1e-5, atol=1e-6, err_msg=name)
            np.testing.assert_allclose(back, want, rtol=1e-5, atol=1e-6, err_msg=name)


LOAD = """
model = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(3, 3),
                          keras.layers.BatchNormalization(), keras.layers.Flatten(),
                          keras.layers.Dense(2)])
model.load_weights(path)
out['weights'] = [np.asarray(w) for w in model.get_weights()]
model.set_weights([w + 1 for w in out['weights']])
model.save_weights(back)
"""


def test_weights_go_both_ways(oracle: Oracle, tmp_path: Path) -> None:
    model = chain(
        (8, 8, 2),
        layers.Conv2D(3, 3),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(2),
    )
    before = model.get_weights()
    write(describe_h5_weights(model)[0], tmp_path / "w.h5")
    found = oracle.python(LOAD, path=str(tmp_path / "w.h5"), back=str(tmp_path / "b.h5"))
    assert all(map(np.array_equal, found["weights"], before))
    load_h5_weights(model, read(tmp_path / "b.h5")).assert_consumed()
    assert all(map(np.array_equal, model.get_weights(), [value + 1 for value in before]))
