"""Every recorded ``.keras`` and ``.weights.h5`` file loads and gives its writer's own outputs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

import hozon
from hozon import UnsupportedError
from tests.legacy.test_h5 import INCOMPLETE, LEGACY, UNWRITTEN, WRITERS, compare, title

CASES = [path for writer in WRITERS for path in sorted((LEGACY / writer).glob("*.keras"))]
WEIGHTS = [path for writer in WRITERS for path in sorted((LEGACY / writer).glob("*.weights.h5"))]

pytestmark = [
    pytest.mark.skipif(not CASES, reason=f"{LEGACY} is missing (set HOZON_SHARED)"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.mark.parametrize("path", CASES, ids=title)
def test_the_writers_outputs(path: Path) -> None:
    if path.stem in INCOMPLETE:
        with pytest.raises(UnsupportedError, match=INCOMPLETE[path.stem]):
            hozon.load_model(path)
        return
    model = hozon.load_model(path)
    compare(model, path)
    # tf_keras' files hold nothing of its legacy optimizers, which trained in each of these.
    without = path.stem.startswith("OptLegacy") and zipfile.is_zipfile(path)
    told = ["state of optimizer"] if without else UNWRITTEN.get(path.stem, [])
    lost = model.load_report.lost
    assert len(lost) == len(told)
    assert all(map(str.startswith, lost, told))


@pytest.mark.parametrize("path", WEIGHTS, ids=title)
def test_weights_into_the_architecture(path: Path) -> None:
    whole = path.with_name(path.name.replace(".weights.h5", ".keras"))
    model = hozon.load_model(whole)
    copy = keras.models.clone_model(model)
    hozon.load_weights(copy, path)
    for new, old in zip(copy.weights, model.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(new), np.asarray(old))
