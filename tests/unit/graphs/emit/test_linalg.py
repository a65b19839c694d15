from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tests.oracle.client import Oracle
from tests.unit.graphs.emit.harness import Case, ask, check, check_own, floats

F32, I32, U32 = "float32", "int32", "uint32"


def positive(count: int, size: int) -> Any:
    """Well-conditioned symmetric matrices."""
    roots = floats(count, size, size)
    return roots @ np.swapaxes(roots, -1, -2) + 3 * np.eye(size, dtype=np.float32)


CASES = [
    Case(
        "cholesky",
        lambda x: jnp.linalg.cholesky(x),
        [("b, 4, 4", F32)],
        [[positive(3, 4)], [positive(1, 4)]],
        gradient=True,
    ),
    Case(
        "cholesky as it is",
        lambda x: jnp.linalg.cholesky(x, symmetrize_input=False),
        [("b, 4, 4", F32)],
        [[positive(3, 4)]],
    ),
    Case(
        "solve",
        lambda x, y: (jnp.linalg.solve(x, y), jnp.linalg.solve(x, y[..., :1])[..., 0]),
        [("b, 4, 4", F32), ("b, 4, 2", F32)],
        [[positive(3, 4), floats(3, 4, 2)]],
        gradient=True,
        tolerance=1e-4,
    ),
    Case(
        "inverse and determinant",
        lambda x: (jnp.linalg.inv(x), jnp.linalg.det(x), jnp.linalg.slogdet(x)),
        [("b, 5, 5", F32)],
        [[floats(3, 5, 5) + 2 * np.eye(5, dtype=np.float32)]],
        tolerance=1e-3,
    ),
    Case(
        "triangular",
        lambda x, y: [
            jax.scipy.linalg.solve_triangular(x, y, lower=lower, trans=trans, unit_diagonal=unit)
            for lower in (0, 1)
            for trans in (0, 1)
            for unit in (0, 1)
        ],
        [("4, 4", F32), ("4, 2", F32)],
        [[positive(1, 4)[0], floats(4, 2)]],
        tolerance=1e-3,
    ),
    Case(
        "triangular on the right",
        lambda x, y: [
            lax.linalg.triangular_solve(x, y, left_side=False, lower=lower, transpose_a=flip)
            for lower in (True, False)
            for flip in (True, False)
        ],
        [("4, 4", F32), ("b, 4", F32)],
        [[positive(1, 4)[0], floats(2, 4)]],
        gradient=True,
        tolerance=1e-4,
    ),
    Case(
        "qr",
        lambda x: (jnp.linalg.qr(x), jnp.abs(jnp.linalg.qr(x, mode="complete")[0])),
        [("b, 4, 3", F32)],
        [[floats(3, 4, 3)]],
    ),
    Case(
        "eigenvalues",
        lambda x: (jnp.linalg.eigvalsh(x), jnp.abs(jnp.linalg.eigh(x)[1])),
        [("b, 4, 4", F32)],
        [[positive(3, 4)]],
        tolerance=1e-4,
    ),
    Case(
        "singular values",
        lambda x: (
            [jnp.abs(part) for part in jnp.linalg.svd(x, full_matrices=False)],
            jnp.linalg.svd(x, compute_uv=False),
        ),
        [("b, 4, 3", F32)],
        [[floats(3, 4, 3)]],
        tolerance=1e-4,
    ),
    Case(
        "row swaps",
        lambda x: lax.linalg.lu_pivots_to_permutation(lax.linalg.lu(x)[1], 5),
        [("b, 5, 5", F32)],
        [[floats(3, 5, 5)]],
    ),
    Case(
        "fourier",
        lambda x: (
            jnp.fft.rfft(x),
            jnp.fft.fft(x),
            jnp.fft.ifft(x),
            jnp.fft.irfft(x),
            jnp.fft.rfft2(x),
            jnp.fft.fft2(x),
        ),
        [("b, 4, 8", F32)],
        [[floats(3, 4, 8)]],
    ),
]


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return ask(oracle, CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tensorflow_computes_what_jax_computes(case: Case, answers: dict[str, Any]) -> None:
    check(case, answers[case.name])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hozon_runs_it_alike(case: Case) -> None:
    check_own(case)
