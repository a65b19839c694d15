"""Keras 3's own files and safetensors: round trips, Keras as the judge, damage, attacks."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import safetensors.numpy
from keras import layers

import hozon
from hozon import FormatError, HozonError, MismatchError, UnsafeError, UnsupportedError
from tests.across.written import zoo
from tests.oracle.client import Oracle

CLASSES = {name: value for name, value in vars(zoo).items() if isinstance(value, type)}
WITH_CONFIG = [name for name in zoo.MAKERS if name not in ("subclassed", "autoencoder")]


def flat(value: Any) -> list[np.ndarray]:
    return [np.asarray(v) for v in keras.tree.flatten(value)]


def small() -> keras.Model:
    keras.utils.set_random_seed(4)
    x = keras.Input((3,))
    y = layers.BatchNormalization()(layers.Dense(4, name="first")(x))
    model = keras.Model(x, layers.Dense(2)(y))
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    return model


@pytest.mark.parametrize("name", WITH_CONFIG)
def test_keras_and_hozon_open_it(name: str, tmp_path: Path) -> None:
    case = zoo.MAKERS[name]()
    file = tmp_path / "m.keras"
    hozon.save_model(case.model, file)
    expected = flat(case.model.predict(case.x, verbose=0))
    compiled = case.model.compiled
    ours = hozon.load_model(file, custom_objects=CLASSES, compile=compiled)
    theirs = keras.saving.load_model(file, custom_objects=CLASSES)
    hozon.fast_on_cpu(ours, False)  # convolutions have forms of their own, up to rounding
    for found in (ours, theirs):
        for a, b in zip(flat(found.predict(case.x, verbose=0)), expected, strict=True):
            np.testing.assert_array_equal(a, b)
        if compiled:
            for a, b in zip(found.optimizer.variables, case.model.optimizer.variables, strict=True):
                np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    ours.load_report.assert_consumed()


def test_a_folder_of_the_members(tmp_path: Path) -> None:
    """What ``zipped=False`` of Keras writes is read like the file, from every door."""
    model, folder = small(), tmp_path / "parts"
    keras.saving.save_model(model, folder, zipped=False)
    again = hozon.load_model(folder)
    again.load_report.assert_consumed()
    for new, old in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)
    info = hozon.inspect(folder)
    assert (info.format, info.layers[2].name) == (".keras", "first")
    assert hozon.verify(folder).ok
    hozon.convert(folder, tmp_path / "m.h5")
    assert hozon.diff(folder, tmp_path / "m.h5").same
    weights = folder / "model.weights.h5"
    weights.rename(tmp_path / "elsewhere.h5")
    weights.symlink_to(tmp_path / "elsewhere.h5")
    with pytest.raises(UnsafeError, match="is a link"):
        hozon.load_model(folder)


@keras.saving.register_keras_serializable("keras_hub", "Backbone")
class Backbone(keras.Model):
    """What a preset of KerasHub holds: a model whose class Keras does not have."""

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.dense = layers.Dense(units)

    def build(self, shape: Any) -> None:
        self.dense.build(shape)

    def call(self, x: Any) -> Any:
        return self.dense(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def preset(folder: Path, *, split: bool) -> keras.Model:
    """A folder as KerasHub's ``save_to_preset`` writes it, and the model."""
    model = Backbone(2, name="backbone")
    model.build((None, 3))
    folder.mkdir()
    config = keras.saving.serialize_keras_object(model)
    config["module"] = "keras_hub.src.models.some.backbone"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "metadata.json").write_text('{"keras_version": "3.15.0", "keras_hub_version": "1.2"}')
    (folder / "tokenizer.json").write_text("{}")
    if split:
        model.save_weights(folder / "model.weights.json", max_shard_size=1)
    else:
        model.save_weights(folder / "model.weights.h5")
    return model


@pytest.mark.parametrize("split", [False, True], ids=["one file", "a set"])
def test_a_preset_of_keras_hub(
    split: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = preset(tmp_path / "p", split=split)
    assert hozon.inspect(tmp_path / "p").producer == "keras 3.15.0, KerasHub 1.2"
    assert hozon.verify(tmp_path / "p").ok
    assert len(hozon.tensors(tmp_path / "p")) == 2
    found = hozon.load_model(tmp_path / "p", custom_objects={"Backbone": Backbone}, compile=False)
    for a, b in zip(found.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    registered = keras.saving.get_custom_objects()
    monkeypatch.delitem(registered, "keras_hub>Backbone")
    with pytest.raises(hozon.MissingObjectError, match="pip install keras-hub") as caught:
        hozon.load_model(tmp_path / "p")
    assert caught.value.argument() == "custom_objects={'Backbone': keras_hub.models.Backbone}"


def test_a_damaged_set_of_a_preset_is_found(tmp_path: Path) -> None:
    preset(tmp_path / "p", split=True)
    next((tmp_path / "p").glob("model_*.weights.h5")).unlink()
    assert not hozon.verify(tmp_path / "p").ok
    with pytest.raises(FormatError, match="missing"):
        hozon.tensors(tmp_path / "p")


def test_a_folder_in_the_cache_of_the_hub(tmp_path: Path) -> None:
    """Files there are links into the folder of the same model, and nowhere else."""
    root = tmp_path / "models--me--net"
    snapshot = root / "snapshots" / "abc"
    keras.saving.save_model(small(), tmp_path / "parts", zipped=False)
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir()
    for number, file in enumerate(sorted((tmp_path / "parts").iterdir())):
        if file.is_file():
            file.rename(root / "blobs" / str(number))
            (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    hozon.load_model(snapshot).load_report.assert_consumed()
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(tmp_path / "elsewhere.json")
    (tmp_path / "elsewhere.json").write_text("{}")
    with pytest.raises(UnsafeError, match="is a link"):
        hozon.load_model(snapshot)


def test_what_keras_writes(tmp_path: Path) -> None:
    model = small()
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    found = hozon.load_model(tmp_path / "m.keras")
    for a, b in zip(found.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    fresh = keras.models.clone_model(model)
    hozon.load_weights(fresh, tmp_path / "m.weights.h5").assert_consumed()
    for a, b in zip(fresh.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_tf_keras_opens_the_keras2_dialect(tmp_path: Path, oracle: Oracle) -> None:
    model = small()
    file = tmp_path / "m.keras"
    hozon.save_model(model, file, dialect="keras2")
    x = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    code = """
import tf_keras
model = tf_keras.models.load_model(path)
out["predict"] = model.predict(x, verbose=0)
out["optimizer"] = [np.array(v) for v in model.optimizer.variables]
"""
    told = oracle.python(code, path=str(file), x=x)
    np.testing.assert_allclose(told["predict"], model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    assert told["optimizer"][0] == int(np.asarray(model.optimizer.iterations)) > 0
    again = hozon.load_model(file)
    for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("suffix", [".weights.h5", ".safetensors"])
def test_weights(suffix: str, tmp_path: Path) -> None:
    model, file = small(), tmp_path / f"w{suffix}"
    report = hozon.save_weights(model, file)
    assert report.format == suffix[1:]
    fresh = keras.models.clone_model(model)
    hozon.load_weights(fresh, file).assert_consumed()
    for a, b in zip(fresh.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    if suffix == ".weights.h5":
        keras.models.clone_model(model).load_weights(file)
    else:
        stored = safetensors.numpy.load_file(file)
        np.testing.assert_array_equal(
            stored["layers/dense/vars/0"], np.asarray(model.get_layer("first").kernel)
        )
    info = hozon.inspect(file)
    assert info.nbytes >= sum(np.asarray(w).nbytes for w in model.weights)


def test_between_the_two_without_keras(tmp_path: Path) -> None:
    model = small()
    hozon.save_weights(model, tmp_path / "w.weights.h5")
    hozon.convert(tmp_path / "w.weights.h5", tmp_path / "w.safetensors")
    hozon.convert(tmp_path / "w.safetensors", tmp_path / "again.weights.h5")
    fresh = keras.models.clone_model(model)
    hozon.load_weights(fresh, tmp_path / "again.weights.h5").assert_consumed()
    for a, b in zip(fresh.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_another_model_is_left_as_it_was(tmp_path: Path) -> None:
    hozon.save_weights(small(), tmp_path / "w.weights.h5")
    other = keras.Sequential([keras.Input((3,)), layers.Dense(5), layers.Dense(2)])
    before = [np.asarray(w) for w in other.weights]
    with pytest.raises(MismatchError):
        hozon.load_weights(other, tmp_path / "w.weights.h5")
    for a, b in zip(other.weights, before, strict=True):
        np.testing.assert_array_equal(np.asarray(a), b)


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    model = small()
    for name in ("m.keras", "w.weights.h5", "w.safetensors"):
        save = hozon.save_model if name == "m.keras" else hozon.save_weights
        save(model, tmp_path / name)
        first = (tmp_path / name).read_bytes()
        save(model, tmp_path / name)
        assert (tmp_path / name).read_bytes() == first


def changed(file: Path, **members: bytes | None) -> Path:
    """The archive with some members replaced, or left out."""
    made = file.with_name("changed.keras")
    names = {"config": "config.json", "weights": "model.weights.h5", "metadata": "metadata.json"}
    new = {names[key]: value for key, value in members.items()}
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(made, "w") as target:
        for name in source.namelist():
            content = new.get(name, source.read(name)) if name in new else source.read(name)
            if content is not None:
                target.writestr(name, content)
    return made


@pytest.mark.parametrize(
    "members",
    [
        {"config": None},
        {"weights": None},
        {"config": b"{"},
        {"config": b"[" * 10_000},
        {"weights": b"not hdf5"},
        {"config": b"{}"},
        {"metadata": b"\xff"},
    ],
)
def test_damaged_archives(members: dict[str, Any], tmp_path: Path) -> None:
    hozon.save_model(small(), tmp_path / "m.keras")
    with pytest.raises(HozonError):
        hozon.load_model(changed(tmp_path / "m.keras", **members))


def test_cut_short_and_turned_bits(tmp_path: Path) -> None:
    hozon.save_model(small(), tmp_path / "m.keras")
    data = (tmp_path / "m.keras").read_bytes()
    for cut in (10, len(data) // 2, len(data) - 5):
        (tmp_path / "cut.keras").write_bytes(data[:cut])
        with pytest.raises(HozonError):
            hozon.load_model(tmp_path / "cut.keras")
    turned = bytearray(data)
    turned[data.index(b"model.weights.h5") + 3000] ^= 0xFF
    (tmp_path / "turned.keras").write_bytes(bytes(turned))
    with pytest.raises(FormatError, match="checksum"):
        hozon.load_model(tmp_path / "turned.keras")


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
            for name, content in members.items():
                target.writestr(name, content)
    return path


def test_members_that_lead_out(tmp_path: Path) -> None:
    for name in ("../evil", "/etc/evil", "assets/../../evil"):
        path = archive(tmp_path / "a.keras", {"config.json": b"{}", name: b"x"})
        with pytest.raises((UnsafeError, FormatError)):
            hozon.load_model(path)
        with pytest.raises(HozonError):
            hozon.inspect(path)


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "os", "class_name": "system", "config": {"command": "touch x"}},
        {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {
                "name": "l",
                "function": {"class_name": "__lambda__", "config": {"code": "4wEA"}},
            },
        },
        {"module": "builtins", "class_name": "eval", "config": "1"},
        {"module": "keras.utils", "class_name": "get_file", "config": {"fname": "x"}},
    ],
    ids=["os.system", "lambda", "eval", "get_file"],
)
def test_configs_that_ask_for_code(layer: dict[str, Any], tmp_path: Path) -> None:
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {"name": "s", "layers": [layer]},
    }
    hozon.save_model(small(), tmp_path / "m.keras")
    path = changed(tmp_path / "m.keras", config=json.dumps(config).encode())
    with pytest.raises((UnsafeError, UnsupportedError, FormatError, hozon.MissingObjectError)):
        hozon.load_model(path)
    assert not Path("x").exists()


@pytest.mark.parametrize("cut", [4, 8, 40, -3])
def test_damaged_safetensors(cut: int, tmp_path: Path) -> None:
    hozon.save_weights(small(), tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(data[:cut])
    with pytest.raises(HozonError):
        hozon.load_weights(small(), tmp_path / "w.safetensors")


def test_safetensors_that_lie(tmp_path: Path) -> None:
    for entry in (
        {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "Z9", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32"},
    ):
        text = json.dumps({"a": entry}).encode()
        out = io.BytesIO()
        out.write(len(text).to_bytes(8, "little") + text + b"\0\0\0\0")
        (tmp_path / "w.safetensors").write_bytes(out.getvalue())
        with pytest.raises(HozonError):
            hozon.load_weights(small(), tmp_path / "w.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5", ".h5", ".weights.json", ""])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_weights_of_any_width(dtype: str, suffix: str, tmp_path: Path) -> None:
    """Float64 variables hold float32 values where JAX has no 64-bit types."""

    def build() -> keras.Model:
        layers = [keras.layers.Dense(3, dtype=dtype), keras.layers.BatchNormalization(dtype=dtype)]
        return keras.Sequential([keras.Input((4,)), *layers])

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Explicitly requested dtype")
        model, fresh = build(), build()
        hozon.save_weights(model, tmp_path / f"w{suffix}")
        hozon.load_weights(fresh, tmp_path / f"w{suffix}").assert_consumed()
        for mine, theirs in zip(fresh.weights, model.weights, strict=True):
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(
                np.asarray(mine.value, "float32"), np.asarray(theirs.value, "float32")
            )


@pytest.mark.filterwarnings("ignore:No training configuration:UserWarning")
def test_a_model_of_keras_that_was_never_compiled(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input((3,)), layers.Dense(1)]).save(path)
    assert keras.models.load_model(path).compiled is False
    assert hozon.load_model(path).compiled is False
