"""Orders that are drawn for any number of values are those that JAX draws for a known one."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from hozon.keras_private.drawn import SORTED_BY, shuffled


@pytest.mark.parametrize("count", [1, 2, 7, SORTED_BY[0], SORTED_BY[0] + 1])
def test_an_order_of_any_number_of_values(count: int) -> None:
    key, values = jax.random.key_data(jax.random.key(3)), jnp.arange(count)
    (size,) = export.symbolic_shape("b")
    asked = jax.ShapeDtypeStruct((size,), values.dtype)
    program = export.export(jax.jit(lambda k, x: shuffled(k, x, 0)))(key, asked)
    expected = jax.random.permutation(key, values, independent=True)
    np.testing.assert_array_equal(program.call(key, values), expected)
