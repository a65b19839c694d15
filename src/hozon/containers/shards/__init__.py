"""Weights in several files with a JSON index <-> `ModelRecord`."""

from hozon.containers.shards.read import audit, detect, files_of, read
from hozon.containers.shards.write import DEFAULT_SHARD, GIB, write

__all__ = ["DEFAULT_SHARD", "GIB", "audit", "detect", "files_of", "read", "write"]
