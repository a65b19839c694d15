"""Every recorded H5 file of an older Keras loads whole and gives its writer's own outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from hozon.containers.h5 import detect, read
from hozon.errors import UnsupportedError
from hozon.models.architectures import model_from_json
from hozon.models.h5 import load_h5_weights, revive_record
from tests.conftest import shared_folder
from tests.oracle.client import Oracle

LEGACY = shared_folder() / "legacy"
WRITERS = ("keras2.2.4", "tf2.12", "tf2.15", "keras3.15.1")
CASES = [
    path.with_suffix(".h5")
    for writer in WRITERS
    for path in sorted((LEGACY / writer).glob("*.npz"))
]
#: What these files leave out, so that nobody can build them.
INCOMPLETE = {"TFOp_einsum": "did not save the operands"}
#: TensorFlow sums float16 in float16, term by term; nobody else does.
LOOSE = {"MixedPrecision": 2e-3}

pytestmark = [
    pytest.mark.skipif(not CASES, reason=f"{LEGACY} is missing (set HOZON_SHARED)"),
    pytest.mark.filterwarnings("ignore"),
]


def title(path: Path) -> str:
    """Writer and case."""
    return f"{path.parent.name}-{path.stem}"


def recorded(path: Path) -> tuple[list[Any], list[Any]]:
    """Recorded inputs and the writer's outputs."""
    with np.load(path.with_suffix(".npz"), allow_pickle=True) as data:
        return (
            [data[f"x{i}"] for i in range(int(data["nx"]))],
            [data[f"y{i}"] for i in range(int(data["ny"]))],
        )


#: What their writers left out of files, by the names of those.
UNWRITTEN = {"LossScale": ["optimizer/step_counter", "optimizer/dynamic_scale"]}


def compare(model: Any, path: Path) -> None:
    """Number, shapes and kinds of the outputs, then their values."""
    inputs, expected = recorded(path)
    outputs = keras.tree.flatten(model(inputs[0] if len(inputs) == 1 else inputs, training=False))
    assert len(outputs) == len(expected)
    for output, want in zip(map(np.asarray, outputs), expected, strict=True):
        assert output.shape == want.shape
        assert output.dtype.kind == want.dtype.kind
        np.testing.assert_allclose(output, want, rtol=0, atol=LOOSE.get(path.stem, 2e-4))


@pytest.mark.parametrize("path", CASES, ids=title)
def test_whole_models_give_their_writers_outputs(path: Path) -> None:
    assert detect(path) == "h5"
    record = read(path)
    if path.stem in INCOMPLETE:
        with pytest.raises(UnsupportedError, match=INCOMPLETE[path.stem]):
            revive_record(record)
        return
    model = revive_record(record)
    compare(model, path)
    report = model.load_report
    assert [line.partition(":")[0] for line in report.lost] == UNWRITTEN.get(path.stem, [])
    assert (report.missing, report.unexpected, report.mismatched) == ([], [], [])
    assert model.compiled == (record.training is not None)
    if record.optimizer is not None:
        assert sum(name.startswith("optimizer/") for name in report.matched)


@pytest.mark.parametrize(
    "path",
    [
        p
        for p in CASES
        if p.with_suffix(".json").is_file()
        and p.stem
        in (
            "Nested",
            "Shared",
            "Bidirectional",
            "ConvLSTM2D",
            "Opt_Adam",
            "Normalization",
        )
    ],
    ids=title,
)
def test_weights_load_into_a_model_of_the_json_beside(path: Path) -> None:
    config = json.loads(path.with_suffix(".json").read_text())
    kind = "Model" if "input_layers" in config else "Sequential"
    model = model_from_json(json.dumps({"class_name": kind, "config": config}))
    load_h5_weights(model, read(path)).assert_consumed()
    compare(model, path)


NUMPY = """
import sys
import keras, numpy as np
from hozon.containers.h5 import read
from hozon.models.h5 import revive_record
assert keras.config.backend() == "numpy"
for path in sys.argv[1:]:
    data = np.load(path[:-3] + ".npz")
    outputs = revive_record(read(path), compiled=False)(data["x0"], training=False)
    np.testing.assert_allclose(outputs, data["y0"], rtol=0, atol=2e-4)
"""


def test_no_jax_is_needed() -> None:
    paths = [str(LEGACY / "tf2.15" / f"{case}.h5") for case in ("Dense", "Nested", "Bidirectional")]
    environment = {**os.environ, "KERAS_BACKEND": "numpy", "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", NUMPY, *paths], check=True, env=environment, timeout=120)


STEPS = """
out['weights'] = {}
for path in paths:
    model = keras.models.load_model(path)
    x = np.linspace(-1, 1, 24, dtype='float32').reshape(4, 6)
    model.train_on_batch(x, x[:, :1])
    out['weights'][path] = [np.asarray(w) for w in model.get_weights()]
"""


def test_the_next_step_of_an_old_optimizer_is_that_of_keras_2(oracle: Oracle) -> None:
    paths = [p for p in CASES if p.parent.name != "keras3.15.1" and p.stem.startswith("Opt")]
    expected = oracle.python(STEPS, paths=[str(p) for p in paths])["weights"]
    x = np.linspace(-1, 1, 24, dtype=np.float32).reshape(4, 6)
    for path in paths:
        model = revive_record(read(path))
        model.train_on_batch(x, x[:, :1])
        for value, want in zip(model.get_weights(), expected[str(path)], strict=True):
            np.testing.assert_allclose(value, want, rtol=0, atol=1e-6, err_msg=title(path))
