"""Keras H5 files, whole models and weights, of Keras 1 to 3: bytes <-> `ModelRecord`."""

from hozon.containers.h5.detect import detect
from hozon.containers.h5.read import read
from hozon.containers.h5.write import write

__all__ = ["detect", "read", "write"]
