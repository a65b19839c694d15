"""Keras 3 files from the wild: every tensor to the bit, every model with its recorded outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import keras
import numpy as np
import pytest

import hozon
from hozon.containers.keraszip import detect, read
from hozon.errors import MissingObjectError, UnsafeError
from hozon.record import ModelRecord
from hozon.stored.lazy import LazyTensor
from tests.wild.recorded import Recorded, compare_array, file_of, models

FILES = models("keras_v3", "keras_v2zip", "weights_h5_v3")
MODELS = [model for model in FILES if model.kind != "weights_h5_v3"]

pytestmark = [
    pytest.mark.skipif(not FILES, reason="the shared folder is missing"),
    pytest.mark.filterwarnings("ignore"),
]


def tensors_of(record: ModelRecord) -> Iterator[tuple[str, LazyTensor]]:
    """All tensors, the optimizer's too, by their paths in the file."""
    groups = [*record.state, *([record.optimizer] if record.optimizer else [])]
    for group in groups:
        for name, tensor in group.tensors.items():
            yield f"{group.name}/vars/{name}".lstrip("/"), tensor


def spelled(name: str) -> str:
    """A recorded name with the separators and the words of Keras 3."""
    return name.replace("\\", "/").replace("_layer_checkpoint_dependencies", "layers")


@pytest.mark.parametrize("model", FILES, ids=lambda m: m.slug)
def test_every_tensor_is_there_to_the_bit(model: Recorded) -> None:
    file = file_of(model)
    assert detect(file) == ("weights.h5" if model.kind == "weights_h5_v3" else "keras")
    found = dict(tensors_of(read(file)))
    expected = {spelled(name): told for name, told in model.description["tensors"].items()}
    assert found.keys() == expected.keys()
    for name, want in expected.items():
        assert found[name].dtype.name == want["dtype"], name
        assert list(found[name].shape) == want["shape"], name
        digest = hashlib.sha256(found[name].read().tobytes()).hexdigest()
        assert digest == want["sha256"], name


@pytest.mark.parametrize("model", [m for m in MODELS if m.numbered("kout:")], ids=lambda m: m.slug)
def test_models_give_their_recorded_outputs(model: Recorded) -> None:
    loaded = hozon.load_model(file_of(model))
    report = loaded.load_report
    assert (report.missing, report.mismatched) == ([], [])
    structure = loaded.inputs[0] if isinstance(loaded, keras.Sequential) else loaded.input
    given = keras.tree.pack_sequence_as(structure, model.numbered("kin:"))
    outputs = keras.tree.flatten(loaded(given, training=False))
    expected = model.numbered("kout:")
    assert len(outputs) == len(expected)
    for i, (have, want) in enumerate(zip(outputs, expected, strict=True)):
        compare_array(f"output {i}", np.asarray(have), want)


@pytest.mark.parametrize(
    "model", [m for m in MODELS if not m.numbered("kout:")], ids=lambda m: m.slug
)
def test_others_load_or_name_what_their_authors_must_supply(model: Recorded) -> None:
    told: object
    try:
        told = hozon.load_model(file_of(model)).load_report.matched
    except MissingObjectError as error:
        told = error.names
    except UnsafeError as error:
        told = error.allow
    assert told
