"""Every signature and function of the SavedModels from the wild, at graph level."""

from __future__ import annotations

import pytest

import hozon.saved_model
from hozon.graph_level.structures import parts
from tests.wild.recorded import Recorded, compare, models

SAVED_MODELS = models("savedmodel_keras", "savedmodel_tf2", "savedmodel_tf1")

pytestmark = pytest.mark.skipif(not SAVED_MODELS, reason="the shared folder is missing")


@pytest.mark.parametrize("model", SAVED_MODELS, ids=lambda m: m.slug)
def test_signatures_answer_as_in_tensorflow(model: Recorded) -> None:
    loaded = hozon.saved_model.load(model.path)
    described = model.description["signatures"]
    assert set(described) - {"__saved_model_init_op"} == set(loaded.signatures)
    for name in model.signatures():
        signature, inputs = loaded.signatures[name], model.inputs(name)
        compare(parts(signature(**inputs)), model.outputs(name))
        signature(**inputs)  # the recorder called each one twice, and some are training steps
