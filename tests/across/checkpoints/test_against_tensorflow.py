"""TensorFlow restores what is written here, and the other way round."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon.train
from tests.oracle.client import Oracle

X = np.linspace(-1, 1, 32, dtype="float32").reshape(8, 4)
Y = np.linspace(0, 1, 16, dtype="float32").reshape(8, 2)

HELPERS = """
L = keras.layers

def network():
    inputs = keras.Input((4,))
    x = L.Dense(3, activation="tanh")(inputs)
    x = L.BatchNormalization()(x)
    return keras.Model(inputs, L.Dense(2)(x))

class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [L.Dense(3, activation="tanh"), L.Dense(2)]
        self.scale = self.add_weight(name="gain", shape=(2,), initializer="ones")

    def call(self, x):
        return self.blocks[1](self.blocks[0](x)) * self.scale

DECAY = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.9)

def train(model, steps=2):
    for _ in range(steps):
        model.train_on_batch(X, Y)
"""

#: The model and its optimizer; `legacy` is where tf_keras keeps OptimizerV2.
CASES = {
    "Adam": ("network()", "keras.optimizers.Adam(0.1)"),
    "Adam amsgrad": ("network()", "keras.optimizers.Adam(0.1, amsgrad=True)"),
    "AdamW own weights": ("Own()", "keras.optimizers.AdamW(0.1)"),
    "SGD": ("network()", "keras.optimizers.SGD(0.1)"),
    "SGD momentum": ("Own()", "keras.optimizers.SGD(0.1, momentum=0.9)"),
    "RMSprop": ("network()", "keras.optimizers.RMSprop(0.1, momentum=0.5, centered=True)"),
    "Adagrad": ("network()", "keras.optimizers.Adagrad(0.1)"),
    "Adadelta": ("network()", "keras.optimizers.Adadelta(0.5)"),
    "Adamax": ("network()", "keras.optimizers.Adamax(0.1)"),
    "Nadam": ("network()", "keras.optimizers.Nadam(0.1)"),
    "Ftrl": ("network()", "keras.optimizers.Ftrl(0.1)"),
    "Lion": ("network()", "keras.optimizers.Lion(0.1)"),
    "schedule": ("network()", "keras.optimizers.Adam(DECAY)"),
}
#: Optimizers whose update formula differs between Keras 2 and 3, so only state is compared.
STATE_ONLY = {"Nadam", "Adadelta"}

WRITE = """
scope = {"keras": keras, "np": np, "X": X, "Y": Y, "legacy": keras.optimizers.legacy}
exec(helpers, scope)
for name, (model, optimizer) in cases.items():
    keras.utils.set_random_seed(3)
    made = eval(model, scope)
    made.compile(eval(optimizer, scope), "mse")
    scope["train"](made)
    made.save_weights(f"{folder}/{name}/weights")
    before = made.predict(X, verbose=0)
    scope["train"](made, 1)
    out[name] = {"before": before, "after": made.predict(X, verbose=0)}
"""

READ = """
scope = {"keras": keras, "np": np, "X": X, "Y": Y}
exec(helpers, scope)
for name, (model, optimizer) in cases.items():
    made = eval(model, scope)
    made.compile(eval(optimizer, scope), "mse")
    made.build((None, 4))
    made.optimizer.build(made.trainable_variables)
    status = made.load_weights(f"{folder}/{name}/weights")
    status.assert_consumed()
    status.assert_existing_objects_matched()
    before = made.predict(X, verbose=0)
    scope["train"](made, 1)
    out[name] = {"before": before, "after": made.predict(X, verbose=0),
                 "steps": int(made.optimizer.iterations.numpy())}
"""


def ours() -> dict[str, Any]:
    scope: dict[str, Any] = {"keras": keras, "np": np, "X": X, "Y": Y}
    exec(textwrap.dedent(HELPERS), scope)
    return scope


def made(scope: dict[str, Any], name: str, cases: dict[str, tuple[str, str]] = CASES) -> Any:
    model = eval(cases[name][0], scope)
    model.compile(eval(cases[name][1], scope), "mse")
    return model


@pytest.fixture(scope="module")
def written_by_tf(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("by_tf")
    answers = oracle.python(WRITE, helpers=HELPERS, cases=CASES, X=X, Y=Y, folder=str(folder))
    return folder, answers


@pytest.mark.parametrize("name", CASES)
def test_training_goes_on_from_tf_keras(name: str, written_by_tf: Any) -> None:
    folder, answers = written_by_tf
    scope = ours()
    model = made(scope, name)
    status = hozon.train.load_weights(model, folder / name / "weights")
    model.predict(X, verbose=0)  # builds what waits
    model.optimizer.build(model.trainable_variables)
    status.assert_consumed()
    np.testing.assert_allclose(model.predict(X, verbose=0), answers[name]["before"], atol=1e-6)
    scope["train"](model, 1)
    assert int(model.optimizer.iterations.value) == 3
    if name not in STATE_ONLY:
        np.testing.assert_allclose(model.predict(X, verbose=0), answers[name]["after"], atol=2e-5)


@pytest.fixture(scope="module")
def read_by_tf(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder, scope, mine = tmp_path_factory.mktemp("by_us"), ours(), {}
    for name in CASES:
        keras.utils.set_random_seed(3)
        model = made(scope, name)
        scope["train"](model)
        hozon.train.save_weights(model, folder / name / "weights")
        before = model.predict(X, verbose=0)
        scope["train"](model, 1)
        mine[name] = {"before": before, "after": model.predict(X, verbose=0)}
    return mine, oracle.python(READ, helpers=HELPERS, cases=CASES, X=X, Y=Y, folder=str(folder))


@pytest.mark.parametrize("name", CASES)
def test_tf_keras_goes_on_from_ours(name: str, read_by_tf: Any) -> None:
    mine, theirs = read_by_tf
    np.testing.assert_allclose(theirs[name]["before"], mine[name]["before"], atol=1e-6)
    assert theirs[name]["steps"] == 3
    if name not in STATE_ONLY:
        np.testing.assert_allclose(theirs[name]["after"], mine[name]["after"], atol=2e-5)


LEGACY = {
    "Adam": ("network()", "legacy.Adam(0.1)", "keras.optimizers.Adam(0.1, epsilon=1e-7)"),
    "Adam hyper": ("network()", "legacy.Adam(0.1, beta_1=0.5)", "keras.optimizers.Adam(0.1)"),
    "SGD": (
        "network()",
        "legacy.SGD(0.1, momentum=0.9)",
        "keras.optimizers.SGD(0.2, momentum=0.9)",
    ),
    "Adagrad": ("Own()", "legacy.Adagrad(0.1)", "keras.optimizers.Adagrad(0.1)"),
    "RMSprop": (
        "Own()",
        "legacy.RMSprop(0.1, momentum=0.5)",
        "keras.optimizers.RMSprop(0.1, momentum=0.5)",
    ),
}


def test_slots_of_legacy_optimizers(oracle: Oracle, tmp_path: Path) -> None:
    cases = {name: (model, theirs) for name, (model, theirs, _) in LEGACY.items()}
    answers = oracle.python(WRITE, helpers=HELPERS, cases=cases, X=X, Y=Y, folder=str(tmp_path))
    scope = ours()
    for name, (source, _, optimizer) in LEGACY.items():
        model = made(scope, name, {name: (source, optimizer)})
        status = hozon.train.load_weights(model, tmp_path / name / "weights")
        model.predict(X, verbose=0)
        model.optimizer.build(model.trainable_variables)
        status.assert_consumed()
        scope["train"](model, 1)
        after = model.predict(X, verbose=0)
        np.testing.assert_allclose(after, answers[name]["after"], atol=1e-4, err_msg=name)


def test_checkpoints_of_parts(oracle: Oracle, tmp_path: Path) -> None:
    """``tf.train.Checkpoint`` reads lists, dictionaries, arrays and the counter of ours."""
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    checkpoint = hozon.train.Checkpoint(
        layer=layer,
        values={"a": np.arange(3.0, dtype="float32"), "b": [np.int64(4)]},
        step=hozon.train.Counter(7),
    )
    path = checkpoint.save(tmp_path / "parts" / "ckpt")
    answer = oracle.python(
        """
layer = keras.layers.Dense(2); layer.build((None, 3))
values = {"a": tf.Variable(tf.zeros(3)), "b": [tf.Variable(0, dtype=tf.int64)]}
step = tf.Variable(0, dtype=tf.int64)
checkpoint = tf.train.Checkpoint(layer=layer, values=values, step=step)
latest = tf.train.latest_checkpoint(folder)
checkpoint.restore(latest).assert_consumed()
out.update(latest=latest, kernel=layer.kernel, a=values["a"], b=values["b"][0], step=step,
           count=checkpoint.save_counter)
checkpoint.write(folder + "/back")
""",
        folder=str(tmp_path / "parts"),
    )
    assert answer["latest"] == path
    np.testing.assert_array_equal(answer["kernel"], layer.kernel.value)
    np.testing.assert_array_equal(answer["a"], checkpoint.values["a"])
    assert (answer["b"], answer["step"], answer["count"]) == (4, 7, 1)
    checkpoint.values["a"] = np.zeros(3, "float32")
    checkpoint.read(tmp_path / "parts" / "back").assert_consumed()
    np.testing.assert_array_equal(checkpoint.values["a"], [0, 1, 2])


def test_an_adapted_text_layer_takes_a_number(oracle: Oracle, tmp_path: Path) -> None:
    """Keras 2 counts its table as weights; the layers after it are found all the same."""
    answer = oracle.python(
        """
text = keras.layers.TextVectorization(output_sequence_length=3)
text.adapt(["a b c"])
model = keras.Sequential([keras.Input((), dtype="string"), text, keras.layers.Embedding(5, 2),
                          keras.layers.Flatten(), keras.layers.Dense(2)])
model.save_weights(folder + "/w")
out["weights"] = [w.numpy() for w in model.weights[-3:]]
""",
        folder=str(tmp_path),
    )
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Rescaling(1.0),
            keras.layers.Embedding(5, 2),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    hozon.train.load_weights(model, tmp_path / "w").assert_existing_objects_matched()
    for ours, theirs in zip(model.weights, answer["weights"], strict=True):
        np.testing.assert_array_equal(ours.value, theirs)


def test_a_loss_scaling_optimizer_of_tensorflow_2_2(shared: Path) -> None:
    """Its slots belong to an inner optimizer that was an object of its own."""
    found = sorted(shared.glob("wild/models/*lso_ckpt_tf2.2*/ckpt.index"))
    if not found:
        pytest.skip("the recorded checkpoint of tf_keras' tests is missing")
    prefix = found[0].with_suffix("")
    inner = keras.optimizers.SGD(momentum=0.9)
    model = keras.Sequential([keras.layers.Dense(2)])
    model.compile(keras.optimizers.LossScaleOptimizer(inner), "mse")
    status = hozon.train.load_weights(model, prefix)
    model.build((None, 2))
    model.optimizer.build(model.trainable_variables)
    status.assert_consumed()
    reader = hozon.train.load_checkpoint(prefix)
    slot = "layer_with_weights-0/kernel/.OPTIMIZER_SLOT/optimizer/base_optimizer/momentum"
    stored = reader.get_tensor(f"{slot}/.ATTRIBUTES/VARIABLE_VALUE")
    np.testing.assert_array_equal(inner.momentums[0].value, stored)
    assert float(model.optimizer.dynamic_scale.value) == 32768
    assert int(inner.iterations.value) == int(model.optimizer.iterations.value) == 1
