"""Models that cannot be compiled: something in their functions must know its values.

Tables are looked up on the host, and which values of an array are not zero is not known while JAX
traces. Keras' loops run such models step by step.
"""

from __future__ import annotations

import keras

from hozon.keras_private.extended import extend
from hozon.keras_private.trainer import RunsEagerly


def eager(model: keras.Model) -> keras.Model:
    """Extend a model's class in place, its name kept."""
    extend(model, RunsEagerly)
    return model
