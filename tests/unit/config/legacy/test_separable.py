"""Layers of Keras 2 with arguments that Keras 3 refuses: several axes, causal and separable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.oracle.client import Oracle
from tests.unit.config.truth import Case, faults_of_reading, faults_of_writing, write

pytestmark = pytest.mark.filterwarnings("ignore")

DATA = """
r = np.random.default_rng(0)
x = r.normal(size=(12, 6, 3)).astype("float32") * 3 + 1
y = r.normal(size=(12, 2)).astype("float32")
i = keras.Input((6, 3))
"""
END = """
model = keras.Model(i, layers.Dense(2)(layers.Flatten()(h)))
model.compile("sgd", "mse")
"""
CASES: Mapping[str, Case] = {
    name: Case(DATA + source + END, forms=("h5", "savedmodel"), written=("h5/keras2",))
    for name, source in {
        "axes": "h = layers.BatchNormalization(axis=[1, 2], momentum=0.8)(i)",
        "causal": "h = layers.SeparableConv1D(4, 3, padding='causal', dilation_rate=2)(i)",
    }.items()
}


def test_they_compute_and_train_as_they_did(oracle: Oracle, tmp_path: Path) -> None:
    answers = write(oracle, CASES, tmp_path)
    faults = {}
    for name, case in CASES.items():
        faults[name] = [
            *faults_of_reading(case, answers[name], tmp_path / name),
            *faults_of_writing(oracle, case, answers[name], tmp_path / name),
        ]
    assert faults == {"axes": [], "causal": []}
