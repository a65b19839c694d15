"""Ragged and sparse values of a caller, against TensorFlow's functions of them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

import hozon
from hozon.errors import MismatchError
from hozon.saved_model import RaggedTensor, SparseTensor
from tests.oracle.client import Oracle

SAVE = """
class Rows(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(2.)
    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.float32)])
    def rows(self, x):
        return {"twice": x * self.w, "sums": tf.reduce_sum(x * x * self.w, 1)}
    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None, None], tf.string)])
    def words(self, x):
        return tf.strings.length(x)
    @tf.function(input_signature=[tf.SparseTensorSpec([None, 3], tf.float32)])
    def sparse(self, x):
        return tf.sparse.map_values(tf.multiply, x, self.w), tf.sparse.reduce_sum(x, 1)
m = Rows()
tf.saved_model.save(m, path)
l = tf.saved_model.load(path)
x = tf.ragged.constant([[1., 2.], [], [3.]])
g = l.rows(x)
out["rows"] = {"twice": g["twice"].to_list(), "sums": g["sums"]}
out["words"] = l.words(tf.ragged.constant([[["a", "bcd"], []], [["ef"]]])).to_list()
t, s = l.sparse(tf.sparse.from_dense([[0., 1., 0.], [2., 0., 3.]]))
out["sparse"] = (tf.sparse.to_dense(t), s)
"""


@pytest.fixture(scope="module")
def saved(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, Any]]:
    path = tmp_path_factory.mktemp("structures") / "m"
    answers = oracle.python(SAVE, path=str(path))
    return hozon.saved_model.load(path), answers


def test_ragged_arguments_and_results(saved: tuple[Any, dict[str, Any]]) -> None:
    model, answers = saved
    rows = RaggedTensor.from_list([[1.0, 2.0], [], [3.0]], "float32")
    outputs = model.rows(rows)
    assert outputs["twice"].to_list() == answers["rows"]["twice"]
    np.testing.assert_array_equal(outputs["sums"], answers["rows"]["sums"])
    words = RaggedTensor.from_list([[["a", "bcd"], []], [["ef"]]], ragged_rank=2)
    assert model.words(words).to_list() == answers["words"]
    with pytest.raises(MismatchError, match="must be a RaggedTensor with 1 row_splits"):
        model.rows(np.ones((2, 2), "float32"))


def test_gradients_pass_through_ragged_values(saved: tuple[Any, dict[str, Any]]) -> None:
    """They are trees of arrays to JAX."""
    rows = RaggedTensor.from_list([[1.0, 2.0], [], [3.0]], "float32")

    def loss(values: Any) -> Any:
        return saved[0].rows(RaggedTensor(values, rows.row_splits))["sums"].sum()

    np.testing.assert_array_equal(jax.grad(loss)(rows.values), [4.0, 8.0, 12.0])
    assert len(jax.tree.leaves(rows)) == 2


def test_sparse_arguments_and_results(saved: tuple[Any, dict[str, Any]]) -> None:
    model, answers = saved
    dense = np.array([[0, 1, 0], [2, 0, 3]], "float32")
    given = SparseTensor.from_dense(dense)
    np.testing.assert_array_equal(given.to_dense(), dense)
    scaled, sums = model.sparse(given)
    np.testing.assert_array_equal(scaled.to_dense(), answers["sparse"][0])
    np.testing.assert_array_equal(sums, answers["sparse"][1])
    text = np.array([[b"a", b""]], object)
    assert SparseTensor.from_dense(text).to_dense().tolist() == text.tolist()


def test_their_specs_are_told(saved: tuple[Any, dict[str, Any]]) -> None:
    (args, _) = saved[0].rows.concrete_functions[0].structured_input_signature
    assert (args[0].shape, args[0].dtype, args[0].ragged_rank) == ((None, None), "float32", 1)
    (args, _) = saved[0].sparse.concrete_functions[0].structured_input_signature
    assert (args[0].shape, args[0].dtype) == ((None, 3), "float32")


def test_they_are_public() -> None:
    assert {"RaggedTensor", "SparseTensor", "load", "save"} <= set(hozon.saved_model.__all__)
    assert set(hozon.saved_model.__all__) <= set(dir(hozon.saved_model))
    with pytest.raises(AttributeError, match="no attribute 'Ragged'"):
        _ = hozon.saved_model.Ragged
