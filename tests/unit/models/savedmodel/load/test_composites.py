"""Models of ragged and sparse inputs: called on such values and on dense arrays, and trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import hozon
from hozon.errors import MismatchError, UnsupportedError
from hozon.saved_model import RaggedTensor, SparseTensor
from tests.oracle.client import Oracle

SAVE = """
keras.utils.set_random_seed(0)
L = keras.layers
even = tf.ragged.constant([[[.1, .2, .3]] * 4, [[.5, -.2, .3]] * 4], ragged_rank=1)
rows = tf.ragged.constant([[[.1, .2, .3]] * 4, [[.5, -.2, .3]] * 2, [[1., 2., 3.]]], ragged_rank=1)
ids_even = tf.ragged.constant([[1, 2, 3], [4, 5, 6]], dtype=tf.int32)
ids = tf.ragged.constant([[1, 2, 3], [4], [5, 6]], dtype=tf.int32)
sparse_even = tf.sparse.from_dense(np.float32([[0, 1, 0], [2, 0, 3]]))
sparse = tf.sparse.from_dense(np.float32([[0, 1, 0], [2, 0, 3], [0, 0, 0]]))

class Recurrent(keras.Model):
    def __init__(self):
        super().__init__()
        self.rnn, self.out = L.LSTM(4), L.Dense(2)
    def call(self, x):
        return self.out(self.rnn(x))
class Maximum(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = L.Dense(2)
    def call(self, x):
        return tf.reduce_max(self.out(x), 1)
class Sparse(keras.Model):
    def __init__(self):
        super().__init__()
        self.out = L.Dense(2)
    def call(self, x):
        return self.out(x)
class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.ones([3, 2]))
    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None, 3], tf.float32, 1)])
    def __call__(self, x):
        return tf.reduce_sum(x, 1) @ self.w

def functional(kind):
    if kind in ("pooled", "embedded"):
        x = i = keras.Input((None,), ragged=True, dtype=tf.int32)
        x = L.Embedding(10, 3)(x)
        return keras.Model(i, L.Dense(2)(
            L.GRU(4)(x) if kind == "embedded" else L.GlobalAveragePooling1D()(x)))
    i = keras.Input((None, 3), ragged=True)
    if kind == "each":
        return keras.Model(i, L.Dense(2)(i))
    return keras.Model(i, L.Dense(2)(L.LSTM(4)(i)))

def plain(value):
    if isinstance(value, tf.RaggedTensor):
        return value.to_list()
    return tf.sparse.to_dense(value) if isinstance(value, tf.SparseTensor) else value

model = {"recurrent": Recurrent, "maximum": Maximum, "sparse": Sparse, "module": Module}.get(
    KIND, lambda: functional(KIND))()
a, b = (sparse_even, sparse) if KIND == "sparse" else (
    (ids_even, ids) if KIND in ("pooled", "embedded") else (even, rows))
out["even"], out["rows"] = (plain(a), plain(model(a))), (plain(b), plain(model(b)))
tf.saved_model.save(model, path) if KIND == "module" else model.save(path)
y = np.float32([[1, 2], [3, 4]])
for _ in range(2 * (KIND != "each")):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(a) - y))
    for v, g in zip(model.trainable_variables, tape.gradient(loss, model.trainable_variables)):
        v.assign_sub(0.1 * tf.convert_to_tensor(g))
out["trained"] = plain(model(a))
"""
TARGETS = np.array([[1, 2], [3, 4]], "float32")
KINDS = ["lstm", "embedded", "pooled", "each", "recurrent", "maximum", "sparse", "module"]


def same(got: Any, want: Any) -> None:
    if isinstance(got, RaggedTensor):
        got = got.to_list()
        assert len(got) == len(want)
        for one, other in zip(got, want, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_allclose(got, np.asarray(want), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:No training configuration")
def test_ragged_and_sparse_inputs(oracle: Oracle, tmp_path: Path, kind: str) -> None:
    told = oracle.python(SAVE, path=str(tmp_path / "m"), KIND=kind)
    model = hozon.load_model(tmp_path / "m")
    dtype = "int32" if kind in ("embedded", "pooled") else "float32"
    (rows, want), (even, want_even) = told["rows"], told["even"]
    if kind == "sparse":
        given: Any = SparseTensor.from_dense(rows)
    else:
        given = RaggedTensor.from_list(rows, dtype)
    same(model(given), want)
    same(model.predict(given, verbose=0), want)
    array = np.asarray(even, dtype)
    same(model(array), want_even)
    same(model.predict(array, verbose=0), want_even)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    with pytest.raises(UnsupportedError, match="dense arrays"):
        model.fit(given, TARGETS)
    if kind != "each":
        model.fit(array, TARGETS, epochs=2, batch_size=2, shuffle=False, verbose=0)
        same(model.predict(array, verbose=0), told["trained"])
    with pytest.raises(MismatchError):
        model(np.zeros((2,), dtype))
    with pytest.raises(UnsupportedError, match="ragged or sparse"):
        hozon.save_model(model, tmp_path / "again")
    hozon.save_weights(model, tmp_path / "w.safetensors")
