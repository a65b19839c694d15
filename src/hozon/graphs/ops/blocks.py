"""Moving blocks between space, depth and batch, and extracting patches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.ops.array import pad_constant
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, ns, static, static_ints

BLOCKS = OpTable("blocks")
Pairs = list[tuple[int, int]]


def _pairs(value: Value, purpose: str) -> Pairs:
    return [(int(a), int(b)) for a, b in static(value, purpose).reshape(-1, 2)]


def space_to_batch(node: NodeView, x: Value, block: Sequence[int], padding: Pairs) -> Value:
    """Blocks of the axes after the first become batch entries, block position first."""
    m = len(block)
    widths = [(0, 0), *padding, *[(0, 0)] * (x.ndim - 1 - m)]
    padded = pad_constant(x, widths, np.zeros((), x.dtype))
    batch, space, depth = (
        padded.shape[0],
        padded.shape[1 : m + 1],
        padded.shape[m + 1 :],
    )
    if any(n % b for n, b in zip(space, block, strict=True)):
        raise MismatchError(f"node {node.name!r}: blocks {tuple(block)} do not divide {space}")
    inner = [n // b for n, b in zip(space, block, strict=True)]
    lib = ns(x)
    split = lib.reshape(padded, (batch, *itertools.chain(*zip(inner, block, strict=True)), *depth))
    order = [
        *range(2, 2 * m + 1, 2),
        0,
        *range(1, 2 * m, 2),
        *range(2 * m + 1, split.ndim),
    ]
    return lib.reshape(lib.transpose(split, order), (batch * math.prod(block), *inner, *depth))


def batch_to_space(node: NodeView, x: Value, block: Sequence[int], crops: Pairs) -> Value:
    """The reverse of `space_to_batch`, with `crops` cut off."""
    m = len(block)
    space, depth = x.shape[1 : m + 1], x.shape[m + 1 :]
    batch, rest = divmod(x.shape[0], math.prod(block))
    if rest:
        raise MismatchError(f"node {node.name!r}: batch {x.shape[0]} is not made of {block} blocks")
    lib = ns(x)
    split = lib.reshape(x, (*block, batch, *space, *depth))
    pairs = itertools.chain(*((m + 1 + i, i) for i in range(m)))
    merged = lib.transpose(split, [m, *pairs, *range(2 * m + 1, split.ndim)])
    full = [n * b for n, b in zip(space, block, strict=True)]
    whole = lib.reshape(merged, (batch, *full, *depth))
    cut = tuple(slice(a, n - b) for n, (a, b) in zip(full, crops, strict=True))
    return whole[(slice(None), *cut)]


@BLOCKS.op("SpaceToBatchND")
def space_to_batch_nd(node: NodeView) -> Kernel:
    return lambda x, block, padding: space_to_batch(
        node, x, static_ints(block, "the block shape"), _pairs(padding, "the padding")
    )


@BLOCKS.op("BatchToSpaceND")
def batch_to_space_nd(node: NodeView) -> Kernel:
    return lambda x, block, crops: batch_to_space(
        node, x, static_ints(block, "the block shape"), _pairs(crops, "the crops")
    )


@BLOCKS.op("SpaceToBatch")
def space_to_batch_2d(node: NodeView) -> Kernel:
    block = (int(node.attr("block_size")),) * 2
    return lambda x, padding: space_to_batch(node, x, block, _pairs(padding, "the padding"))


@BLOCKS.op("BatchToSpace")
def batch_to_space_2d(node: NodeView) -> Kernel:
    block = (int(node.attr("block_size")),) * 2
    return lambda x, crops: batch_to_space(node, x, block, _pairs(crops, "the crops"))


@BLOCKS.op("SpaceToDepth")
def space_to_depth(node: NodeView) -> Kernel:
    block, channels_first = _block(node)

    def kernel(x: Value) -> Value:
        lib = ns(x)
        if channels_first:
            n, c, h, w = x.shape
            split = lib.reshape(x, (n, c, h // block, block, w // block, block))
            moved = lib.transpose(split, (0, 3, 5, 1, 2, 4))
            return lib.reshape(moved, (n, c * block * block, h // block, w // block))
        n, h, w, c = x.shape
        split = lib.reshape(x, (n, h // block, block, w // block, block, c))
        moved = lib.transpose(split, (0, 1, 3, 2, 4, 5))
        return lib.reshape(moved, (n, h // block, w // block, block * block * c))

    return kernel


@BLOCKS.op("DepthToSpace")
def depth_to_space(node: NodeView) -> Kernel:
    block, channels_first = _block(node)

    def kernel(x: Value) -> Value:
        lib = ns(x)
        if channels_first:
            n, d, h, w = x.shape
            c = d // (block * block)
            split = lib.reshape(x, (n, block, block, c, h, w))
            moved = lib.transpose(split, (0, 3, 4, 1, 5, 2))
            return lib.reshape(moved, (n, c, h * block, w * block))
        n, h, w, d = x.shape
        c = d // (block * block)
        split = lib.reshape(x, (n, h, w, block, block, c))
        moved = lib.transpose(split, (0, 1, 3, 2, 4, 5))
        return lib.reshape(moved, (n, h * block, w * block, c))

    return kernel


def _block(node: NodeView) -> tuple[int, bool]:
    layout = node.text("data_format")
    if layout not in ("NHWC", "NCHW"):
        raise node.refuse(f"data_format {layout}")
    return int(node.attr("block_size")), layout == "NCHW"


@BLOCKS.op("ExtractImagePatches", "ExtractVolumePatches")
def extract_patches(node: NodeView) -> Kernel:
    """Patches laid out in the last axis: position in the patch first, then channel."""
    sizes, strides = node.ints("ksizes"), node.ints("strides")
    rates = node.ints("rates") if node.op == "ExtractImagePatches" else (1,) * len(sizes)
    same = node.text("padding") == "SAME"
    inner = slice(1, len(sizes) - 1)

    def kernel(x: Value) -> Value:
        return _patches(x, sizes[inner], strides[inner], rates[inner], same)

    return kernel


def _patches(
    x: Value,
    sizes: Sequence[int],
    strides: Sequence[int],
    rates: Sequence[int],
    same: bool,
) -> Value:
    spans = [(k - 1) * r + 1 for k, r in zip(sizes, rates, strict=True)]
    space = x.shape[1:-1]
    if same:
        counts = [-(-n // s) for n, s in zip(space, strides, strict=True)]
    else:
        counts = [max((n - e) // s + 1, 0) for n, e, s in zip(space, spans, strides, strict=True)]
    needed = [(c - 1) * s + e for c, s, e in zip(counts, strides, spans, strict=True)]
    missing = [max(want - n, 0) if same else 0 for want, n in zip(needed, space, strict=True)]
    widths = [(0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)]
    padded = pad_constant(x, widths, np.zeros((), x.dtype))
    parts = [
        padded[
            (
                slice(None),
                *(
                    slice(o * r, o * r + (c - 1) * s + 1, s) if c else slice(0, 0)
                    for o, r, c, s in zip(offset, rates, counts, strides, strict=True)
                ),
            )
        ]
        for offset in itertools.product(*map(range, sizes))
    ]
    return ns(x).concatenate(parts, axis=-1)
