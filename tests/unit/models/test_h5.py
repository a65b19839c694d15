"""H5 records and live models: matching, old layouts, training state, what is told and refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from hozon.config.cudnn import standard_weights
from hozon.containers.h5 import read, write
from hozon.errors import (
    FormatError,
    HozonError,
    MismatchError,
    MissingObjectError,
    UnsupportedError,
)
from hozon.models.h5 import (
    describe_h5,
    describe_h5_weights,
    load_h5_weights,
    revive_record,
)
from hozon.record import ModelRecord, StateGroup
from hozon.stored.lazy import lazy_array
from tests.oracle.client import Oracle

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray[Any, Any]:
    """Random numbers."""
    return RNG.normal(size=shape).astype("float32")


def group(name: str, tensors: Mapping[str, Any]) -> StateGroup:
    """A layer's stored weights."""
    return StateGroup(name, {key: lazy_array(key, value) for key, value in tensors.items()})


def weights(*groups: StateGroup, **changes: Any) -> ModelRecord:
    """A file of weights."""
    fields: dict[str, Any] = {
        "form": "h5_weights",
        "path": "given.h5",
        "dialect": "keras2",
        "naming": "layers",
        "state": groups,
    }
    return ModelRecord(**{**fields, **changes})


def values(model: Any) -> list[np.ndarray[Any, Any]]:
    """All weights of a model."""
    return [np.array(value) for value in model.get_weights()]


def same(first: list[Any], second: list[Any]) -> bool:
    """Whether weights are equal to the bit."""
    return len(first) == len(second) and all(map(np.array_equal, first, second))


def dense(*names: str) -> Any:
    """A model of Dense layers of one shape."""
    return keras.Sequential([keras.Input((4,)), *(layers.Dense(4, name=n) for n in names)])


def stored(model: Any, path: Path, **arguments: Any) -> ModelRecord:
    """A model through a file."""
    record, _ = describe_h5(model, **arguments)
    write(record, path / "m.h5")
    return read(path / "m.h5")


# Matching


def test_layers_are_matched_by_name_before_order() -> None:
    source, target = dense("a", "b"), dense("b", "a")
    report = load_h5_weights(target, describe_h5_weights(source)[0])
    assert same(values(target.get_layer("a")), values(source.get_layer("a")))
    assert sorted(report.matched) == ["a/bias", "a/kernel", "b/bias", "b/kernel"]
    report.assert_consumed()


def test_other_names_are_matched_by_order() -> None:
    source, target = dense("a", "b"), dense("c", "a")
    load_h5_weights(target, describe_h5_weights(source)[0])
    assert same(values(target), values(source))


@pytest.mark.parametrize("nested", [False, True])
def test_toggled_trainable_does_not_matter(nested: bool) -> None:
    def build() -> Any:
        inner = keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(4, name="d"),
                layers.BatchNormalization(name="n"),
                layers.Dense(4, name="e"),
            ],
            name="inner",
        )
        return keras.Sequential([keras.Input((4,)), inner]) if nested else inner

    source, target = build(), build()
    source.set_weights([draw(*value.shape) for value in values(source)])
    source.get_layer("inner" if nested else "n").trainable = False
    (source.get_layer("inner") if nested else source).get_layer("d").trainable = False
    load_h5_weights(target, describe_h5_weights(source)[0])
    x = draw(3, 4)
    np.testing.assert_array_equal(target(x), source(x))


def test_by_name_leaves_others_and_tells() -> None:
    source, target = dense("a", "b"), dense("b", "c")
    before = values(target.get_layer("c"))
    report = load_h5_weights(target, describe_h5_weights(source)[0], by_name=True)
    assert same(values(target.get_layer("b")), values(source.get_layer("b")))
    assert same(values(target.get_layer("c")), before)
    assert report.unexpected == ["a/a/kernel:0", "a/a/bias:0"]
    assert sorted(report.missing) == ["c/bias", "c/kernel"]
    with pytest.raises(MismatchError):
        report.assert_consumed()


def test_a_load_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(MismatchError, match="nothing in the file"):
        load_h5_weights(dense("c"), describe_h5_weights(dense("a"))[0], by_name=True)


def test_a_mismatch_changes_nothing_and_names_it() -> None:
    source = dense("a", "b")
    target = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(5, name="b")]
    )
    before, record = values(target), describe_h5_weights(source)[0]
    for by_name in (False, True):
        with pytest.raises(MismatchError, match=r"b: stored b/kernel \(4, 4\)"):
            load_h5_weights(target, record, by_name=by_name)
        assert same(values(target), before)
    report = load_h5_weights(target, record, skip_mismatch=True)
    assert len(report.mismatched) == 1
    assert same(values(target.get_layer("a")), values(source.get_layer("a")))
    assert same(values(target.get_layer("b")), before[2:])


def test_damage_found_while_reading_changes_nothing() -> None:
    class Broken:
        def read_tensor(self, *_: Any) -> Any:
            raise FormatError("damaged")

    record = describe_h5_weights(dense("a", "b"))[0]
    record.state[1].tensors["b/bias:0"].source = Broken()  # type: ignore[assignment]
    target = dense("a", "b")
    before = values(target)
    with pytest.raises(FormatError, match="damaged"):
        load_h5_weights(target, record)
    assert same(values(target), before)


def test_missing_layers_are_named() -> None:
    with pytest.raises(MismatchError, match="no stored weights for layer 'b'"):
        load_h5_weights(dense("a", "b"), describe_h5_weights(dense("a"))[0])


def test_unbuilt_models_are_told_apart() -> None:
    model = keras.Sequential([layers.Dense(3)])
    with pytest.raises(UnsupportedError, match="not built"):
        load_h5_weights(model, describe_h5_weights(dense("a"))[0])
    with pytest.raises(UnsupportedError, match="not built"):
        describe_h5_weights(model)


def test_between_functional_and_subclassed_models() -> None:
    class Mine(keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.one, self.drop, self.two = layers.Dense(4), layers.Dropout(0.5), layers.Dense(4)
            self.scale = self.add_weight(shape=(4,), initializer="ones", name="scale")

        def call(self, x: Any) -> Any:
            return self.two(self.drop(self.one(x))) * self.scale

    source, target = Mine(), dense("a", "b")
    x = draw(2, 4)
    source.scale.assign([1.0, 2.0, 3.0, 4.0])
    expected = source(x)
    record = describe_h5_weights(source)[0]
    report = load_h5_weights(target, record)
    assert report.unexpected == [f"top_level_model_weights/{source.name}/scale:0"]
    scaled = np.asarray(target(x)) * [1.0, 2.0, 3.0, 4.0]
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)
    again = Mine()
    again(x)
    load_h5_weights(again, record).assert_consumed()
    np.testing.assert_array_equal(again(x), expected)


# Old layouts


def keras1_names(prefix: str, count: int) -> list[str]:
    """Names that tell nothing, as Theano gave them."""
    return [f"{prefix}_param_{i}" for i in range(count)]


def test_keras1_gates_are_joined() -> None:
    target = keras.Sequential([keras.Input((5, 3)), layers.LSTM(2), layers.Dense(1)])
    shapes = [(3, 2), (2, 2), (2,)] * 4
    arrays = [draw(*shape) for shape in shapes]
    head = [draw(2, 1), draw(1)]
    record = weights(
        group("lstm_1", dict(zip(keras1_names("lstm_1", 12), arrays, strict=True))),
        group("dense_1", {"dense_1_W": head[0], "dense_1_b": head[1]}),
        dialect="keras1",
    )
    load_h5_weights(target, record)
    i, c, f, o = (arrays[k : k + 3] for k in (0, 3, 6, 9))
    expected = [np.concatenate([gate[k] for gate in (i, f, c, o)], -1) for k in range(3)]
    assert same(values(target), [*expected, *head])


def test_keras1_gru_in_both_directions() -> None:
    target = keras.Sequential(
        [keras.Input((5, 3)), layers.Bidirectional(layers.GRU(2, reset_after=False))]
    )
    arrays = [draw(*shape) for shape in [(3, 2), (2, 2), (2,)] * 6]
    record = weights(
        group("b", dict(zip(keras1_names("b", 18), arrays, strict=True))), dialect="keras1"
    )
    load_h5_weights(target, record)
    expected = [
        np.concatenate([half[k] for k in (p, p + 3, p + 6)], -1)
        for half in (arrays[:9], arrays[9:])
        for p in range(3)
    ]
    assert same(values(target), expected)


def test_keras1_kernels() -> None:
    target = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, (2, 1)),
            layers.Reshape((30, 3)),
            layers.Conv1D(4, 2),
        ]
    )
    square, line, bias2, bias1 = draw(3, 2, 2, 1), draw(2, 1, 3, 4), draw(3), draw(4)
    record = weights(
        group("c2", {"c2_W": square, "c2_b": bias2}),
        group("c1", {"c1_W": line, "c1_b": bias1}),
        dialect="keras1",
    )
    load_h5_weights(target, record)
    assert same(values(target), [square.transpose(2, 3, 1, 0), bias2, line[:, 0], bias1])


def test_theano_kernels_are_turned_round() -> None:
    target = keras.Sequential(
        [keras.Input((6, 6, 2)), layers.Conv2D(3, 2), layers.Flatten(), layers.Dense(1)]
    )
    given = [draw(*value.shape) for value in values(target)]
    record = weights(
        group("conv2d_1", {"conv2d_1/kernel:0": given[0], "conv2d_1/bias:0": given[1]}),
        group("dense_1", {"dense_1/kernel:0": given[2], "dense_1/bias:0": given[3]}),
        backend="theano",
    )
    load_h5_weights(target, record)
    assert same(values(target), [given[0][::-1, ::-1], *given[1:]])


@pytest.mark.parametrize(
    ("kind", "name", "gates"),
    [
        (layers.LSTM, "CuDNNLSTM", 4),
        (layers.GRU, "CuDNNGRU", 3),
    ],
)
def test_cudnn_weights_are_converted(kind: Any, name: str, gates: int) -> None:
    shapes = [(3, 2 * gates), (2, 2 * gates), (4 * gates,)]
    forward, backward = ([draw(*shape) for shape in shapes] for _ in range(2))
    one = keras.Sequential([keras.Input((5, 3)), kind(2)])
    two = keras.Sequential([keras.Input((5, 3)), layers.Bidirectional(kind(2))])
    for target, arrays in ((one, forward), (two, [*forward, *backward])):
        names = [f"x/y_{i}/kernel:0" for i in range(len(arrays))]
        load_h5_weights(target, weights(group("x", dict(zip(names, arrays, strict=True)))))
    assert same(values(one), standard_weights(name, forward))
    assert same(values(two), [*values(one), *standard_weights(name, backward)])


def test_state_of_random_layers_is_left_out() -> None:
    target = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.RandomFlip(), layers.Flatten(), layers.Dense(1)]
    )
    given = [draw(16, 1), draw(1)]
    load_h5_weights(
        target,
        weights(
            group("random_flip", {"StateVar:0": np.arange(3)}),
            group("dense", {"dense/kernel:0": given[0], "dense/bias:0": given[1]}),
        ),
    )
    assert same(values(target), given)


# Whole models


def compiled(optimizer: Any, loss: Any = "mse") -> Any:
    """A small model after some steps."""
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(3, activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(1),
        ]
    )
    model.compile(optimizer, loss, metrics=["mae"])
    model.fit(draw(8, 4), draw(8, 1), epochs=2, verbose=0)
    return model


OPTIMIZERS: Mapping[str, Callable[[], Any]] = {
    "Adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "SGD": lambda: keras.optimizers.SGD(0.1),
    "Nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "RMSprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "Nadam": lambda: keras.optimizers.Nadam(0.01),
    "Ftrl": lambda: keras.optimizers.Ftrl(0.01),
    "Scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
    "Schedule": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.5)
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_next_step_is_the_same(tmp_path: Path, name: str) -> None:
    model = compiled(OPTIMIZERS[name]())
    revived = [revive_record(stored(model, tmp_path, dialect=d)) for d in ("keras2", "keras3")]
    x, y = draw(8, 4), draw(8, 1)
    model.train_on_batch(x, y)
    for again, dialect in zip(revived, ("keras2", "keras3"), strict=True):
        unsaid = ["step_counter", "dynamic_scale"] if name == "Scaled" else []
        lost = [line.partition(":")[0].rpartition("/")[2] for line in again.load_report.lost]
        assert lost == (unsaid if dialect == "keras2" else [])
        again.train_on_batch(x, y)
        for value, expected in zip(values(again), values(model), strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
        assert int(again.optimizer.iterations.value) == int(model.optimizer.iterations.value)


ONLY_OF_KERAS3: Mapping[str, Callable[[], Any]] = {
    "Lamb": lambda: keras.optimizers.Lamb(0.01),
    "Muon": lambda: keras.optimizers.Muon(0.01, exclude_layers=["dense"]),
    "ScheduleFree": lambda: keras.optimizers.ScheduleFreeAdamW(0.01),
    "Accumulated": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "Scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Lamb(0.01)),
}


@pytest.mark.parametrize("name", ONLY_OF_KERAS3)
def test_what_keras_2_has_not_trains_on(tmp_path: Path, name: str) -> None:
    model = compiled(ONLY_OF_KERAS3[name]())
    again = revive_record(stored(model, tmp_path))
    assert again.load_report.lost == []
    x, y = draw(8, 4), draw(8, 1)
    for live in (model, again):
        live.train_on_batch(x, y)
        live.train_on_batch(x, y)
    for value, expected in zip(values(again), values(model), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)


def test_others_open_what_only_hozon_compiles_again(oracle: Oracle, tmp_path: Path) -> None:
    model = compiled(keras.optimizers.Lamb(0.01))
    path, x = str(tmp_path / "m.h5"), draw(4, 4)
    lost = hozon.save_model(model, path).lost
    assert any("Keras 2 has no optimizer Lamb" in line for line in lost)
    opened = "model = keras.models.load_model(path)\nout['y'] = model(x).numpy()"
    told = oracle.python(opened, path=path, x=x)["y"]
    for outputs in (told, keras.models.load_model(path)(x)):
        np.testing.assert_allclose(outputs, model(x), rtol=1e-5, atol=1e-6)


def test_describing_changes_nothing() -> None:
    model = compiled("adam")
    before = values(model), [np.array(v) for v in model.optimizer.variables]
    first = describe_h5(model)
    assert describe_h5(model)[0].config == first[0].config
    assert same(values(model), before[0])
    assert same([np.array(v) for v in model.optimizer.variables], before[1])


def test_without_the_optimizer_and_uncompiled(tmp_path: Path) -> None:
    record = stored(compiled("adam"), tmp_path, include_optimizer=False)
    assert (record.training, record.optimizer) == (None, None)
    with pytest.warns(UserWarning, match="Compile it manually"):
        assert not revive_record(record).compiled
    record = stored(compiled("adam"), tmp_path)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*Compile it manually")
        assert not revive_record(record, compiled=False).compiled


def test_state_of_another_model_is_refused(tmp_path: Path) -> None:
    record = stored(compiled("adam"), tmp_path)
    other = {f"Adam/m/x{i}/kernel:0": lazy_array("x", draw(2, 2)) for i in range(3)}
    replaced = ModelRecord(
        **{name: getattr(record, name) for name in ModelRecord.__slots__ if name != "optimizer"},
        optimizer=StateGroup("optimizer_weights", other),
    )
    with pytest.raises(MismatchError, match="does not fit the model"):
        revive_record(replaced)
    assert revive_record(replaced, compiled=False).weights


def test_half_of_the_weights_missing_is_refused(tmp_path: Path) -> None:
    record = stored(compiled("adam"), tmp_path)
    for state in (record.state[:1], (*record.state[:2], StateGroup(record.state[2].name, {}))):
        half = ModelRecord(
            **{name: getattr(record, name) for name in ModelRecord.__slots__ if name != "state"},
            state=state,
        )
        with pytest.raises(MismatchError):
            revive_record(half)


def test_a_layer_name_used_twice_is_refused(tmp_path: Path) -> None:
    record = stored(dense("a", "b"), tmp_path)
    assert record.config is not None
    entries = record.config["config"]["layers"]
    entries[2]["config"]["name"] = "a"
    with pytest.raises(HozonError):
        revive_record(record)


def test_missing_classes_are_named_and_taken(tmp_path: Path) -> None:
    class Twice(layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x * 2

    model = keras.Sequential([keras.Input((4,)), Twice(name="t"), layers.Dense(2)])
    record, lines = describe_h5(model)
    assert any("Twice" in line and "custom_objects" in line for line in lines)
    write(record, tmp_path / "m.h5")
    with pytest.raises(MissingObjectError, match="Twice"):
        revive_record(read(tmp_path / "m.h5"))
    again = revive_record(read(tmp_path / "m.h5"), {"Twice": Twice})
    x = draw(2, 4)
    np.testing.assert_array_equal(again(x), model(x))


def test_a_missing_loss_leaves_the_model_uncompiled_and_says_so(tmp_path: Path) -> None:
    def mine(y: Any, p: Any) -> Any:
        return keras.ops.mean(y - p)

    record = stored(compiled("adam", mine), tmp_path)
    model = revive_record(record)
    assert not model.compiled
    assert any("mine" in line for line in model.load_report.lost)
    assert revive_record(record, {"mine": mine}).loss is mine


def test_weights_without_a_model_say_what_to_do() -> None:
    with pytest.raises(UnsupportedError, match="load_weights"):
        revive_record(describe_h5_weights(dense("a"))[0])


def test_models_without_a_config_say_what_to_do() -> None:
    class Mine(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(UnsupportedError, match="Mine"):
        describe_h5(Mine())


def test_what_keras2_cannot_say_is_written_for_keras3(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.RMSNormalization(), layers.Dense(2)])
    record, lines = describe_h5(model)
    assert record.dialect == "keras3"
    assert any("RMSNormalization" in line for line in lines)
    with pytest.raises(UnsupportedError, match="RMSNormalization"):
        describe_h5(model, "keras2")
    x = draw(2, 4)
    again = revive_record(stored(model, tmp_path))
    np.testing.assert_array_equal(again(x), model(x))


def test_strings_and_vocabularies(tmp_path: Path) -> None:
    words = revive_record(
        ModelRecord(
            form="h5",
            path="",
            dialect="keras2",
            naming="layers",
            config={
                "class_name": "Sequential",
                "config": {
                    "name": "s",
                    "layers": [
                        {
                            "class_name": "InputLayer",
                            "config": {
                                "batch_input_shape": [None, 1],
                                "dtype": "string",
                                "name": "i",
                            },
                        },
                        {
                            "class_name": "StringLookup",
                            "config": {
                                "name": "l",
                                "vocabulary": ["a", "b"],
                                "num_oov_indices": 1,
                                "mask_token": None,
                                "oov_token": "[UNK]",
                                "output_mode": "one_hot",
                                "dtype": "int64",
                            },
                        },
                        {"class_name": "Dense", "config": {"name": "d", "units": 2}},
                    ],
                },
            },
            state=(group("d", {"d/kernel:0": draw(3, 2), "d/bias:0": draw(2)}),),
        )
    )
    texts = np.array([["b"], ["z"], ["a"]], object)
    kernel, bias = values(words)
    np.testing.assert_allclose(words.predict(texts, verbose=0), kernel[[2, 0, 1]] + bias, rtol=1e-6)
    again = revive_record(stored(words, tmp_path))
    np.testing.assert_array_equal(again.predict(texts, verbose=0), words.predict(texts, verbose=0))


def test_losses_added_from_outside_are_told() -> None:
    model = dense("a")
    model.add_loss(keras.ops.convert_to_tensor(1.0))
    model.extra = keras.metrics.Mean(name="extra")
    lines = describe_h5(model)[1]
    assert any("add_loss" in line for line in lines)
    assert any("extra" in line for line in lines)


def test_what_text_layers_learned_is_a_weight_of_keras_2(tmp_path: Path) -> None:
    layer = {
        "class_name": "TextVectorization",
        "config": {
            "name": "t",
            "vocabulary": ["a", "b"],
            "idf_weights": [1.0, 1.0],
            "output_mode": "tf_idf",
            "dtype": "string",
        },
    }
    given = {
        "class_name": "InputLayer",
        "config": {"batch_input_shape": [None, 1], "dtype": "string", "name": "i"},
    }
    config = {"class_name": "Sequential", "config": {"name": "s", "layers": [given, layer]}}
    learned = np.array([3.0, 1.0, 2.0], np.float32)
    record = weights(group("t", {"Variable:0": learned}), form="h5", config=config)
    model = revive_record(record)
    assert model.load_report.matched == ["t/Variable"]
    texts = np.array([["a b b"], ["z"]], object)
    expected = [[0.0, 1.0, 4.0], [3.0, 0.0, 0.0]]
    np.testing.assert_allclose(model.predict(texts, verbose=0), expected)
    again = stored(model, tmp_path)
    np.testing.assert_array_equal(again.state[0].tensors["Variable:0"].read(), learned)
    np.testing.assert_allclose(revive_record(again).predict(texts, verbose=0), expected)


def test_weights_of_layers_that_lead_nowhere_are_told() -> None:
    def entry(name: str, *sources: str) -> dict[str, Any]:
        return {
            "class_name": "Dense",
            "config": {"name": name, "units": 2},
            "name": name,
            "inbound_nodes": [[[source, 0, 0, {}] for source in sources]],
        }

    given = {
        "class_name": "InputLayer",
        "name": "i",
        "inbound_nodes": [],
        "config": {"batch_input_shape": [None, 2], "name": "i"},
    }
    config = {
        "class_name": "Functional",
        "config": {
            "name": "m",
            "layers": [given, entry("a", "i"), entry("b", "i")],
            "input_layers": [["i", 0, 0]],
            "output_layers": [["a", 0, 0]],
        },
    }
    groups = [group(n, {f"{n}/kernel:0": draw(2, 2), f"{n}/bias:0": draw(2)}) for n in "ba"]
    model = revive_record(weights(*groups, form="h5", config=config))
    assert model.load_report.unexpected == ["b/b/kernel:0", "b/b/bias:0"]
    assert same(values(model), [t.read() for t in groups[1].tensors.values()])
