"""A network of Equinox as a SavedModel, which OpenVINO runs (``pip install equinox openvino``)."""

from __future__ import annotations

import tempfile
from pathlib import Path

import equinox
import jax
import numpy as np
import openvino

import hozon


def main() -> None:
    network = equinox.nn.MLP(4, 2, 16, 2, key=jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network")
        serve = (lambda net, x: {"y": jax.vmap(net)(x)}, {"x": ((None, 4), "float32")})
        print(hozon.saved_model.save(network, path, {"serving_default": serve}))
        exact = {"INFERENCE_PRECISION_HINT": "f32"}  # else as short as the processor likes
        compiled = openvino.Core().compile_model(openvino.convert_model(path), "CPU", exact)
        found = next(iter(compiled(x).values()))
    np.testing.assert_allclose(found, jax.vmap(network)(x), rtol=1e-4, atol=1e-5)
    print(f"OpenVINO answers the same, to {np.abs(found - jax.vmap(network)(x)).max():.1e}")


if __name__ == "__main__":
    main()
