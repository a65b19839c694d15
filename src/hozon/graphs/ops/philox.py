"""Philox 4x32-10 and the distributions that TensorFlow makes of its words.

The generator is counter-based: word `i` of block `n` depends on nothing but the key and
``counter + n``. Sources: tensorflow/core/lib/random/{philox_random,random_distributions}.h, and
random_op_cpu.h for which block an element is made of. Everything works on NumPy and JAX arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hozon.graphs.values import Value, ns

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
#: 128-bit blocks that a stateful generator moves on for one element.
BLOCKS_PER_ELEMENT = 256
#: Words that a truncated normal number may use.
RESERVED = 256
#: Blocks looked at for a group of truncated normal numbers: that fewer than needed lie within two
#: standard deviations has a probability below 1e-20.
TRIED_BLOCKS = 8
LIMIT = 2.0

MASK = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def _word(value: Value) -> Value:
    """The low 32 bits of 64-bit integers."""
    return (value & MASK).astype(np.uint32)


def philox(key: Value, low: Value, high: Value) -> Value:
    """The blocks at counters ``high << 64 | low``; key, low, high are uint64.

    Returns uint32 of shape ``(*low.shape, 4)``.
    """
    xp = ns(key, low, high)
    words = [_word(low), _word(low >> HALF), _word(high), _word(high >> HALF)]
    words = list(xp.broadcast_arrays(*words))
    keys = [_word(key), _word(key >> HALF)]
    for _ in range(ROUNDS):
        words = _round(words, keys)
        keys = [
            (k.astype(np.uint64) + np.uint64(w) & MASK).astype(np.uint32)
            for k, w in zip(keys, WEYL, strict=True)
        ]
    return xp.stack(words, axis=-1)


def _round(words: list[Value], keys: list[Value]) -> list[Value]:
    first = words[0].astype(np.uint64) * np.uint64(MULTIPLIERS[0])
    second = words[2].astype(np.uint64) * np.uint64(MULTIPLIERS[1])
    return [
        _word(second >> HALF) ^ words[1] ^ keys[0],
        _word(second),
        _word(first >> HALF) ^ words[3] ^ keys[1],
        _word(first),
    ]


def blocks(key: Value, counter: Value, count: int, stride: int = 1, tries: int = 1) -> Value:
    """Words of `count` groups that lie `stride` blocks apart, `tries` blocks of each.

    `counter` is uint64 of shape (2,), low part first. Returns shape ``(count, tries * 4)``.
    """
    xp = ns(key, counter)
    starts = np.arange(count, dtype=np.uint64)[:, None] * np.uint64(stride)
    steps = (starts + np.arange(tries, dtype=np.uint64)).astype(np.uint64)
    low = counter[0] + steps
    high = counter[1] + (low < counter[0]).astype(np.uint64)
    return xp.reshape(philox(key, low, high), (count, tries * 4))


def unit_float(words: Value) -> Value:
    """Numbers from [0, 1) of 23 random bits, float32."""
    return ((words & np.uint32(0x7FFFFF)) | np.uint32(127 << 23)).view(np.float32) - np.float32(1)


def _unit_half(words: Value) -> Value:
    bits = (words & np.uint32(0x3FF)) | np.uint32(15 << 10)
    return bits.astype(np.uint16).view(np.float16) - np.float16(1)


def _unit_bfloat(words: Value, dtype: Any) -> Value:
    bits = (words & np.uint32(0x7F)) | np.uint32(127 << 7)
    return bits.astype(np.uint16).view(dtype) - np.ones((), dtype)


def unit_double(high: Value, low: Value) -> Value:
    """Numbers from [0, 1) of 52 random bits, float64; `high` gives 20 of them."""
    mantissa = (high & np.uint32(0xFFFFF)).astype(np.uint64) << HALF | low.astype(np.uint64)
    return (mantissa | np.uint64(1023 << 52)).view(np.float64) - 1.0


def _normal_float(words: Value) -> Value:
    """Box-Muller: one normal number for each word, float32."""
    xp = ns(words)
    first = xp.maximum(unit_float(words[..., 0::2]), np.float32(1e-7))
    angle = (2 * np.pi * unit_float(words[..., 1::2]).astype(np.float64)).astype(np.float32)
    radius = xp.sqrt(np.float32(-2) * xp.log(first))
    pairs = xp.stack([xp.sin(angle) * radius, xp.cos(angle) * radius], axis=-1)
    return xp.reshape(pairs, words.shape)


def _normal_double(words: Value) -> Value:
    """Box-Muller: one normal number for each two words, float64."""
    xp = ns(words)
    first = xp.maximum(unit_double(words[..., 0::4], words[..., 1::4]), 1e-7)
    angle = 2 * np.pi * unit_double(words[..., 2::4], words[..., 3::4])
    radius = xp.sqrt(-2.0 * xp.log(first))
    pairs = xp.stack([xp.sin(angle) * radius, xp.cos(angle) * radius], axis=-1)
    return xp.reshape(pairs, (*words.shape[:-1], words.shape[-1] // 2))


def _wide(words: Value) -> Value:
    """64-bit integers of two words each, low word first."""
    return words[..., 0::2].astype(np.uint64) | words[..., 1::2].astype(np.uint64) << HALF


def _is_wide(dtype: np.dtype[Any]) -> bool:
    return dtype.itemsize == 8


def _filled(
    key: Value,
    counter: Value,
    shape: tuple[int, ...],
    per_block: int,
    make: Callable[[Value], Value],
) -> Value:
    """An array of `shape` whose elements are made of blocks, `per_block` of each."""
    count = int(np.prod(shape, dtype=np.int64))
    words = blocks(key, counter, -(-count // per_block))
    return make(words).reshape(-1)[:count].reshape(shape)


def uniform(key: Value, counter: Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Value:
    """Floats from [0, 1)."""
    if _is_wide(dtype):
        return _filled(key, counter, shape, 2, lambda w: unit_double(w[:, 0::2], w[:, 1::2]))
    makers: dict[str, Callable[[Value], Value]] = {
        "float32": unit_float,
        "float16": _unit_half,
        "bfloat16": lambda words: _unit_bfloat(words, dtype),
    }
    return _filled(key, counter, shape, 4, makers[dtype.name])


def normal(key: Value, counter: Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Value:
    """Floats of mean 0 and variance 1."""
    if _is_wide(dtype):
        return _filled(key, counter, shape, 2, _normal_double)
    return _filled(key, counter, shape, 4, _normal_float).astype(dtype)


def truncated_normal(
    key: Value, counter: Value, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Value:
    """Normal numbers, those beyond two standard deviations drawn again."""
    group = 2 if _is_wide(dtype) else 4
    count = int(np.prod(shape, dtype=np.int64))
    words = blocks(key, counter, -(-count // group), group * RESERVED // 4, TRIED_BLOCKS)
    drawn = _normal_double(words) if group == 2 else _normal_float(words)
    xp = ns(drawn)
    outside = xp.abs(drawn) >= LIMIT
    order = xp.argsort(outside, axis=-1, stable=True)[:, :group]
    kept = xp.take_along_axis(drawn, order, axis=-1)
    return kept.reshape(-1)[:count].reshape(shape).astype(dtype)


def full_int(key: Value, counter: Value, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Value:
    """Integers of the entire range of the dtype."""
    if _is_wide(dtype):
        return _filled(key, counter, shape, 2, _wide).view(dtype)
    return _filled(key, counter, shape, 4, lambda words: words).view(dtype)


def uniform_int(
    key: Value, counter: Value, shape: tuple[int, ...], low: Value, high: Value
) -> Value:
    """Integers from [low, high), by the remainder; the dtype is that of the limits."""
    dtype = low.dtype
    unsigned = np.dtype(f"u{dtype.name}") if dtype.kind == "i" else dtype
    base, end = (limit.astype(unsigned) for limit in (low, high))
    drawn = full_int(key, counter, shape, unsigned)
    return (base + drawn % (end - base)).astype(dtype)


def scrambled(seed: Value) -> tuple[Value, Value]:
    """Key and counter (uint64, scalar and shape (2,)) for two seeds of a stateless op.

    The seeds are mixed by one block under a fixed key (stateless_random_ops.cc).
    """
    xp = ns(seed)
    words = seed.astype(np.int64).astype(np.uint64)
    mixed = philox(np.uint64(0x02461E293EC8F720), words[0], words[1])
    key, high = _wide(mixed[:2])[0], _wide(mixed[2:])[0]
    return key, xp.stack([xp.zeros_like(high), high])


def skipped(counter: Value, blocks_on: Value) -> Value:
    """A counter (uint64, shape (2,)) moved on."""
    low = counter[0] + blocks_on
    high = counter[1] + (low < counter[0]).astype(np.uint64)
    return ns(counter).stack([low, high])
