"""The one policy of sizes, depths, counts and ratios that every reader obeys.

A reader first compares what a file declares with the file's own length; these limits bound what
the length cannot: nesting, what compressed bytes may expand to, and how many records there may be.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds, far above anything that a real model holds.

    Attributes:
        nesting: depth of nested messages, JSON values, groups and functions.
        header_bytes: bytes of one header or metadata document.
        message_bytes: bytes of one serialized protocol buffer (which has the same bound itself).
        key_bytes: bytes of one key of an index table, or of one name.
        key_ratio: bytes of all keys of an index table for each byte of its file.
        key_floor: bytes that all keys of an index table may have at any ratio.
        block_bytes: bytes of one uncompressed index block.
        expansion_ratio: uncompressed bytes for each compressed byte.
        members: members of an archive, or datasets of an HDF5 file.
        nodes: nodes of an object graph, or of all functions of a program.
        tensors: tensors of a checkpoint.
        rank: axes of a tensor (NumPy has no more).
        tensor_bytes: bytes of a tensor, also one with an axis of length 0 and other long ones.
        shards: data files of a checkpoint.
        slices: slices that one partitioned tensor is stored in.
    """

    nesting: int = 200
    header_bytes: int = 100 << 20
    message_bytes: int = (1 << 31) - 1
    key_bytes: int = 1 << 16
    key_ratio: int = 32
    key_floor: int = 8 << 20
    block_bytes: int = 256 << 20
    expansion_ratio: int = 256
    members: int = 1_000_000
    nodes: int = 10_000_000
    tensors: int = 10_000_000
    rank: int = 64
    tensor_bytes: int = (1 << 63) - 1
    shards: int = 100_000
    slices: int = 100_000


LIMITS = Limits()
