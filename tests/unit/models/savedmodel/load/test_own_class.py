"""SavedModels of tf_keras brought back with the caller's own classes, against tf_keras."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import keras
import numpy as np
import pytest

import hozon
from hozon.models.savedmodel.load import by_config
from hozon.models.savedmodel.load.objects import KerasNode, KerasObjects
from hozon.models.savedmodel.load.own_class import layers_of_model
from tests.oracle.client import Oracle

#: Per kind: classes, then `make()`, and the arrays of one input; both Keras run it as it stands.
KINDS = {
    "attributes": """
class Net(keras.Model):
    def __init__(self, units=5, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(units, activation="tanh")
        self.second = layers.Dense(1)
    def call(self, inputs):
        return self.second(self.first(inputs))
    def get_config(self):
        return {"units": self.units}
make, inputs = lambda: Net(7), floats(8, 6)
""",
    "no_config": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.norm, self.out = layers.BatchNormalization(), layers.Dense(1)
    def call(self, inputs, training=False):
        return self.out(self.norm(inputs, training=training))
make, inputs = Net, floats(8, 6)
""",
    "lists": """
class Net(keras.Model):
    def __init__(self, widths, **kwargs):
        super().__init__(**kwargs)
        self.widths = list(widths)
        self.blocks = [layers.Dense(w, activation="tanh") for w in widths]
        self.heads = {"a": layers.Dense(1), "b": layers.Dense(1)}
    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.heads["a"](x) + 2 * self.heads["b"](x)
    def get_config(self):
        return {"widths": self.widths}
make, inputs = lambda: Net([4, 3]), floats(8, 6)
""",
    "nested": """
class Scale(layers.Layer):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units, self.dense = units, layers.Dense(units)
    def build(self, shape):
        self.factor = self.add_weight(name="by", shape=(self.units,), initializer="ones")
        self.offset = self.add_weight(name="to", shape=(self.units,), initializer="zeros")
        super().build(shape)
    def call(self, x):
        return self.dense(x) * self.factor + self.offset
    def get_config(self):
        return {**super().get_config(), "units": self.units}
class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [Scale(4), Scale(2)]
    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.block, self.out = Block(), layers.Dense(1)
    def call(self, x):
        return self.out(self.block(x))
make, inputs = Net, floats(8, 6)
""",
    "models_inside": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(3)])
        i = keras.Input((3,))
        self.decoder = keras.Model(i, layers.Dense(2)(layers.Dense(4, activation="tanh")(i)))
    def call(self, x):
        return self.decoder(self.encoder(x))
make, inputs = Net, floats(8, 6)
""",
    "recurrent": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(9, 4, mask_zero=True)
        self.both = layers.Bidirectional(layers.LSTM(3))
        self.out = layers.Dense(1)
    def call(self, x):
        return self.out(self.both(self.embed(x)))
make, inputs = Net, np.array([[1, 2, 0, 0], [3, 4, 5, 0], [6, 7, 8, 1], [2, 0, 0, 0]] * 2, "int32")
""",
    "attention": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.attend, self.norm = layers.MultiHeadAttention(2, 3), layers.LayerNormalization()
        self.out = layers.Dense(1)
    def call(self, x):
        return self.out(self.norm(x + self.attend(x, x)))
make, inputs = Net, floats(8, 5, 6)
""",
    "two_inputs": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.a, self.b = layers.Dense(3), layers.Dense(3)
    def call(self, inputs):
        return self.a(inputs["left"]) * self.b(inputs["right"])
make, inputs = Net, {"left": floats(8, 4), "right": floats(8, 2)}
""",
    "layer_in_functional": """
class Gate(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.value, self.gate = layers.Dense(units), layers.Dense(units, activation="sigmoid")
    def call(self, x):
        return self.gate(x) * self.value(x)
    def get_config(self):
        return {**super().get_config(), "units": self.units}
def make():
    i = keras.Input((6,))
    return keras.Model(i, layers.Dense(1)(Gate(4)(i)))
inputs = floats(8, 6)
""",
    "frozen": """
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.base = keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(4)])
        self.top, self.out = layers.Dense(3), layers.Dense(1)
        self.base.trainable = False
        self.top.trainable = False
    def call(self, x):
        return self.out(self.top(self.base(x)))
make, inputs = Net, floats(8, 6)
""",
    "functional": """
class Net(keras.Model):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.tracker = keras.metrics.Mean(name="tracked")
def make():
    i = keras.Input((6,))
    return Net(i, layers.Dense(1)(layers.Dense(4, activation="tanh")(i)))
inputs = floats(8, 6)
""",
    "functional_with_arguments": """
class Net(keras.Model):
    def __init__(self, inputs, outputs, scale=2.0, **kwargs):
        super().__init__(inputs, outputs, **kwargs)
        self.scale = scale
    def call(self, inputs, training=None, mask=None):
        return self.scale * super().call(inputs, training=training, mask=mask)
    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
def make():
    i = keras.Input((6,))
    return Net(i, layers.Dense(1)(layers.Dense(4, activation="tanh")(i)), scale=3.0)
inputs = floats(8, 6)
""",
    "sequential": """
class Net(keras.Sequential):
    pass
make = lambda: Net([keras.Input((6,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])
inputs = floats(8, 6)
""",
    "penalties": """
class Reg(layers.Layer):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.inner = units, layers.Dense(3, kernel_regularizer="l2")
    def build(self, shape):
        self.w = self.add_weight(name="w", shape=(shape[-1], self.units),
                                 regularizer=keras.regularizers.L2(0.5))
        super().build(shape)
    def call(self, x):
        self.add_loss(0.1 * ops.mean(ops.square(x)))
        return self.inner(ops.matmul(x, self.w))
    def get_config(self):
        return {**super().get_config(), "units": self.units}
make = lambda: keras.Sequential([keras.Input((6,)), layers.Dense(4), Reg(3), layers.Dense(1)])
inputs = floats(8, 6)
""",
    "counting": """
class Count(layers.Layer):
    def build(self, shape):
        self.seen = self.add_weight(name="seen", shape=(), initializer="zeros", trainable=False)
    def call(self, x, training=None):
        if training:
            self.seen.assign(self.seen + 1.0)
        return x * (1.0 + 0.1 * self.seen)
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.count, self.norm, self.out = Count(), layers.BatchNormalization(), layers.Dense(1)
    def call(self, x):
        return self.out(self.norm(self.count(x)))
make, inputs = Net, floats(8, 6)
""",
    "own_objects": """
class Start(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None, **kwargs):
        return 0.1 * ops.ones(shape, dtype)
class Near(keras.constraints.Constraint):
    def __call__(self, w):
        return ops.clip(w, -0.09, 0.2)
class Sum(keras.regularizers.Regularizer):
    def __init__(self, by=0.3):
        self.by = by
    def __call__(self, w):
        return self.by * ops.sum(ops.abs(w))
    def get_config(self):
        return {"by": self.by}
class Net(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(4, activation="tanh", kernel_initializer=Start(),
                                  kernel_constraint=Near(), kernel_regularizer=Sum(0.2))
        self.out = layers.Dense(1)
    def call(self, x):
        return self.out(self.first(x))
make, inputs = Net, floats(8, 6)
""",
    "stateful": """
make = lambda: keras.Sequential([
    keras.Input(batch_shape=(8, 3, 6)), layers.GRU(4, stateful=True, return_sequences=True),
    layers.Bidirectional(layers.LSTM(2, stateful=True)), layers.Dense(1)])
inputs = floats(8, 3, 6)
""",
    "statistics_of_steps": """
make = lambda: keras.Sequential([
    keras.Input((3, 6)), layers.TimeDistributed(layers.BatchNormalization()), layers.Flatten(),
    layers.Dense(1)])
inputs = floats(8, 3, 6)
""",
    "masked": """
class Twice(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
    def call(self, x, mask=None):
        return 2 * x if mask is None else x * (1 + ops.cast(mask, x.dtype)[..., None])
make = lambda: keras.Sequential([
    keras.Input((4,), dtype="int32"), layers.Embedding(9, 3, mask_zero=True), Twice(),
    layers.LSTM(3, return_sequences=True), layers.TimeDistributed(layers.Dense(1))])
inputs = np.array([[1, 2, 0, 0], [3, 4, 5, 0], [6, 7, 8, 1], [2, 0, 0, 0]] * 2, "int32")
""",
    "masked_functional": """
class Net(keras.Model):
    pass
def make():
    i = keras.Input((4,), dtype="int32")
    h = layers.LSTM(3, return_sequences=True)(layers.Embedding(9, 3, mask_zero=True)(i))
    return Net(i, layers.Dense(1)(h))
inputs = np.array([[1, 2, 0, 0], [3, 4, 5, 0], [6, 7, 8, 1], [2, 0, 0, 0]] * 2, "int32")
""",
    "functional_inside": """
class Net(keras.Model):
    pass
def make():
    i, j = keras.Input((6,)), keras.Input((6,))
    inner = Net(i, layers.Dense(4, activation="tanh")(i), name="inner")
    return keras.Model(j, layers.Dense(1)(inner(j)))
inputs = floats(8, 6)
""",
}
HEAD = """
import numpy as np
layers = keras.layers
random = np.random.default_rng(0)
floats = lambda *shape: random.normal(size=shape).astype("float32")
"""
WRITE = """
import types
ops = types.SimpleNamespace(
    mean=tf.reduce_mean, square=tf.square, matmul=tf.matmul, cast=tf.cast, ones=tf.ones,
    sum=tf.reduce_sum, abs=tf.abs, clip=tf.clip_by_value)
scope = {"keras": keras, "ops": ops}
exec(code, scope)
keras.utils.set_random_seed(3)
model, x = scope["make"](), scope["inputs"]
model.compile(keras.optimizers.Adam(0.01), "mse")
y = np.ones((8, *model(x).shape[1:]), "float32")
for _ in range(2):
    model.train_on_batch(x, y)
model.save(path, save_format="tf")
out["y"], out["outputs"] = y, model(x, training=False).numpy()
out["losses"] = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(2)]
out["after"] = model(x, training=False).numpy()
"""


class Saved:
    """Models of tf_keras, each written when it is first asked for, and what tf_keras says."""

    def __init__(self, oracle: Oracle, folder: Path) -> None:
        self._oracle = oracle
        self._folder = folder
        self._answers: dict[str, Mapping[str, Any]] = {}

    def __call__(self, kind: str) -> tuple[Path, Mapping[str, Any]]:
        path = self._folder / kind
        if kind not in self._answers:
            self._answers[kind] = self._oracle.python(
                WRITE, path=str(path), code=HEAD + KINDS[kind]
            )
        return path, self._answers[kind]


@pytest.fixture(scope="module")
def saved(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A model of each kind."""
    return Saved(oracle, tmp_path_factory.mktemp("own"))


def scope_of(kind: str) -> dict[str, Any]:
    scope: dict[str, Any] = {"keras": keras, "ops": keras.ops}
    exec(HEAD + KINDS[kind], scope)
    return scope


def classes(scope: Mapping[str, Any]) -> dict[str, type]:
    return {name: value for name, value in scope.items() if isinstance(value, type)}


def trains_on(model: keras.Model, x: Any, answers: Mapping[str, Any]) -> None:
    near = {"rtol": 1e-4, "atol": 1e-5}
    outputs = np.asarray(model(x, training=False))
    np.testing.assert_allclose(outputs, answers["outputs"], **near)
    losses = [float(np.ravel(model.train_on_batch(x, answers["y"]))[0]) for _ in range(2)]
    np.testing.assert_allclose(losses, answers["losses"], **near)
    np.testing.assert_allclose(np.asarray(model(x, training=False)), answers["after"], **near)


@pytest.mark.parametrize("kind", KINDS)
def test_the_class_is_used_with_the_stored_weights(saved: Saved, kind: str) -> None:
    path, answers = saved(kind)
    scope = scope_of(kind)
    given = classes(scope)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = hozon.load_model(path, custom_objects=given)
    own = {type(layer) for layer in model._flatten_layers()}
    assert {value for value in given.values() if issubclass(value, keras.Layer)} <= own
    assert not model.load_report.missing
    assert not model.load_report.unexpected
    trains_on(model, scope["inputs"], answers)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "own_objects"])
def test_without_the_class_the_saved_functions_run(saved: Saved, kind: str) -> None:
    path, answers = saved(kind)
    model = hozon.load_model(path)
    trains_on(model, scope_of(kind)["inputs"], answers)


def test_a_lower_rung_is_a_warning_with_the_reason(
    saved: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise hozon.UnsupportedError("no such activation")

    monkeypatch.setattr(by_config, "build_layer", refuse)
    path, answers = saved("attributes")
    with pytest.warns(UserWarning, match=r"root\.first: .*no such activation.*root\.second"):
        model = hozon.load_model(path)
    assert any("no such activation" in line for line in model.load_report.converted)
    trains_on(model, scope_of("attributes")["inputs"], answers)


def test_what_is_lost_without_a_class_is_told(saved: Saved) -> None:
    report = hozon.load_model(saved("own_objects")[0]).load_report
    assert any("kernel_constraint" in line for line in report.lost)
    report = hozon.load_model(saved("functional")[0]).load_report
    assert any("'Net' was not given" in line and "train_step" in line for line in report.lost)


def net(**attributes: Any) -> type:
    """A class with some layers, of which a model calls one after the other."""

    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            for name, layer in attributes.items():
                setattr(self, name, layer())

        def call(self, inputs: Any) -> Any:
            for name in attributes:
                inputs = getattr(self, name)(inputs)
            return inputs

    return Net


def dense(units: int) -> Any:
    return lambda: keras.layers.Dense(units)


@pytest.mark.parametrize(
    "found",
    [
        net(norm=keras.layers.BatchNormalization, out=dense(2)),
        net(norm=keras.layers.BatchNormalization, head=dense(1)),
        net(norm=keras.layers.BatchNormalization, middle=dense(6), out=dense(1)),
        net(out=dense(1)),
    ],
    ids=["size", "name", "one_more", "one_less"],
)
def test_classes_with_other_variables_are_refused(saved: Saved, found: type) -> None:
    with pytest.raises(hozon.MismatchError, match=r"has shape|is stored|no place"):
        hozon.load_model(saved("no_config")[0], custom_objects={"Net": found})


def test_classes_with_another_call_are_refused(saved: Saved) -> None:
    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.out = keras.layers.BatchNormalization(), keras.layers.Dense(1)

        def call(self, left: Any, right: Any) -> Any:
            return self.out(self.norm(left + right))

    with pytest.raises(hozon.MismatchError, match=r"(?s)cannot be called as the saved.*right"):
        hozon.load_model(saved("no_config")[0], custom_objects={"Net": Net})


def test_classes_that_refuse_their_config_are_named(saved: Saved) -> None:
    class Net(keras.Model):  # type: ignore[misc]
        def __init__(self, size: int) -> None:
            super().__init__()

    with pytest.raises(hozon.UnsupportedError, match="Net"):
        hozon.load_model(saved("attributes")[0], custom_objects={"Net": Net})


AGAIN = ("attributes", "nested", "layer_in_functional", "functional_with_arguments", "stateful")


@pytest.mark.parametrize("kind", AGAIN)
@pytest.mark.parametrize("used", ["not", "predict", "fit"])
def test_revived_models_are_saved_again(saved: Saved, tmp_path: Path, kind: str, used: str) -> None:
    model, x = hozon.load_model(saved(kind)[0]), scope_of(kind)["inputs"]
    if used == "predict":
        model.predict(x, verbose=0)
    if used == "fit":
        model.train_on_batch(x, saved(kind)[1]["y"])
    report = hozon.save_model(model, tmp_path / "again")
    again = hozon.load_model(tmp_path / "again")
    assert not report.lost
    np.testing.assert_allclose(np.asarray(again(x)), np.asarray(model(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_saved_functions_go_into_no_file_of_configs(
    saved: Saved, tmp_path: Path, suffix: str
) -> None:
    for kind in ("nested", "layer_in_functional"):
        model = hozon.load_model(saved(kind)[0])
        with pytest.raises(hozon.UnsupportedError, match=r"saved functions|custom_objects="):
            hozon.save_model(model, tmp_path / f"m{suffix}")
        assert not (tmp_path / f"m{suffix}").exists()


def test_layers_of_other_names_go_by_their_place_behind_the_input() -> None:
    names = ["input_9", "dense_90", "dropout_44", "dense_91"]
    kinds = ["InputLayer", "Dense", "Dropout", "Dense"]
    nodes = [
        KerasNode(i, f"root.layer-{i}", "_tf_keras_layer", kind, name, None, {})
        for i, (kind, name) in enumerate(zip(kinds, names, strict=True), 1)
    ]
    edges = {f"layer-{i}": node.node for i, node in enumerate(nodes)}
    edges |= {"layer_with_weights-0": 2, "layer_with_weights-1": 4}
    objects = SimpleNamespace(layers=lambda at: iter(nodes), children=lambda at: edges)
    live = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(4),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4),
        ]
    )
    found = layers_of_model(cast("KerasObjects", objects), 0, live)
    assert [(node.name, layer) for node, layer in found] == list(
        zip(names[1:], live.layers, strict=True)
    )
