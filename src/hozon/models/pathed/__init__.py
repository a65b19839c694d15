"""Records whose weights are named by paths of attributes (Keras 3's own) <-> live models."""

from hozon.models.pathed.describe import describe, describe_weights
from hozon.models.pathed.load import load_weights
from hozon.models.pathed.revive import revive_record

__all__ = ["describe", "describe_weights", "load_weights", "revive_record"]
