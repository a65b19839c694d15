"""Every layer of tf_keras, each argument off its default: its file loads and computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

SOURCE = Path(__file__).with_name("keras2_layers.py")
#: Classes that are no layers of a file by themselves.
NO_LAYERS = {
    "AbstractRNNCell": "a base class",
    "Layer": "a base class",
    "Wrapper": "a base class",
    "InputLayer": "each model has one",
    "DenseFeatures": "its feature columns are TensorFlow's own; tf_keras itself cannot reload it",
}
#: Arguments that no file keeps, or that change no outputs of a file.
NO_ARGUMENTS = {
    ("*", "sparse"): "outputs would be sparse tensors, which Keras 3 on JAX does not have",
    ("Discretization", "num_bins"): "only while adapting, after which the file has the boundaries",
    ("Discretization", "epsilon"): "only while adapting",
    ("Identity", "dynamic"): "a dynamic layer cannot be in a functional model's file",
    ("IntegerLookup", "vocabulary_dtype"): "TensorFlow's tables have no keys of 32 bits",
    ("Lambda", "mask"): "a function of the user's",
    ("TextVectorization", "ragged"): "outputs would be ragged tensors",
}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def written(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Files of all cases with their writer's outputs."""
    folder = tmp_path_factory.mktemp("layers")
    return oracle.python(SOURCE.read_text(), folder=str(folder))


def test_every_argument_of_every_layer_is_among_the_cases(written: dict[str, Any]) -> None:
    assert written["failed"] == {}
    names = written["arguments"]
    assert set(NO_LAYERS) <= set(names)
    untried = [
        (layer, argument)
        for layer, arguments in names.items()
        if layer not in NO_LAYERS
        for argument in arguments
        if argument not in written["given"].get(layer, ())
        and not {(layer, argument), ("*", argument)} & set(NO_ARGUMENTS)
    ]
    assert untried == []
    assert not set(names) - set(NO_LAYERS) - set(written["given"])


def test_files_compute_what_their_writer_computed(written: dict[str, Any]) -> None:
    wrong = {}
    for name, path, inputs, expected in written["cases"]:
        try:
            compare(hozon.load_model(path), inputs, expected)
        except Exception as error:  # noqa: BLE001 - all cases are told at once
            wrong[name] = f"{type(error).__name__}: {error}"[:300]
    assert wrong == {}


def compare(model: keras.Model, inputs: list[Any], expected: list[Any]) -> None:
    """Count, dtype and shape, then values."""
    assert model.load_report.missing == model.load_report.lost == []
    outputs = keras.tree.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=False))
    assert len(outputs) == len(expected)
    for have, want in zip(outputs, expected, strict=True):
        have = np.asarray(have)
        assert have.shape == want.shape
        if want.dtype.kind in "OS":
            assert have.astype(bytes).tolist() == want.astype(bytes).tolist()
            continue
        if want.dtype.itemsize < 8:  # JAX has no numbers of 64 bits unless it is told to
            assert have.dtype == want.dtype
        np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-5)
