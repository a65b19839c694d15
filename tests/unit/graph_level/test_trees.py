"""Trees of arrays with JAX functions, served by TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hozon
from hozon import SaveError, UnsupportedError
from tests.oracle.client import Oracle

PARAMS = {
    "dense": {"kernel": jnp.arange(6.0).reshape(3, 2), "bias": np.ones(2, np.float32)},
    "steps": [np.int32(4)],
}


def apply(params: Any, x: Any) -> Any:
    return jax.nn.relu(x @ params["dense"]["kernel"] + params["dense"]["bias"])


def several(params: Any, x: Any, scale: Any) -> dict[str, Any]:
    return {"scaled": apply(params, x) * scale, "count": params["steps"][0]}


SPECS = {"x": ((None, 3), "float32")}
SIGNATURES = {
    "serving_default": (apply, SPECS),
    "several": (several, {**SPECS, "scale": jax.ShapeDtypeStruct((), "float32")}),
}

ASK = """
loaded = tf.saved_model.load(path)
out["one"] = {k: v.numpy() for k, v in loaded.signatures["serving_default"](tf.constant(x)).items()}
out["several"] = {k: v.numpy() for k, v in loaded.signatures["several"](
    x=tf.constant(x), scale=tf.constant(2.0)).items()}
out["kernel"] = loaded.dense["kernel"].numpy()
with tf.GradientTape() as tape:
    total = tf.reduce_sum(loaded.signatures["serving_default"](tf.constant(x))["output_0"])
out["slope"] = tape.gradient(total, loaded.dense["bias"]).numpy()
loaded.dense["bias"].assign([9.0, 9.0])
out["assigned"] = loaded.signatures["serving_default"](tf.constant(x))["output_0"].numpy()
"""


def test_tensorflow_serves_it(tmp_path: Path, oracle: Oracle) -> None:
    report = hozon.saved_model.save(PARAMS, tmp_path / "m", SIGNATURES, native_ops_only=True)
    assert report.fallbacks == {}
    x = np.array([[1, 2, 3], [-4, 0, 1]], np.float32)
    expected = np.asarray(apply(PARAMS, x))
    told = oracle.python(ASK, path=str(tmp_path / "m"), x=x)
    np.testing.assert_allclose(told["one"]["output_0"], expected)
    np.testing.assert_allclose(told["several"]["scaled"], 2 * expected)
    assert told["several"]["count"] == 4
    np.testing.assert_array_equal(told["kernel"], np.asarray(PARAMS["dense"]["kernel"]))
    np.testing.assert_array_equal(told["slope"], (expected > 0).sum(0))
    np.testing.assert_allclose(
        told["assigned"], np.maximum(x @ np.asarray(PARAMS["dense"]["kernel"]) + 9, 0)
    )


def test_hozon_opens_it(tmp_path: Path) -> None:
    hozon.saved_model.save(PARAMS, tmp_path / "m", SIGNATURES)
    loaded = hozon.saved_model.load(tmp_path / "m")
    x = np.ones((5, 3), np.float32)
    np.testing.assert_allclose(
        loaded.signatures["serving_default"](x=x)["output_0"], apply(PARAMS, x)
    )
    assert len(loaded.variables) == 3


def test_without_signatures_only_the_variables(tmp_path: Path) -> None:
    hozon.saved_model.save({"v": np.ones(3)}, tmp_path / "m")
    (variable,) = hozon.saved_model.load(tmp_path / "m").variables
    assert variable.name.startswith("v")


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match="set"):
        hozon.saved_model.save({"a": {1, 2}}, tmp_path / "m")
    with pytest.raises(TypeError, match="serving_default"):
        hozon.saved_model.save(PARAMS, tmp_path / "m", {"serving_default": apply})

    def deciding(params: Any, x: Any) -> Any:
        return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedError, match="traced"):
        hozon.saved_model.save(PARAMS, tmp_path / "m", {"s": (deciding, SPECS)})
    assert list(tmp_path.iterdir()) == []


def test_no_keras_is_loaded(tmp_path: Path) -> None:
    code = f"""
import sys
import numpy as np, hozon
hozon.saved_model.save({{"v": np.ones(3, "float32")}}, {str(tmp_path / "m")!r},
                       {{"s": (lambda p, x: p["v"] * x, {{"x": ((None, 3), "float32")}})}})
assert "keras" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
