"""The string hashes that TensorFlow writes into models.

`fingerprint64` is FarmHash's Fingerprint64 (github.com/google/farmhash, farmhashna), `siphash24`
is SipHash-2-4 (Aumasson and Bernstein), `hash64` a MurmurHash64A with TensorFlow's seed
(tensorflow/core/platform/hash.cc).
"""

from __future__ import annotations

import struct

__all__ = ["fingerprint64", "fingerprint_cat", "hash64", "siphash24"]

MASK = 0xFFFFFFFFFFFFFFFF
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
HASH64_SEED = 0xDECAFCAFFE
Pair = tuple[int, int]


def _u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "little")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _right(value: int, shift: int) -> int:
    """Rotate right by `shift` bits."""
    value &= MASK
    return ((value >> shift) | (value << (64 - shift))) & MASK


def _shift_mix(value: int) -> int:
    value &= MASK
    return value ^ (value >> 47)


def _mix16(u: int, v: int, multiplier: int) -> int:
    a = _shift_mix((u ^ v) * multiplier)
    b = _shift_mix(((v & MASK) ^ a) * multiplier)
    return b * multiplier & MASK


def fingerprint64(data: bytes) -> int:
    """FarmHash Fingerprint64 of `data`, an unsigned 64-bit integer."""
    if len(data) <= 16:
        return _up_to_16(data)
    if len(data) <= 32:
        return _up_to_32(data)
    return _up_to_64(data) if len(data) <= 64 else _long(data)


def _up_to_16(data: bytes) -> int:
    size = len(data)
    multiplier = K2 + size * 2
    if size >= 8:
        a, b = _u64(data, 0) + K2 & MASK, _u64(data, size - 8)
        return _mix16(_right(b, 37) * multiplier + a, (_right(a, 25) + b) * multiplier, multiplier)
    if size >= 4:
        return _mix16(size + (_u32(data, 0) << 3), _u32(data, size - 4), multiplier)
    if size == 0:
        return K2
    y = data[0] + (data[size >> 1] << 8)
    z = size + (data[size - 1] << 2)
    return _shift_mix((y * K2 & MASK) ^ (z * K0 & MASK)) * K2 & MASK


def _up_to_32(data: bytes) -> int:
    size = len(data)
    multiplier = K2 + size * 2
    a, b = _u64(data, 0) * K1, _u64(data, 8)
    c, d = _u64(data, size - 8) * multiplier, _u64(data, size - 16) * K2
    u = _right(a + b, 43) + _right(c, 30) + d
    return _mix16(u & MASK, a + _right(b + K2, 18) + c & MASK, multiplier)


def _up_to_64(data: bytes) -> int:
    size = len(data)
    multiplier = K2 + size * 2
    a, b = _u64(data, 0) * K2, _u64(data, 8)
    c, d = _u64(data, size - 8) * multiplier, _u64(data, size - 16) * K2
    y = _right(a + b, 43) + _right(c, 30) + d & MASK
    z = _mix16(y, a + _right(b + K2, 18) + c & MASK, multiplier)
    e, f = _u64(data, 16) * multiplier, _u64(data, 24)
    g = (y + _u64(data, size - 32)) * multiplier
    h = (z + _u64(data, size - 24)) * multiplier
    u = _right(e + f, 43) + _right(g, 30) + h & MASK
    return _mix16(u, e + _right(f + a, 18) + g & MASK, multiplier)


def _weak32(data: bytes, at: int, a: int, b: int) -> Pair:
    w, x, y, z = struct.unpack_from("<4Q", data, at)
    a = a + w & MASK
    b = _right(b + a + z, 21)
    c = a
    a = a + x + y & MASK
    b += _right(a, 44)
    return a + z & MASK, b + c & MASK


def _long(data: bytes) -> int:
    size = len(data)
    x = 81
    y = x * K1 + 113 & MASK
    z = _shift_mix(y * K2 + 113) * K2 & MASK
    v: Pair = (0, 0)
    w: Pair = (0, 0)
    x = x * K2 + _u64(data, 0) & MASK
    end = (size - 1) // 64 * 64
    for at in range(0, end, 64):
        x, y, z, v, w = _round(data, at, x, y, z, v, w, K1, 1)
    multiplier = K1 + ((z & 0xFF) << 1)
    w = (w[0] + (size - 1 & 63) & MASK, w[1])
    v = (v[0] + w[0] & MASK, v[1])
    w = (w[0] + v[0] & MASK, w[1])
    x, y, z, v, w = _round(data, size - 64, x, y, z, v, w, multiplier, 9)
    return _mix16(
        _mix16(v[0], w[0], multiplier) + _shift_mix(y) * K0 + z & MASK,
        _mix16(v[1], w[1], multiplier) + x & MASK,
        multiplier,
    )


def _round(
    data: bytes, at: int, x: int, y: int, z: int, v: Pair, w: Pair, multiplier: int, weight: int
) -> tuple[int, int, int, Pair, Pair]:
    x = _right(x + y + v[0] + _u64(data, at + 8), 37) * multiplier & MASK
    y = _right(y + v[1] + _u64(data, at + 48), 42) * multiplier & MASK
    x ^= w[1] * weight & MASK
    y = y + v[0] * weight + _u64(data, at + 40) & MASK
    z = _right(z + w[0], 33) * multiplier & MASK
    v = _weak32(data, at, v[1] * multiplier, x + w[0])
    w = _weak32(data, at + 32, z + w[1], y + _u64(data, at + 16))
    return z, y, x, v, w


def fingerprint_cat(first: int, second: int) -> int:
    """TensorFlow's fingerprint of two fingerprints in a row (core/platform/fingerprint.h)."""
    multiplier = 0xC6A4A7935BD1E995
    result = first ^ multiplier ^ (_shift_mix(second * multiplier) * multiplier & MASK)
    result = _shift_mix(result * multiplier) * multiplier & MASK
    return _shift_mix(result)


def hash64(data: bytes, seed: int = HASH64_SEED) -> int:
    """TensorFlow's ``Hash64``, an unsigned 64-bit integer."""
    multiplier = 0xC6A4A7935BD1E995
    h = seed ^ (len(data) * multiplier & MASK)
    whole = len(data) // 8 * 8
    for at in range(0, whole, 8):
        k = _shift_mix(_u64(data, at) * multiplier) * multiplier & MASK
        h = (h ^ k) * multiplier & MASK
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * multiplier & MASK
    return _shift_mix(_shift_mix(h) * multiplier)


def siphash24(key: Pair, data: bytes) -> int:
    """SipHash-2-4 of `data` under a 128-bit key, an unsigned 64-bit integer."""
    state = [
        key[0] ^ 0x736F6D6570736575,
        key[1] ^ 0x646F72616E646F6D,
        key[0] ^ 0x6C7967656E657261,
        key[1] ^ 0x7465646279746573,
    ]
    whole = len(data) // 8 * 8
    last = int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56
    for word in (*(_u64(data, at) for at in range(0, whole, 8)), last):
        state[3] ^= word
        _sip_rounds(state, 2)
        state[0] ^= word
    state[2] ^= 0xFF
    _sip_rounds(state, 4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _sip_rounds(state: list[int], count: int) -> None:
    a, b, c, d = state
    for _ in range(count):
        a, c = a + b & MASK, c + d & MASK
        b, d = _right(b, 51) ^ a, _right(d, 48) ^ c
        a = _right(a, 32)
        c, a = c + b & MASK, a + d & MASK
        b, d = _right(b, 47) ^ c, _right(d, 43) ^ a
        c = _right(c, 32)
    state[:] = a, b, c, d
