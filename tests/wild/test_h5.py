"""Keras H5 files from the wild: every tensor to the bit, every model with its recorded outputs."""

from __future__ import annotations

import hashlib

import keras
import numpy as np
import pytest

from hozon.containers.h5 import detect, read
from hozon.errors import MissingObjectError, UnsafeError
from hozon.models.h5 import revive_record
from hozon.record import ModelRecord
from tests.wild.recorded import Recorded, compare_array, file_of, models

FILES = models("h5_model", "h5_weights")
MODELS = [model for model in FILES if model.kind == "h5_model"]

pytestmark = [
    pytest.mark.skipif(not FILES, reason="the shared folder is missing"),
    pytest.mark.filterwarnings("ignore"),
]


def record_of(model: Recorded) -> ModelRecord:
    """What is in it."""
    return read(file_of(model))


@pytest.mark.parametrize("model", FILES, ids=lambda m: m.slug)
def test_every_tensor_is_there_to_the_bit(model: Recorded) -> None:
    assert detect(file_of(model)) == {"h5_model": "h5", "h5_weights": "h5_weights"}[model.kind]
    groups = {g.name: g for g in record_of(model).state}
    found = {
        f"{g.name}/{name}": tensor for g in groups.values() for name, tensor in g.tensors.items()
    }
    expected = {
        name.removeprefix("model_weights/"): described
        for name, described in model.description["tensors"].items()
        if not name.startswith("optimizer_weights/")
    }
    assert found.keys() == expected.keys()
    for name, want in expected.items():
        assert found[name].dtype.name == want["dtype"], name
        assert list(found[name].shape) == want["shape"], name
        digest = hashlib.sha256(found[name].read().tobytes()).hexdigest()
        assert digest == want["sha256"], name


@pytest.mark.parametrize("model", [m for m in MODELS if m.numbered("kout:")], ids=lambda m: m.slug)
def test_models_give_their_recorded_outputs(model: Recorded) -> None:
    loaded = revive_record(record_of(model))
    report = loaded.load_report
    assert (report.missing, report.mismatched) == ([], [])
    inputs, expected = model.numbered("kin:"), model.numbered("kout:")
    outputs = keras.tree.flatten(loaded(inputs[0] if len(inputs) == 1 else inputs, training=False))
    assert len(outputs) == len(expected)
    for i, (have, want) in enumerate(zip(outputs, expected, strict=True)):
        compare_array(f"output {i}", np.asarray(have), want)


@pytest.mark.parametrize(
    "model", [m for m in MODELS if not m.numbered("kout:")], ids=lambda m: m.slug
)
def test_others_load_or_name_what_their_authors_must_supply(model: Recorded) -> None:
    told: object
    try:
        told = revive_record(record_of(model)).load_report.matched
    except MissingObjectError as error:
        told = error.names
    except UnsafeError as error:
        told = error.allow
    assert told
