"""Models of tf_keras that clip gradients of embeddings say what their steps do otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle
from tests.unit.config.truth import FORMS

WRITE = """
import os
layers = keras.layers
out["steps"] = {}
for name, (table, optimizer) in cases.items():
    keras.utils.set_random_seed(7)
    inner = keras.Sequential([eval("layers.Embedding(6, 3, name='table'" + table + ")")])
    i = keras.Input((4,), dtype="int32")
    model = keras.Model(i, layers.Dense(1)(layers.Flatten()(inner(i))))
    model.compile(eval("keras.optimizers." + optimizer), "mse")
    for form in paths.values():
        model.save(os.path.join(folder, name + form))
    model.fit(x, y, verbose=0)
    out["steps"][name] = model.get_weights()
"""

#: What the layer is given, and the optimizer.
OTHERWISE = {
    "norm": ("", "SGD(0.1, clipnorm=0.5)"),
    "value": ("", "Adam(0.1, clipvalue=0.2)"),
    "global": ("", "SGD(0.1, global_clipnorm=0.5)"),
    "legacy": ("", "legacy.SGD(0.1, clipnorm=0.5)"),
}
EQUAL = {
    "none": ("", "SGD(0.1)"),
    "frozen": (", trainable=False", "SGD(0.1, clipvalue=0.2)"),
    "whole": (", embeddings_regularizer='l2'", "SGD(0.1, clipnorm=0.5)"),
}
X = np.array([[0, 0, 1, 1], [0, 2, 2, 3], [0, 0, 0, 5]], "int32")
Y = np.array([[3.0], [-20.0], [8.0]], "float32")


@pytest.fixture(scope="module")
def steps(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("lookups")
    asked = {"cases": OTHERWISE | EQUAL, "folder": str(folder), "paths": dict(FORMS)}
    return {"folder": folder, **oracle.python(WRITE, x=X, y=Y, **asked)["steps"]}


@pytest.mark.filterwarnings("ignore:The optimizer's state did not come back:UserWarning")
@pytest.mark.parametrize("form", FORMS.values())
@pytest.mark.parametrize("name", [*OTHERWISE, *EQUAL])
def test_report_tells_whether_clipping_differs(steps: dict[str, Any], name: str, form: str) -> None:
    folder: Path = steps["folder"]
    model = hozon.load_model(folder / f"{name}{form}")
    told = [line for line in model.load_report.converted if "each lookup" in line]
    assert len(told) == (name in OTHERWISE)
    assert all("table" in line for line in told)
    if form != FORMS["h5"]:
        return
    model.fit(X, Y, verbose=0)
    same = all(
        np.allclose(have, want, atol=1e-5)
        for have, want in zip(model.get_weights(), steps[name], strict=True)
    )
    assert same == (name in EQUAL)
