"""The CPU forms of convolutions and poolings against TensorFlow over generated geometries."""

from __future__ import annotations

import subprocess
import sys
import zlib
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hozon.kernels import compile as compiling
from hozon.kernels import convolution as kernels
from hozon.kernels.memory import is_wanted
from hozon.kernels.pooling import max_windows, sum_windows
from tests.oracle.client import Oracle

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


@dataclass(frozen=True)
class Case:
    """One convolution: shapes, and its geometry on the spatial axes."""

    spatial: tuple[int, ...]
    size: tuple[int, ...]
    channels: int
    groups: int
    outputs: int
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    padding: Any

    @property
    def arguments(self) -> dict[str, Any]:
        return {"strides": self.strides, "dilations": self.dilations, "padding": self.padding}

    def arrays(self, batch: int = 2) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng(zlib.crc32(repr(self).encode()))
        x = random.normal(size=(batch, *self.spatial, self.channels))
        kernel = random.normal(size=(*self.size, self.channels // self.groups, self.outputs))
        return x.astype("f"), kernel.astype("f")


CHANNELS = [(4, 1, 6), (6, 6, 6), (6, 6, 12), (8, 2, 4), (12, 3, 6), (64, 16, 32), (1, 1, 3)]


def generated(count: int, rank: int = 2) -> list[Case]:
    """Geometries drawn at random: even and odd sizes, one-tap kernels, every padding kind."""
    random = np.random.default_rng(rank)
    cases = []
    for number in range(count):
        channels, groups, outputs = CHANNELS[number % len(CHANNELS)]
        size = tuple(int(n) for n in random.integers(1, 6, rank))
        if number % 4 == 0:
            size = (1,) * rank
        dilated = number % 3 == 1
        stride = 1 if dilated else int(random.integers(1, 4))
        dilations = tuple(int(n) for n in random.integers(1, 4, rank)) if dilated else (1,) * rank
        explicit = tuple((int(a), int(b)) for a, b in random.integers(0, 3, (rank, 2)))
        padding = ["SAME", "VALID", explicit][number % 3 if rank == 2 else number % 2]
        spatial = tuple(int(n) for n in random.integers(13, 18, rank))
        case = Case(spatial, size, channels, groups, outputs, (stride,) * rank, dilations, padding)
        cases.append(case)
    return cases


CONV2D = """
out["answers"] = []
for x, k, strides, dilations, padding in cases:
    if not isinstance(padding, str):
        padding = [[0, 0], *map(list, padding), [0, 0]]
    x, k = tf.constant(x), tf.constant(k)
    with tf.GradientTape() as tape:
        tape.watch([x, k])
        y = tf.nn.conv2d(x, k, strides, padding, dilations=dilations)
        weights = tf.reshape(tf.cos(tf.range(tf.size(y), dtype=tf.float32)), y.shape)
        loss = tf.reduce_sum(y * weights)
    try:
        gradients = [g.numpy() for g in tape.gradient(loss, [x, k])]
    except tf.errors.OpError:
        gradients = None
    out["answers"].append((y.numpy(), weights.numpy(), gradients))
"""


@pytest.fixture(scope="module")
def conv2d(oracle: Oracle) -> list[tuple[Case, Any]]:
    cases = generated(35)
    asked = [(*c.arrays(), c.strides, c.dilations, c.padding) for c in cases]
    return list(zip(cases, oracle.python(CONV2D, cases=asked)["answers"], strict=True))


def test_convolution(conv2d: list[tuple[Case, Any]]) -> None:
    for case, (expected, _, _) in conv2d:
        actual = kernels.convolution(*map(jnp.asarray, case.arrays()), **case.arguments)
        assert actual.dtype == expected.dtype
        assert actual.shape == expected.shape, case
        np.testing.assert_allclose(actual, expected, **TOLERANCE, err_msg=str(case))


def test_gradients(conv2d: list[tuple[Case, Any]]) -> None:
    compared = 0
    for case, (_, weights, gradients) in conv2d[::2]:
        if gradients is None:
            continue
        compared += 1
        x, kernel = map(jnp.asarray, case.arrays())
        dx = kernels.convolution_input_gradient(weights, kernel, x.shape, **case.arguments)
        dk = kernels.convolution_kernel_gradient(x, weights, kernel.shape, **case.arguments)

        def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
            return (kernels.convolution(x, kernel, **case.arguments) * weights).sum()  # noqa: B023

        derived = jax.grad(loss, (0, 1))(x, kernel)
        for actual, expected in zip((dx, dk, *derived), (*gradients, *gradients), strict=True):
            assert actual.shape == expected.shape, case
            scale = np.abs(expected).max()
            np.testing.assert_allclose(actual / scale, expected / scale, **TOLERANCE)
    assert compared >= 10


def test_channels_first_and_vmap(conv2d: list[tuple[Case, Any]]) -> None:
    for case, (expected, _, _) in conv2d[::3]:
        x, kernel = map(jnp.asarray, case.arrays())
        first = kernels.convolution(
            jnp.moveaxis(x, -1, 1), kernel, **case.arguments, data_format="channels_first"
        )
        np.testing.assert_allclose(jnp.moveaxis(first, 1, -1), expected, **TOLERANCE)
        mapped = jax.vmap(lambda x: kernels.convolution(x, kernel, **case.arguments))  # noqa: B023
        np.testing.assert_allclose(mapped(x[:, None])[:, 0], expected, **TOLERANCE)


def test_three_dimensions(oracle: Oracle) -> None:
    source = """
out["answers"] = [
    tf.nn.conv3d(x, k, (1, *strides, 1), padding, dilations=(1, *dilations, 1)).numpy()
    for x, k, strides, dilations, padding in cases
]
"""
    cases = [c for c in generated(14, rank=3) if c.groups == 1 and max(c.dilations) == 1]
    asked = [(*c.arrays(1), c.strides, c.dilations, c.padding) for c in cases]
    answers = oracle.python(source, cases=asked)["answers"]
    for case, expected in zip(cases, answers, strict=True):
        actual = kernels.convolution(*map(jnp.asarray, case.arrays(1)), **case.arguments)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("multiplier", [1, 3])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_depthwise(oracle: Oracle, dtype: str, multiplier: int) -> None:
    source = """
x, k = tf.cast(x, dtype), tf.cast(k, dtype)
y = tf.nn.depthwise_conv2d(x, k, (1, 2, 2, 1), "SAME")
out["y"] = tf.cast(y, tf.float64).numpy()
"""
    random = np.random.default_rng(multiplier)
    x, kernel = random.normal(size=(2, 9, 8, 5)), random.normal(size=(3, 3, 5, multiplier))
    expected = oracle.python(source, x=x, k=kernel, dtype=dtype)["y"]
    with jax.enable_x64(dtype == "float64"):
        inputs = (jnp.asarray(x, dtype), jnp.asarray(kernel, dtype))
        actual = kernels.depthwise_convolution(*inputs, strides=(2, 2))
        assert actual.dtype == jnp.dtype(dtype)
        error = {"float16": 5e-3, "bfloat16": 4e-2, "float32": 1e-4, "float64": 1e-12}[dtype]
        np.testing.assert_allclose(np.asarray(actual, "d"), expected, rtol=error, atol=error)


@pytest.mark.parametrize("shape", [(0, 5, 5, 4), (2, 5, 5, 4)])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_empty_results(shape: tuple[int, ...], size: int) -> None:
    kernel = jnp.ones((size, size, 1, 4))
    actual = kernels.convolution(jnp.ones(shape), kernel, padding="VALID")
    steps = max(0, 5 - size + 1)
    assert actual.shape == (shape[0], steps, steps, 4)


def test_a_kernel_that_fits_no_groups() -> None:
    with pytest.raises(ValueError, match="groups of equal size"):
        kernels.convolution(jnp.ones((1, 4, 4, 5)), jnp.ones((1, 1, 2, 4)))


def test_other_platforms_keep_the_native_convolution() -> None:
    def depthwise(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return kernels.convolution(x, kernel)

    traced = jax.jit(depthwise).trace(jnp.ones((1, 8, 8, 4)), jnp.ones((3, 3, 1, 4)))
    assert "stablehlo.convolution" not in traced.lower(lowering_platforms=("cpu",)).as_text()
    for platform in ("cuda", "tpu"):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.convolution") == 1


POOLS = [
    ((1, 3, 3, 1), (1, 2, 2, 1), "SAME"),
    ((1, 2, 3, 1), (1, 1, 2, 1), "VALID"),
    ((1, 1, 1, 1), (1, 3, 3, 1), "SAME"),
    ((1, 9, 9, 1), (1, 4, 4, 1), "SAME"),
]


@pytest.mark.parametrize(("size", "strides", "padding"), POOLS)
def test_pooling(
    oracle: Oracle, size: tuple[int, ...], strides: tuple[int, ...], padding: str
) -> None:
    source = """
x = tf.constant(x)
with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    y = tf.nn.max_pool2d(x, size[1:3], strides[1:3], padding)
    m = tf.nn.avg_pool2d(x, size[1:3], strides[1:3], padding)
out["max"], out["mean"] = y.numpy(), m.numpy()
out["dmax"] = tape.gradient(y, x, tf.cos(y)).numpy()
out["dmean"] = tape.gradient(m, x, tf.cos(m)).numpy()
"""
    x = np.random.default_rng(0).integers(0, 4, (2, 11, 12, 3)).astype("f")  # with many ties
    expected = oracle.python(source, x=x, size=size, strides=strides, padding=padding)
    pads = jax.lax.padtype_to_pads(x.shape, size, strides, padding)
    counts = sum_windows(jnp.ones_like(x), size, strides, pads)
    pools = {
        "max": lambda x: max_windows(x, size, strides, pads),
        "mean": lambda x: sum_windows(x, size, strides, pads) / counts,
    }
    for name, pool in pools.items():
        y, pull = jax.vjp(pool, jnp.asarray(x))
        assert y.shape == expected[name].shape
        np.testing.assert_allclose(y, expected[name], **TOLERANCE)
        (gradient,) = pull(jnp.cos(y))
        np.testing.assert_allclose(gradient, expected["d" + name], **TOLERANCE)


def test_compiled_functions_work_inside_and_outside_of_traces() -> None:
    double = compiling.jit(lambda x: 2 * x)
    x = jnp.arange(3.0)
    expected = np.array([0.0, 2.0, 4.0])
    np.testing.assert_array_equal(double(x), expected)
    np.testing.assert_array_equal(jax.jit(double)(x), expected)
    np.testing.assert_array_equal(jax.jit(lambda y: y + double(x))(jnp.zeros(3)), expected)
    np.testing.assert_array_equal(jax.vmap(double)(x), expected)
    np.testing.assert_array_equal(jax.grad(lambda x: double(x).sum())(x), np.full(3, 2.0))
    np.testing.assert_array_equal(jax.jvp(double, (x,), (x,))[1], expected)


FAULTS = """
import resource
import numpy as np
from hozon.kernels.memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(100 * 2**18, "f")
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = faults(), faults()
kept = keep_freed_memory()
faults()
print(int(kept), *first, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_freed_memory_is_kept() -> None:
    command = [sys.executable, "-c", FAULTS]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    kept, _, before, after = map(int, answer.split())
    if not kept:
        pytest.skip("the C library is not glibc")
    assert after < before / 10


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, True),
        ({"HOZON_KEEP_FREED_MEMORY": "1"}, True),
        ({"HOZON_KEEP_FREED_MEMORY": "0"}, False),
        ({"MALLOC_ARENA_MAX": "2"}, False),
        ({"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}, False),
    ],
)
def test_who_sets_up_memory_keeps_what_they_have(environment: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environment) is wanted
