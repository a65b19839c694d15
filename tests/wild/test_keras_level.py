"""The Keras models of the SavedModels from the wild, as live Keras 3 models."""

from __future__ import annotations

import jax
import numpy as np
import pytest

import hozon
from tests.wild.recorded import Recorded, compare_array, models

MODELS = [m for m in models("savedmodel_keras", "savedmodel_tf2") if m.numbered("kout:")]

pytestmark = [
    pytest.mark.skipif(not MODELS, reason="the shared folder is missing"),
    pytest.mark.filterwarnings("ignore:No training configuration"),
    pytest.mark.filterwarnings("ignore:The model was not compiled"),  # losses of their authors
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.slug)
def test_models_predict_as_in_keras_2(model: Recorded) -> None:
    loaded = hozon.load_model(model.path)
    inputs = model.numbered("kin:")
    outputs = loaded(inputs[0] if len(inputs) == 1 else inputs, training=False)
    expected = model.numbered("kout:")
    flat = jax.tree.leaves(outputs)
    assert len(flat) == len(expected)
    for i, (have, want) in enumerate(zip(flat, expected, strict=True)):
        compare_array(f"output {i}", np.asarray(have), want)
