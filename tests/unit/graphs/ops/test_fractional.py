"""Fractional pooling: the order of regions is our own stream's, all else is TensorFlow's."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hozon
from tests.oracle.client import Oracle

WRITE = """
import os

def pool_of(kind, options):
    op = getattr(tf.raw_ops, ops[kind][0])
    return lambda x: tuple(op(value=x, pooling_ratio=ratio, **options))

def back_of(kind, overlapping):
    op = getattr(tf.raw_ops, ops[kind][1])
    def back(x, y, dy, rows, columns):
        shape = tf.constant([2, 9, 8, 3], tf.int64)
        of = {"orig_input": x, "orig_output": y} if kind == "Max" else {
            "orig_input_tensor_shape": shape}
        return op(out_backprop=dy, row_pooling_sequence=rows, col_pooling_sequence=columns,
            overlapping=overlapping, **of)
    return back

t = tf.TensorSpec
given = [t([2, 9, 8, 3]), *[t([2, 6, 4, 3])] * 2, t([7], tf.int64), t([5], tf.int64)]
for name, (kind, options) in cases.items():
    module = tf.Module()
    module.pool = tf.function(pool_of(kind, options), input_signature=given[:1])
    module.back = tf.function(back_of(kind, options["overlapping"]), input_signature=given)
    tf.saved_model.save(module, os.path.join(folder, name))
"""
TRUTH = """
pool = getattr(tf.raw_ops, ops[kind][1])
first = {"orig_input": x, "orig_output": y} if kind == "Max" else {
    "orig_input_tensor_shape": tf.constant(x.shape, tf.int64)}
out["gradient"] = pool(out_backprop=dy, row_pooling_sequence=rows, col_pooling_sequence=columns,
    overlapping=overlapping, **first).numpy()
"""
#: The op and its gradient.
OPS = {
    "Max": ("FractionalMaxPool", "FractionalMaxPoolGrad"),
    "Avg": ("FractionalAvgPool", "FractionalAvgPoolGrad"),
}
CASES = {
    f"{kind}{pseudo:d}{overlapping:d}": (
        kind,
        {"pseudo_random": pseudo, "overlapping": overlapping},
    )
    for kind, pseudo, overlapping in product(("Max", "Avg"), (True, False), (True, False))
}
X = np.random.default_rng(0).integers(0, 9, (2, 9, 8, 3)).astype("float32")
DY = np.random.default_rng(1).normal(size=(2, 6, 4, 3)).astype("float32")


@pytest.fixture(scope="module")
def folder(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fractional")
    oracle.python(WRITE, ops=OPS, cases=CASES, folder=str(made), ratio=[1.0, 1.44, 1.8, 1.0])
    return made


def pooled(kind: str, rows: Any, columns: Any, more: bool) -> np.ndarray[Any, Any]:
    reduce = np.max if kind == "Max" else np.mean
    result = [
        [
            reduce(X[:, r0 : r1 + more, c0 : c1 + more], axis=(1, 2))
            for c0, c1 in zip(columns, columns[1:], strict=False)
        ]
        for r0, r1 in zip(rows, rows[1:], strict=False)
    ]
    return np.moveaxis(np.array(result), 2, 0)


@pytest.mark.parametrize("name", CASES)
def test_regions_are_pooled(oracle: Oracle, folder: Path, name: str) -> None:
    kind, options = CASES[name]
    module = hozon.saved_model.load(folder / name)
    y, rows, columns = (np.asarray(value) for value in module.pool(X))
    for limits, size, count in ((rows, 9, 6), (columns, 8, 4)):
        assert limits[0] == 0
        assert limits[-1] == size
        assert len(limits) == count + 1
        assert set(np.diff(limits)) <= {size // count, size // count + 1}
    np.testing.assert_allclose(y, pooled(kind, rows, columns, options["overlapping"]), rtol=1e-6)

    truth = oracle.python(
        TRUTH, ops=OPS, kind=kind, x=X, y=y, dy=DY, rows=rows, columns=columns,
        overlapping=options["overlapping"],
    )["gradient"]  # fmt: skip
    np.testing.assert_allclose(module.back(X, y, DY, rows, columns), truth, rtol=1e-5, atol=1e-6)


def test_gradients_flow_through_the_pool(folder: Path) -> None:
    pool = hozon.saved_model.load(folder / "Avg11").pool
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(pool(x)[0] ** 2)))(jnp.asarray(X))
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).sum() > 0
