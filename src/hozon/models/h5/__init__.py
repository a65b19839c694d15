"""Records whose weights are kept by layer (H5 of Keras 1 to 3) <-> live Keras models."""

from hozon.models.h5.describe import describe_h5, describe_h5_weights
from hozon.models.h5.load import load_h5_weights
from hozon.models.h5.revive import revive_record

__all__ = ["describe_h5", "describe_h5_weights", "load_h5_weights", "revive_record"]
