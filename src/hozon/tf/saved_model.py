"""``tf.saved_model``: graph level, results with ``numpy()``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from hozon import saved_model
from hozon.arguments import checked
from hozon.tf.values import Tensor, convert_to_tensor

__all__ = ["load", "save"]

save = saved_model.save


class Loaded:
    """A loaded SavedModel whose calls give arrays with ``numpy()``."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the saved model."""
        return _with_numpy(self._inner(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@checked()
def load(path: str | os.PathLike[str], tags: str | Iterable[str] | None = None) -> Loaded:
    """Load a SavedModel as its functions and variables; see `hozon.saved_model.load`."""
    return Loaded(saved_model.load(path, tags))


def _with_numpy(value: Any) -> Any:
    return jax.tree.map(
        lambda x: convert_to_tensor(np.asarray(x)) if isinstance(x, jax.Array) else x,
        value,
        is_leaf=lambda x: isinstance(x, Tensor),
    )
