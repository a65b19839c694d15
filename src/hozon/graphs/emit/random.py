"""Rules for random keys and bits, exactly as JAX's default generator (threefry2x32) has them.

A key is an array of uint32 whose last dimension has size 2. What JAX computes from a key is traced
through its own generator into integer arithmetic and a few uses of the hash, and written by the
ordinary rules; the hash is Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers:
as easy as 1, 2, 3", 2011).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.random import threefry_prng_impl

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.keys import check_generator
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.values import Dim, Tensor

RANDOM = Rules("random")


def _same(_: Body, eqn: Equation, x: Tensor) -> Tensor:
    """Between keys and their numbers nothing changes."""
    check_generator(eqn)
    return x


RANDOM.add("random_wrap", _same)
RANDOM.add("random_unwrap", _same)
RANDOM.add("random_clone", _same)


def _mapped(function: Callable[..., Any], rank: int) -> Callable[..., Any]:
    """`function` of single keys or numbers, for `rank` leading dimensions of each argument."""
    for _ in range(rank):
        function = jax.vmap(function)
    return function


def _computed(
    body: Body, function: Callable[..., Any], rank: int, inputs: Sequence[Tensor], wide: bool
) -> Tensor:
    """What JAX computes with `function`, written by the rules of its parts."""
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs]
    with jax.enable_x64(wide or any(x.dtype.itemsize == 8 for x in inputs)):
        traced = jax.make_jaxpr(_mapped(function, rank))(*shapes)
    (result,) = body.inline(traced, inputs)
    return result


@RANDOM.rule("random_seed")
def random_seed(body: Body, eqn: Equation, seeds: Tensor) -> Tensor:
    """Keys from integers."""
    check_generator(eqn)
    return _computed(body, threefry_prng_impl.seed, len(seeds.shape), [seeds], wide=False)


@RANDOM.rule("random_split")
def random_split(body: Body, eqn: Equation, keys: Tensor) -> Tensor:
    """New keys from each key."""
    check_generator(eqn)
    shape = eqn.params["shape"]
    rank = len(keys.shape) - 1
    return _computed(body, lambda key: threefry_prng_impl.split(key, shape), rank, [keys], False)


@RANDOM.rule("random_fold_in")
def random_fold_in(body: Body, eqn: Equation, keys: Tensor, numbers: Tensor) -> Tensor:
    """Keys from pairs of a key and an integer."""
    check_generator(eqn)
    rank = len(numbers.shape)
    return _computed(body, threefry_prng_impl.fold_in, rank, [keys, numbers], wide=False)


@RANDOM.rule("random_bits")
def random_bits(body: Body, eqn: Equation, keys: Tensor) -> Tensor:
    """Unsigned integers, all values alike probable."""
    check_generator(eqn)
    width, shape = eqn.params["bit_width"], eqn.params["shape"]

    def draw(key: Any) -> Any:
        return threefry_prng_impl.random_bits(key, width, shape)

    return _computed(body, draw, len(keys.shape) - 1, [keys], wide=width == 64)


@RANDOM.rule("iota_2x32_shape")
def iota_2x32_shape(body: Body, eqn: Equation) -> tuple[Tensor, Tensor]:
    """The position of every element in two halves, the upper one first."""
    shape: tuple[Dim, ...] = tuple(eqn.params["shape"])
    total = steps.product(shape)
    if steps.is_known([total]) and int(total) >= 2**31:
        raise NoRule(eqn.primitive)
    low = steps.reshape(body, steps.iota(body, total, np.uint32), shape)
    return steps.op(body, "ZerosLike", [low], low), low


#: By how many bits the rounds rotate, in groups of four; the groups alternate.
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
#: The parity word of the key schedule.
_PARITY = 0x1BD11BDA


@RANDOM.rule("threefry2x32")
def threefry2x32(
    body: Body, eqn: Equation, key1: Tensor, key2: Tensor, x1: Tensor, x2: Tensor
) -> tuple[Tensor, Tensor]:
    """The hash of pairs of numbers under a key."""
    hashing = _Threefry(body, tuple(eqn.out_avals[0].shape))
    return hashing.run((key1, key2), x1, x2)


class _Threefry:
    """Threefry on arrays of one shape."""

    def __init__(self, body: Body, dims: tuple[Dim, ...]) -> None:
        self._body = body
        self._dims = dims

    def run(self, keys: tuple[Tensor, Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Five groups of rounds, a word of the key after each."""
        mixed = self._op("BitwiseXor", *keys, dims=_wider(*keys))
        third = self._op("BitwiseXor", mixed, self._number(_PARITY), dims=mixed.shape)
        words = (*keys, third)
        x, y = self._op("AddV2", x, words[0]), self._op("AddV2", y, words[1])
        for group in range(5):
            for distance in _ROTATIONS[group % 2]:
                x = self._op("AddV2", x, y)
                y = self._op("BitwiseXor", x, self._rotated(y, distance))
            x = self._op("AddV2", x, words[(group + 1) % 3])
            y = self._op("AddV2", y, words[(group + 2) % 3])
            y = self._op("AddV2", y, self._number(group + 1))
        return x, y

    def _rotated(self, x: Tensor, distance: int) -> Tensor:
        left = self._op("LeftShift", x, self._number(distance))
        right = self._op("RightShift", x, self._number(32 - distance))
        return self._op("BitwiseOr", left, right)

    def _op(self, name: str, x: Tensor, y: Tensor, dims: Any = None) -> Tensor:
        return steps.op(self._body, name, [x, y], x, self._dims if dims is None else dims)

    def _number(self, value: int) -> Tensor:
        return steps.scalar(self._body, value, np.uint32)


def _wider(x: Tensor, y: Tensor) -> tuple[Dim, ...]:
    return x.shape if len(x.shape) >= len(y.shape) else y.shape
