"""The one place in this room that touches parts of Keras which are not public.

Functional models of Keras 3 hold operations (``x + y``, ``keras.ops.max(x)``) as nodes beside
layers. Their classes have no public names.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
from keras.src.ops import core, image, linalg, math, nn, numpy

#: Operations whose construction takes functions or modules.
NOT_BUILT = frozenset({"Map", "Scan", "AssociativeScan", "WhileLoop", "ForiLoop", "Cond", "Switch",
                       "Vectorize", "CustomGradient"})  # fmt: skip

#: Classes of Keras' operations by name.
OPERATIONS: Mapping[str, type] = {
    name: value
    for module in (core, image, linalg, math, nn, numpy)
    for name, value in vars(module).items()
    if isinstance(value, type) and issubclass(value, keras.Operation)
    and value is not keras.Operation and name not in NOT_BUILT
}  # fmt: skip
