"""Records whose weights are named by paths of attributes (Keras 3's own) <-> live models."""

from hozon.models.keras3.describe import describe, describe_weights
from hozon.models.keras3.load import load_weights
from hozon.models.keras3.revive import revive_record

__all__ = ["describe", "describe_weights", "load_weights", "revive_record"]
