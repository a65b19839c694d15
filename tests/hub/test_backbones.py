"""Models of KerasHub are written so that TensorFlow runs them at any batch and length.

KerasHub asks for TensorFlow, so that it has an environment of its own: ``make hub``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

pytest.importorskip("keras_hub", reason="KerasHub has an environment of its own: run `make hub`")

from tests.hub.backbones import MODELS, Model

pytestmark = pytest.mark.filterwarnings("ignore:.*was passed an input with a mask")
SIZES = ((2, 5), (3, 7))
ASK = """
loaded = tf.saved_model.load(path)
spec = loaded.__call__.concrete_functions[0].structured_input_signature[0][0]
out["found"] = []
for x in given:
    fitting = tf.nest.map_structure(lambda v, s: tf.cast(v, s.dtype), x, spec)
    out["found"].append([np.asarray(v) for v in tf.nest.flatten(loaded(fitting))])
"""


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.title)
def test_tensorflow_and_hozon_open_it(model: Model, oracle: Oracle, tmp_path: Path) -> None:
    made = model.make()
    path = tmp_path / "saved"
    hozon.save_model(made, path)
    given = [model.inputs(*size) for size in SIZES]
    expected = [made(x, training=False) for x in given]
    answers = oracle.python(ASK, path=str(path), given=given)["found"]
    for found, wanted in zip(answers, expected, strict=True):
        close(found, wanted)
    again = hozon.load_model(path, compile=False)
    close(jax.tree.leaves(again(given[0], training=False)), expected[0])


def close(found: Any, expected: Any) -> None:
    """Equal within the rounding of single precision."""
    for one, other in zip(found, jax.tree.leaves(expected), strict=True):
        scale = float(np.max(np.abs(other)))
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=2e-5 * scale)
