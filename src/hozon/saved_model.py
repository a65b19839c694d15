"""SavedModels at graph level, without Keras."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hozon.raw.collection import here_to_stay

if TYPE_CHECKING:
    from hozon.restored.loader import LoadedModel

__all__ = ["load"]


def load(path: str | os.PathLike[str], tags: str | Iterable[str] | None = None) -> LoadedModel:
    """Load a SavedModel as its functions and variables, without Keras.

    Args:
        path: the SavedModel directory.
        tags: the tags of the meta graph to load; None takes the only one, or the serving one.

    Returns:
        An object with the saved attributes. Saved functions are callable, `signatures` maps
        names to functions ``(**inputs) -> dict``, `variables` lists the variables. Calls work
        with ``jax.jit``, ``jax.grad`` and ``jax.vmap``.

    Raises:
        FormatError: the directory is no SavedModel, or is damaged.
        UnsupportedError: when a function is called that uses an op Hozon does not run.

    Example:
        >>> model = hozon.saved_model.load("my_model")
        >>> model.signatures["serving_default"](x=np.ones((1, 3), "float32"))
    """
    with here_to_stay():
        from hozon.graphs.kernels.memory import keep_freed_memory

        keep_freed_memory()  # before JAX starts its threads
        import hozon.graphs.ops  # noqa: F401 - what functions need when they are first called
        from hozon.restored.loader import load as load_objects

        return load_objects(path, tags)
