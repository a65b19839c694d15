"""Layers models of TensorFlow.js: what it made, and what is written for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import hozon
from tests.tfjs.client import as_array, as_json, ask

MADE = ("dense", "pictures", "sequences", "bidirectional", "branches")
RNG = np.random.default_rng(11)


def sequential(shape: tuple[int | None, ...], *stack: Any) -> keras.Model:
    return keras.Sequential([keras.Input(shape), *stack])


def merged() -> keras.Model:
    a, b = keras.Input((3, 4)), keras.Input((3, 4))
    each = (layers.Average, layers.Multiply, layers.Maximum, layers.Minimum, layers.Add)
    outputs = [layers.Dot(axes=2)([a, b]), *(make()([a, b]) for make in each)]
    return keras.Model([a, b], outputs)


def nested() -> keras.Model:
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="relu")])
    both = layers.Concatenate()([inner(inputs), inner(layers.ReLU()(inputs))])
    return keras.Model(inputs, layers.Dense(2)(both))


WRITTEN: dict[str, Callable[[], keras.Model]] = {
    "dense": lambda: sequential(
        (4,),
        layers.Dense(3, "silu", kernel_regularizer="l2", kernel_initializer="lecun_normal"),
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.Dropout(0.3),
        layers.Dense(2, "softmax"),
    ),
    "pictures": lambda: sequential(
        (8, 8, 3),
        layers.Rescaling(1 / 2, 0.1),
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(max_value=6.0),
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(3, 3, padding="same"),
        layers.MaxPooling2D(),
        layers.UpSampling2D(),
        layers.ZeroPadding2D(),
        layers.Conv2DTranspose(2, 3),
        layers.GlobalAveragePooling2D(),
    ),
    "sequences": lambda: sequential(
        (5,),
        layers.Embedding(10, 4, mask_zero=True),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.GRU(4, reset_after=False),
        layers.Dense(2),
    ),
    "convolutions": lambda: sequential(
        (8, 3),
        layers.Conv1D(4, 3, padding="same"),
        layers.MaxPooling1D(),
        layers.TimeDistributed(layers.Dense(4)),
        layers.SimpleRNN(4),
        layers.PReLU(),
        layers.Activation("gelu"),
    ),
    "merged": merged,
    "nested": nested,
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What TensorFlow.js says: of the models it made, and of those written for it."""
    folder = tmp_path_factory.mktemp("tfjs")
    jobs: list[dict[str, Any]] = [
        {"make": name, "into": str(folder / f"made {name}")} for name in MADE
    ]
    models = {}
    for name, make in WRITTEN.items():
        model = make()
        model.set_weights([RNG.uniform(0.1, 0.9, w.shape) for w in model.weights])
        inputs = [values(x) for x in model.inputs]
        path = folder / f"written {name}"
        report = hozon.save_model(model, path, format="tfjs")
        models[name] = (model, inputs, path, report)
        jobs.append({"run": str(path), "inputs": list(map(as_json, inputs))})
    answers = ask(jobs, folder)
    return {
        "folder": folder,
        "models": models,
        "made": dict(zip(MADE, answers, strict=False)),
        "written": dict(zip(WRITTEN, answers[len(MADE) :], strict=True)),
    }


def values(x: Any) -> Any:
    shape = (2, *x.shape[1:])
    if len(shape) == 2 and shape[1] == 5:  # of words
        return RNG.integers(0, 10, shape).astype("float32")
    return RNG.normal(size=shape).astype("float32")


def outputs_of(model: keras.Model, inputs: list[Any]) -> list[Any]:
    outputs = model(inputs[0] if len(inputs) == 1 else inputs)
    return list(map(np.asarray, outputs if isinstance(outputs, list) else [outputs]))


def assert_equal(found: list[Any], expected: list[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MADE)
def test_it_predicts_and_trains_on_as_in_tensorflowjs(told: dict[str, Any], name: str) -> None:
    answer = told["made"][name]
    assert "error" not in answer, answer
    model = hozon.load_model(told["folder"] / f"made {name}")
    assert model.load_report.lost == []
    inputs = list(map(as_array, answer["inputs"]))
    assert_equal(outputs_of(model, inputs), list(map(as_array, answer["outputs"])))
    given = inputs[0] if len(inputs) == 1 else inputs
    history = model.fit(given, as_array(answer["targets"]), shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"][0], answer["loss"], rtol=1e-4)
    assert_equal(outputs_of(model, inputs), list(map(as_array, answer["after"])))


@pytest.mark.parametrize("name", list(WRITTEN))
def test_tensorflowjs_predicts_the_same(told: dict[str, Any], name: str) -> None:
    model, inputs, path, report = told["models"][name]
    answer = told["written"][name]
    assert "error" not in answer, answer
    expected = outputs_of(model, inputs)
    assert_equal(list(map(as_array, answer["outputs"])), expected)
    assert report.lost == report.converted == []
    assert_equal(outputs_of(hozon.load_model(path, compile=False), inputs), expected)


def test_a_file_of_either_kind_becomes_the_other(tmp_path: Path) -> None:
    model = WRITTEN["dense"]()
    model.compile("adam", "mse")
    hozon.save_model(model, tmp_path / "m.keras")
    hozon.convert(tmp_path / "m.keras", tmp_path / "web", format="tfjs")
    hozon.convert(tmp_path / "web", tmp_path / "m.h5")
    loaded = hozon.load_model(tmp_path / "m.h5")
    x = RNG.normal(size=(2, 4)).astype("float32")
    assert_equal(outputs_of(loaded, [x]), outputs_of(model, [x]))
    assert hozon.inspect(tmp_path / "web").format == "TensorFlow.js layers model"
    assert len(hozon.inspect(tmp_path / "web" / "model.json").layers) == 7


def test_large_weights_are_cut_into_shards(tmp_path: Path) -> None:
    model = sequential((1100,), layers.Dense(1000))
    hozon.save_model(model, tmp_path / "web", format="tfjs")
    sizes = [file.stat().st_size for file in sorted(tmp_path.joinpath("web").glob("*.bin"))]
    assert sizes == [4 << 20, 1101 * 4000 - (4 << 20)]
    loaded = hozon.load_model(tmp_path / "web", compile=False)
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_quantized_weights(tmp_path: Path) -> None:
    model = sequential((3,), layers.Dense(2, use_bias=False, name="d"))
    hozon.save_model(model, tmp_path / "web", format="tfjs")
    file = tmp_path / "web" / "model.json"
    document = json.loads(file.read_text())
    entry = document["weightsManifest"][0]["weights"][0]
    shard = tmp_path / "web" / document["weightsManifest"][0]["paths"][0]
    stored = np.arange(6, dtype=np.uint8).reshape(3, 2)
    for dtype, packed in (
        ("uint8", {"dtype": "uint8", "scale": 0.5, "min": -1.0}),
        ("uint16", {"dtype": "uint16", "scale": 0.5, "min": -1.0}),
        ("float16", {"dtype": "float16"}),
    ):
        file.write_text(json.dumps(document))
        entry["quantization"] = packed
        file.write_text(json.dumps(document))
        shard.write_bytes(stored.astype(dtype).tobytes())
        expected = stored * 0.5 - 1 if dtype != "float16" else stored
        weights = hozon.load_model(tmp_path / "web", compile=False).get_weights()
        np.testing.assert_array_equal(weights[0], expected.astype("float32"))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: sequential((4,), layers.GroupNormalization(2)), "GroupNormalization"),
        (lambda: sequential((5, 3), layers.GRU(2)), "reset_after"),
        (lambda: sequential((8, 3), layers.Conv1D(2, 3, padding="causal")), "causal"),
        (lambda: sequential((4,), layers.Dense(2, "exponential")), "exponential"),
        (lambda: sequential((4,), layers.Dense(2, dtype="mixed_float16")), "mixed_float16"),
    ],
)
def test_what_it_lacks_is_refused(
    make: Callable[[], keras.Model], told: str, tmp_path: Path
) -> None:
    with pytest.raises(hozon.UnsupportedError, match=told):
        hozon.save_model(make(), tmp_path / "web", format="tfjs")
    assert not list(tmp_path.iterdir())


def test_the_optimizers_state_has_no_place(tmp_path: Path) -> None:
    model = sequential((4,), layers.Dense(2))
    model.compile("adam", "mse")
    model.fit(np.ones((2, 4)), np.ones((2, 2)), verbose=0)
    report = hozon.save_model(model, tmp_path / "web", format="tfjs")
    assert any("optimizer" in line for line in report.lost)
    assert hozon.load_model(tmp_path / "web").compiled


@pytest.mark.parametrize(
    ("edit", "error", "told"),
    [
        (lambda d, f: next(f.glob("*.bin")).unlink(), hozon.FormatError, "missing"),
        (lambda d, f: next(f.glob("*.bin")).write_bytes(b"12"), hozon.FormatError, "end before"),
        (
            lambda d, f: d["weightsManifest"][0].update(paths=["../x.bin"]),
            hozon.UnsafeError,
            "beside",
        ),
        (lambda d, f: d["weightsManifest"][0].pop("weights"), hozon.FormatError, "incomplete"),
        (lambda d, f: d.update(format="graph-model"), hozon.UnsupportedError, "layers model"),
        (
            lambda d, f: d["weightsManifest"][0]["weights"][0].update(shape=[10**9, 10**9]),
            hozon.FormatError,
            "end before",
        ),
        (
            lambda d, f: d["weightsManifest"][0]["weights"][0].update(name="other/kernel"),
            hozon.FormatError,
            "no layer",
        ),
    ],
)
def test_damage(edit: Any, error: type[Exception], told: str, tmp_path: Path) -> None:
    folder = tmp_path / "web"
    hozon.save_model(sequential((4,), layers.Dense(2)), folder, format="tfjs")
    document = json.loads((folder / "model.json").read_text())
    edit(document, folder)
    (folder / "model.json").write_text(json.dumps(document))
    for door in (hozon.load_model, hozon.inspect):
        with pytest.raises(error, match=told):
            door(folder)


def test_a_folder_of_something_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "thesis.txt").write_text("of value")
    with pytest.raises(hozon.SaveError):
        hozon.save_model(sequential((4,), layers.Dense(2)), tmp_path / "web", format="tfjs")
    assert (tmp_path / "web" / "thesis.txt").read_text() == "of value"
