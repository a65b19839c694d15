"""Differences between Keras' config dialects, one row each, by family of layers.

`RULES` gives for each class name of Keras 1 and 2 the rows to apply in order, `WRITTEN` for each
of Keras 3 those that lead to Keras 2.
"""

from __future__ import annotations

from hozon.config.dialects.common import CLASSES, COMMON, COMMON_OF_ALL
from hozon.config.dialects.convolution import CONVOLUTION, CONVOLUTION_WRITTEN
from hozon.config.dialects.core import CORE, CORE_WRITTEN
from hozon.config.dialects.keras1 import KERAS1
from hozon.config.dialects.normalization import NORMALIZATION, NORMALIZATION_WRITTEN
from hozon.config.dialects.preprocessing import PREPROCESSING, PREPROCESSING_WRITTEN
from hozon.config.dialects.recurrent import RECURRENT_LAYERS, RECURRENT_WRITTEN
from hozon.config.dialects.rules import Rule, Table
from hozon.config.dialects.tensorflow import TENSORFLOW
from hozon.config.dialects.to_keras2 import INTERNAL, LAYERS

__all__ = [
    "CLASSES",
    "COMMON",
    "COMMON_OF_ALL",
    "KERAS1",
    "RULES",
    "WRITTEN",
    "is_known",
    "rules_of",
    "to_keras2_rules_of",
]

FAMILIES: tuple[Table, ...] = (
    CORE,
    CONVOLUTION,
    RECURRENT_LAYERS,
    NORMALIZATION,
    PREPROCESSING,
    TENSORFLOW,
)
WRITTEN_FAMILIES: tuple[Table, ...] = (
    CORE_WRITTEN,
    CONVOLUTION_WRITTEN,
    RECURRENT_WRITTEN,
    NORMALIZATION_WRITTEN,
    PREPROCESSING_WRITTEN,
)


def _merged(families: tuple[Table, ...]) -> Table:
    merged: dict[str, tuple[Rule, ...]] = {}
    for family in families:
        twice = merged.keys() & family.keys()
        if twice:
            raise ValueError(f"two families have rows for {sorted(twice)}")
        merged.update(family)
    return merged


RULES: Table = _merged(FAMILIES)
WRITTEN: Table = _merged(WRITTEN_FAMILIES)


def rules_of(class_name: str) -> tuple[Rule, ...]:
    """The rows of a Keras 1 or 2 class: Keras 1 names first, then Keras 2's."""
    modern = CLASSES.get(class_name, class_name)
    return (*KERAS1.get(class_name, ()), *RULES.get(class_name, RULES.get(modern, ())))


def is_known(class_name: str) -> bool:
    """Whether a class of a Keras 1 or 2 config is Keras' own, by its name."""
    if ">" in class_name:
        return False
    short = class_name.rsplit(".", 1)[-1]
    tables = (LAYERS, CLASSES, KERAS1, RULES, INTERNAL)
    return any(short in table for table in tables)


def to_keras2_rules_of(class_name: str) -> tuple[Rule, ...]:
    """The rows that lead from a class of Keras 3 to Keras 2's."""
    return WRITTEN.get(class_name, ())
