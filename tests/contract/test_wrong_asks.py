"""Wrong arguments at every door: one class of error, one wording, and nothing is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.cli import main
from hozon.errors import ArgumentError, UnknownFormatError, UnsupportedError
from tests.contract.doors import ASK, READ, WRITE, checkpoint, model, source

ALL = {**{f"{k} (read)": v for k, v in {**READ, **ASK}.items()}, **WRITE}
#: `restore(None)` changes nothing, as in TensorFlow.
NOT_NONE = {name: door for name, door in ALL.items() if name != "Checkpoint.restore (read)"}


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each test runs in an empty folder, which stays empty."""
    source()
    monkeypatch.chdir(tmp_path)
    yield
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("door", NOT_NONE)
@pytest.mark.parametrize("path", [b"m", None, 3, "", "a\0b", ["m"]], ids=repr)
def test_what_is_no_path(door: str, path: Any) -> None:
    with pytest.raises(ArgumentError, match=r"give a path or URL, as str or os.PathLike") as caught:
        ALL[door](path)
    assert f"={path!r}" in str(caught.value)
    assert isinstance(caught.value, (TypeError, ValueError))


@pytest.mark.parametrize("door", ALL)
def test_a_url_that_pathlib_has_shortened(door: str) -> None:
    with pytest.raises(ArgumentError, match="a URL as str"):
        ALL[door](Path("s3://bucket/m"))
    with pytest.raises(ArgumentError, match="a URL as str"):
        ALL[door](" s3://bucket/m")


@pytest.mark.parametrize("door", WRITE)
@pytest.mark.parametrize("url", ["https://host/m", "http://host/m", "zip://m"])
def test_what_is_only_read(door: str, url: str) -> None:
    with pytest.raises(UnsupportedError, match=f"saved under {url.partition('//')[0]}//"):
        WRITE[door](url)


@pytest.mark.parametrize("door", ALL)
@pytest.mark.parametrize("url", ["s3://bucket/m", "unheard://m"])
def test_a_file_system_that_is_not_installed(door: str, url: str) -> None:
    with pytest.raises(UnsupportedError, match=f"{url}.* cannot be opened") as caught:
        ALL[door](url)
    assert "install the package" in str(caught.value)


@pytest.mark.parametrize("door", READ)
@pytest.mark.parametrize("url", ["memory://missing", "missing", "missing.h5", "~/missing"])
def test_what_does_not_exist(door: str, url: str) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist") as caught:
        READ[door](url)
    assert isinstance(caught.value, hozon.FormatError)
    assert caught.value.errno == 2
    assert os.path.expanduser(url) in str(caught.value)


SUFFIXES = {
    "save_model": (".onnx", ".pth", ".txt", ".json", ".zip", ".weights.h5", ".safetensors"),
    "save_weights": (".onnx", ".pth", ".tflite", ".keras", ".json", ".index", ".PKL"),
    "convert": (".onnx", ".pt", ".pb", ".npz"),
    "ModelCheckpoint": (".onnx", ".weights.json"),
    "saved_model.save": (".onnx", ".pb", ".keras"),
}


@pytest.mark.parametrize(
    ("door", "suffix"), [(door, suffix) for door in SUFFIXES for suffix in SUFFIXES[door]]
)
def test_a_suffix_that_means_another_kind_of_file(door: str, suffix: str) -> None:
    with pytest.raises(UnknownFormatError, match=f"{suffix.lower()} means") as caught:
        WRITE[door](f"m{suffix}")
    assert isinstance(caught.value, ArgumentError)
    assert caught.value.instead


def test_a_suffix_that_means_nothing_is_a_part_of_the_name(tmp_path: Path) -> None:
    for name in ("run-0.25", "m.v2", "weights.01-0.52", "m.d/w"):
        assert hozon.save_weights(model(), tmp_path / "in" / name).format == "tf"
    assert hozon.save_weights(model(), tmp_path / "in" / "w.pth", format="h5").format == "h5"
    assert hozon.save_model(model(), tmp_path / "in" / "m.v2").format == "savedmodel"
    import shutil

    shutil.rmtree(tmp_path / "in")


def callback(**options: Any) -> Any:
    return hozon.callbacks.BackupAndRestore("b", **options)


def manager(**options: Any) -> Any:
    return hozon.train.CheckpointManager(checkpoint(), "c", **{"max_to_keep": 1, **options})


ARGUMENTS: dict[str, tuple[Callable[[], Any], str]] = {
    "format of a model": (lambda: hozon.save_model(model(), "m", format="zip"), "format='zip'"),
    "format of weights": (lambda: hozon.save_weights(model(), "m", format="zip"), "format='zip'"),
    "format to convert": (lambda: hozon.convert(source(), "m", format="zip"), "format='zip'"),
    "format that is no text": (lambda: hozon.save_model(model(), "m", format=3), "format=3"),
    "overwrite of a conversion": (
        lambda: hozon.convert(source(), "m", overwrite="no"),
        "overwrite='no'",
    ),
    "near format": (
        lambda: hozon.save_weights(model(), "m", format="safetensor"),
        "did you mean 'safetensors'",
    ),
    "progress": (lambda: hozon.load_model(source(), progress="yes"), "progress='yes'"),
    "compile": (lambda: hozon.load_model(source(), compile="no"), "compile='no'"),
    "custom objects": (
        lambda: hozon.load_model(source(), custom_objects=[1]),
        r"custom_objects=\[1\]: give a dictionary",
    ),
    "custom objects that are none": (
        lambda: hozon.load_model(source(), custom_objects={"MyLayer": 3}),
        r"custom_objects={'MyLayer': 3}: give a dictionary",
    ),
    "custom objects to convert": (
        lambda: hozon.convert(source(), "m", custom_objects=[1]),
        r"custom_objects=\[1\]: give a dictionary",
    ),
    "overwrite": (lambda: hozon.save_model(model(), "m", overwrite="no"), "overwrite='no'"),
    "blocking": (lambda: hozon.save_weights(model(), "m", blocking=None), "blocking=None"),
    "by_name": (lambda: hozon.load_weights(model(), source(), by_name="x"), "by_name='x'"),
    "rename": (lambda: hozon.load_weights(model(), source(), rename=3), "rename=3: give"),
    "shards": (
        lambda: hozon.save_weights(model(), "m.weights.json", max_shard_size=-1),
        "max_shard_size=-1",
    ),
    "shards of one file": (
        lambda: hozon.save_weights(model(), "m.h5", max_shard_size=1),
        "max_shard_size=1",
    ),
    "tags": (lambda: hozon.saved_model.load("m", tags=3), "tags=3"),
    "signatures": (lambda: hozon.saved_model.save({}, "m", signatures=[1]), "signatures="),
    "a checkpoint with another suffix": (
        lambda: checkpoint().save("w.pth"),
        "file_prefix='w.pth': .pth means a PyTorch file",
    ),
    "a checkpoint with a suffix of Keras": (
        lambda: checkpoint().write("w.weights.h5"),
        ".h5 means a Keras H5 file",
    ),
    "a checkpoint of weights with another suffix": (
        lambda: hozon.train.save_weights(model(), "w.onnx"),
        ".onnx means an ONNX model",
    ),
    "a SavedModel of nothing": (lambda: hozon.saved_model.save(None, "m"), "obj=None: give"),
    "double checkpoint": (lambda: callback(double_checkpoint="x"), "double_checkpoint='x'"),
    "max_to_keep": (lambda: manager(max_to_keep="3"), "max_to_keep='3'"),
    "max_to_keep is whole": (lambda: manager(max_to_keep=1.5), "max_to_keep=1.5"),
    "a keyword of Keras": (
        lambda: hozon.callbacks.ModelCheckpoint("m", save_best=True),
        "'save_best'; did you mean 'save_best_only'",
    ),
    "a format in capitals": (
        lambda: hozon.save_model(model(), "m", format="H5"),
        "did you mean 'h5'",
    ),
    "an unknown keyword": (
        lambda: hozon.save_model(model(), "m", formt="h5"),
        "no argument 'formt'; did you mean 'format'",
    ),
    "a keyword of Keras 2": (
        lambda: hozon.load_model(source(), custom_object={}),
        "did you mean 'custom_objects'",
    ),
    "an unknown keyword of a class": (
        lambda: manager(max_to_kep=3),
        "CheckpointManager.*'max_to_kep'; did you mean 'max_to_keep'",
    ),
    "an architecture that is no text": (
        lambda: hozon.model_from_json(None),
        "text=None: give JSON",
    ),
    "too few": (lambda: hozon.save_model(model()), "missing a required argument: 'path'"),
    "too many": (lambda: hozon.load_model("a", "b"), "too many positional"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
def test_wrong_values_and_keywords(case: str) -> None:
    call, text = ARGUMENTS[case]
    with pytest.raises(ArgumentError, match=text):
        call()


DIALECTS: dict[str, Callable[[Any], Any]] = {
    "save_model": lambda d: hozon.save_model(model(), "m.h5", dialect=d),
    "savedmodel": lambda d: hozon.save_model(model(), "m", dialect=d),
    "convert": lambda d: hozon.convert(source(), "m.h5", dialect=d),
    "convert to JSON": lambda d: hozon.convert(source(), "m.json", dialect=d),
    "convert weights": lambda d: hozon.convert(source(), "m.safetensors", dialect=d),
    "serialize": lambda d: hozon.serialize(model(), dialect=d),
    "model_to_json": lambda d: hozon.model_to_json(model(), dialect=d),
}


@pytest.mark.parametrize("door", DIALECTS)
@pytest.mark.parametrize("dialect", ["keras9", "Keras2", "keras1", 2, ""])
def test_dialects(door: str, dialect: Any) -> None:
    with pytest.raises(ArgumentError, match=f"dialect={dialect!r}: give 'keras2', 'keras3'"):
        DIALECTS[door](dialect)


MODELS: dict[str, Callable[[Any], Any]] = {
    "save_model": lambda m: hozon.save_model(m, "m"),
    "save_model as H5": lambda m: hozon.save_model(m, "m.h5"),
    "save_weights": lambda m: hozon.save_weights(m, "w"),
    "save_weights as H5": lambda m: hozon.save_weights(m, "w.h5"),
    "save_weights as safetensors": lambda m: hozon.save_weights(m, "w.safetensors"),
    "load_weights": lambda m: hozon.load_weights(m, source()),
    "load_weights from nowhere": lambda m: hozon.load_weights(m, "nowhere"),
    "train.save_weights": lambda m: hozon.train.save_weights(m, "w"),
    "model_to_json": hozon.model_to_json,
    "clone_model": hozon.clone_model,
}


@pytest.mark.parametrize("door", MODELS)
@pytest.mark.parametrize("thing", [None, "model", keras.Model, {}, [None], 3], ids=repr)
def test_what_is_no_model(door: str, thing: Any) -> None:
    """Before it is asked whether the path is there."""
    with pytest.raises(ArgumentError, match=r"=.*: give a (keras.Model|Keras model or layer)"):
        MODELS[door](thing)


def test_the_methods_of_the_opt_in() -> None:
    opted = hozon.keras

    with opted.opted_in():
        for call, text in (
            (lambda: model().save("m", formt="h5"), "did you mean 'format'"),
            (lambda: model().save("m", save_format="h6"), "save_format='h6' is not one of 'tf'"),
            (lambda: model().save("m.pth"), "pth means a PyTorch file"),
            (lambda: model().save_weights("w", formt="h5"), "'formt'; did you mean 'save_format'"),
            (lambda: model().save_weights("w", save_format=3), "save_format=3"),
            (lambda: model().save_weights(b"w"), "give a path or URL"),
            (lambda: model().load_weights(source(), by_nam=True), "did you mean 'by_name'"),
            (lambda: opted.models.load_model(None), "path=None: give a path or URL"),
            (lambda: opted.models.load_model("m", compil=1), "did you mean 'compile'"),
            (lambda: opted.models.save_model(model(), "m", save_format="x"), "save_format='x'"),
            (lambda: opted.saving.save_model(None, "m"), "model=None: give a keras.Model"),
        ):
            with pytest.raises(ArgumentError, match=text):
                call()


def test_a_layer_is_no_model() -> None:
    with pytest.raises(ArgumentError, match=r"give a keras\.Model"):
        hozon.save_model(keras.layers.Dense(1), "m")
    with pytest.raises(ArgumentError, match=r"give a hozon\.train\.Checkpoint"):
        hozon.train.CheckpointManager(model(), "c", 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert", "SOURCE", "m.onnx"],
        ["convert", "SOURCE", "m", "--format", "zip"],
        ["convert", "SOURCE", "m.h5", "--dialect", "keras9"],
        ["inspect", ""],
    ],
)
def test_bad_use_of_the_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([source() if a == "SOURCE" else a for a in arguments]) == 2
    assert "hozon: " in capsys.readouterr().err


def test_a_home_folder_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    hozon.save_weights(model(), "~/w")
    hozon.save_model(model(), Path("~/m.keras"))
    assert {"w.index", "m.keras"} <= set(os.listdir(home))
    assert hozon.load_weights(model(), "~/w").matched
    assert hozon.inspect("~/m.keras").variables
    assert hozon.train.latest_checkpoint("~") is not None
    np.testing.assert_array_equal(
        np.asarray(hozon.load_model("~/m.keras", compile=False).weights[0]),
        np.asarray(model().weights[0]),
    )
    import shutil

    shutil.rmtree(home)
