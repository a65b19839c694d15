"""``.keras`` archives and ``.weights.h5`` files of Keras 2.12 on and Keras 3 <-> `ModelRecord`."""

from hozon.containers.keraszip.detect import detect
from hozon.containers.keraszip.read import read
from hozon.containers.keraszip.write import write, write_weights

__all__ = ["detect", "read", "write", "write_weights"]
