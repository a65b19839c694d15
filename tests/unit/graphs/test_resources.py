"""Variables of a loaded graph."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from hozon.graphs.resources import Variable


def variable(dtype: str, *shape: int) -> Variable:
    zeros = np.zeros(shape, dtype)
    return Variable(zeros, name="v", shape=shape, dtype=zeros.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_a_value_keeps_its_type_also_while_jax_traces(dtype: str) -> None:
    cell = variable(dtype, 3)
    seen: list[object] = []
    jax.jit(lambda x: seen.append(cell.read()) or x)(np.float32(1))
    (value,) = seen
    assert isinstance(value, jax.Array)
    assert not isinstance(value, jax.core.Tracer)
    assert value.dtype == np.dtype(dtype)


def test_writing_to_an_assigned_array_leaves_the_variable_alone() -> None:
    memory = np.zeros(16 * 1024 + 16, "float32")
    start = -memory.ctypes.data % 64 // 4  # JAX uses aligned memory as it is
    given = memory[start : start + 16 * 1024]
    cell = variable("float32", given.size)
    cell.assign(given)
    given[:] = 1
    assert not np.any(cell.numpy())
    given[:] = 2
    assert not np.any(cell.numpy())
