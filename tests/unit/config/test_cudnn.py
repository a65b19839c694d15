"""CuDNN weights against tf_keras' own conversion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hozon.config.cudnn import standard_weights
from hozon.errors import MismatchError

CONVERT = """
from tf_keras.src.saving.legacy.hdf5_format import _convert_rnn_weights
layer = keras.layers.LSTM(units) if kind == "CuDNNLSTM" else keras.layers.GRU(units)
layer.build((None, None, size))
out["weights"] = _convert_rnn_weights(layer, [k, r, b])
"""


@pytest.mark.parametrize(("kind", "gates"), [("CuDNNLSTM", 4), ("CuDNNGRU", 3)])
@pytest.mark.parametrize(("size", "units"), [(5, 3), (3, 3), (2, 7)])
def test_same_as_tf_keras(oracle: Any, kind: str, gates: int, size: int, units: int) -> None:
    random = np.random.default_rng(0)
    shapes = [(size, gates * units), (units, gates * units), (2 * gates * units,)]
    stored = [random.normal(size=shape).astype("float32") for shape in shapes]
    told = oracle.python(
        CONVERT, kind=kind, units=units, size=size, k=stored[0], r=stored[1], b=stored[2]
    )["weights"]
    made = standard_weights(kind, stored)
    assert [w.shape for w in made] == [np.shape(w) for w in told]
    for mine, theirs in zip(made, told, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(MismatchError, match="CuDNNGRU"):
        standard_weights("CuDNNGRU", [np.zeros((2, 8))] * 3)
