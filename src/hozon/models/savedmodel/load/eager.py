"""Models that cannot be compiled: something in their functions must know its values.

Tables are looked up on the host, and which values of an array are not zero is not known while JAX
traces. Keras' loops run such models step by step.
"""

from __future__ import annotations

import keras

from hozon.models.text.strings import StringInputs


class RunsEagerly:
    """Added to the class of a model; see the module."""

    #: Keras would trace a symbolic batch.
    _symbolic_build = StringInputs._symbolic_build

    @property
    def run_eagerly(self) -> bool:
        """Always true."""
        return True

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        """As in Keras; see the getter."""
        self._run_eagerly = value


def eager(model: keras.Model) -> keras.Model:
    """Extend a model's class in place, its name kept."""
    kind = type(model)
    model.__class__ = type(kind.__name__, (RunsEagerly, kind), {"__module__": kind.__module__})
    return model
