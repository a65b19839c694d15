"""What goes wrong by a name says which was meant, at the doors where people type names."""

from __future__ import annotations

import re
from ast import literal_eval
from pathlib import Path

import keras
import numpy as np
import pytest

import hozon
from hozon.cli import main

FORMS = ("m", "m.h5", "m.keras", "w.safetensors", "w.weights.h5", "w.h5", "ck")
#: Twelve layers of one class and shape: what counts them must not sort by letters.
NAMES = [f"{'abcdefghijkl'[n]}_old" for n in range(12)]


def chain(names: list[str]) -> keras.Model:
    inner = [keras.layers.Dense(4, name=name) for name in names]
    norm = keras.layers.BatchNormalization(name=f"norm_{names[0]}")
    model = keras.Sequential([keras.Input((4,), name="x"), *inner, norm])
    for number, variable in enumerate(model.weights):
        variable.assign(np.full(variable.shape, number))
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, model = tmp_path_factory.mktemp("named"), chain(NAMES)
    for name in FORMS:
        (hozon.save_model if name[0] == "m" else hozon.save_weights)(model, folder / name)
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_a_mapping_of_layers_to_paste(form: str, saved: Path) -> None:
    other = chain([name.replace("old", "new") for name in NAMES])
    for variable in other.weights:
        variable.assign(variable * 0 - 1)
    with pytest.raises(hozon.MismatchError) as caught:
        hozon.load_weights(other, saved / form, by_name=True)
    told = re.search(r"rename=({.*})", str(caught.value))
    assert told is not None
    hozon.load_weights(other, saved / form, rename=literal_eval(told[1])).assert_consumed()
    for number, variable in enumerate(other.weights):
        assert set(np.unique(variable)) == {number}


def test_no_mapping_where_shapes_do_not_say(saved: Path) -> None:
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="only")])
    with pytest.raises(hozon.MismatchError) as caught:
        hozon.load_weights(other, saved / "m.keras", by_name=True)
    assert "rename=" not in str(caught.value)


def test_signatures(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signatures = hozon.saved_model.load(saved / "m").signatures
    with pytest.raises(hozon.MismatchError, match="did you mean 'serving_default'") as caught:
        signatures["serving"]
    assert isinstance(caught.value, KeyError)
    assert signatures.get("serving") is None
    command = ["predict", str(saved / "m"), "--signature", "serving", "--input", "x=x.npy"]
    assert main(command) != 0
    assert "x.npy" in capsys.readouterr().err


def test_inputs(saved: Path) -> None:
    model = keras.Sequential([keras.Input((2,), name="words"), keras.layers.Dense(1)])
    hozon.save_model(model, saved / "other")
    serve = hozon.saved_model.load(saved / "other").signatures["serving_default"]
    with pytest.raises(hozon.MismatchError, match="did you mean 'words'"):
        serve(word=np.zeros((1, 2)))


def test_files_beside(saved: Path) -> None:
    with pytest.raises(hozon.MissingFileError, match=r"did you mean 'm\.keras'"):
        hozon.load_model(saved / "m.kera")


def test_public_names() -> None:
    with pytest.raises(AttributeError, match="did you mean 'load_model'"):
        hozon.load_modle  # noqa: B018
