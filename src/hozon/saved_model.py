"""SavedModels at graph level, without Keras."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hozon import arguments as check
from hozon.graphs.processes import collective
from hozon.raw.collection import gc_paused_for_imports
from hozon.raw.stores import place

if TYPE_CHECKING:
    from hozon.graph_level.frozen import GraphFunction
    from hozon.graph_level.loader import LoadedModel
    from hozon.graph_level.structures import RaggedTensor as RaggedTensor
    from hozon.graph_level.structures import SparseTensor as SparseTensor
    from hozon.reports import SaveReport

__all__ = ["RaggedTensor", "SparseTensor", "load", "load_graph", "save"]

#: Where each class lives; they come with JAX, so when they are first used.
_LAZY = dict.fromkeys(("RaggedTensor", "SparseTensor"), "hozon.graph_level.structures")


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


@check.checked(path=check.path_to_read, tags=check.tags)
def load(path: str | os.PathLike[str], tags: str | Iterable[str] | None = None) -> LoadedModel:
    """Load a SavedModel as its functions and variables, without Keras.

    Args:
        path: the SavedModel directory.
        tags: the tags of the meta graph to load; None takes the only one, or the serving one.

    Returns:
        An object with the saved attributes. Saved functions are callable, `signatures` maps
        names to functions ``(**inputs) -> dict``, `variables` lists the variables. Calls work
        with ``jax.jit``, ``jax.grad`` and ``jax.vmap``; `RaggedTensor` and `SparseTensor` are
        arguments and results. Signatures and concrete functions say what they take and give as
        ``structured_input_signature`` and ``structured_outputs``. Each callable has
        ``stateless_call(values, ...) -> (outputs, new_values)``, a pure function of the values of
        its ``variables``.

    Raises:
        FormatError: the directory is no SavedModel, or is damaged.
        UnsupportedError: when a function is called that uses an op Hozon does not run.

    Example:
        >>> model = hozon.saved_model.load("my_model")
        >>> model.signatures["serving_default"](x=np.ones((1, 3), "float32"))
    """
    with gc_paused_for_imports():
        from hozon.kernels.memory import keep_freed_memory

        keep_freed_memory()  # before JAX starts its threads
        import hozon.graphs.ops  # noqa: F401 - what functions need when they are first called
        from hozon.graph_level.loader import load as load_objects

        return load_objects(path, tags)


@check.checked(path=check.path_to_read)
def load_graph(
    path: str | os.PathLike[str],
    inputs: str | Sequence[str] | Mapping[str, str] | None = None,
    outputs: str | Sequence[str] | Mapping[str, str] | None = None,
) -> GraphFunction:
    """Load a frozen graph, or a TensorFlow 1 meta graph with its checkpoint, as a function.

    Args:
        path: a ``GraphDef`` (``.pb``, ``.pbtxt``), or a ``.meta`` file beside its checkpoint.
        inputs: the tensors to give: one name, several in order, or a dictionary from your names to
            those of the graph (``"images:0"``, ``"images"``). None takes the placeholders.
        outputs: the tensors that a call gives, in the structure that a call shall give. None takes
            what is made of the inputs and read by nothing: one tensor, or a dictionary of them.

    Returns:
        A function, called with the inputs in order or by name. Works with ``jax.jit``, ``jax.grad``
        and ``jax.vmap``; has `variables` and `stateless_call` as those of `load` do.

    Raises:
        FormatError: the file is no graph, or is damaged.
        MismatchError: the graph has no such tensors.
        UnsupportedError: the graph does not tell its outputs, or uses an op Hozon does not run.

    Example:
        >>> classify = hozon.saved_model.load_graph("frozen.pb", "images", ["classes", "scores"])
        >>> classes, scores = classify(images)
    """
    with gc_paused_for_imports():
        from hozon.containers.graph_file import read
        from hozon.kernels.memory import keep_freed_memory

        keep_freed_memory()  # before JAX starts its threads
        import hozon.graphs.ops  # noqa: F401 - what functions need when they are first called
        from hozon.graph_level.frozen import graph_function

        return graph_function(read(os.fspath(path)), inputs, outputs)


@check.checked(
    path=check.path_to_write,
    signatures=check.mapping_or_none,
    overwrite=check.flag,
    native_ops_only=check.flag,
)
@collective
def save(
    obj: Any,
    path: str | os.PathLike[str],
    signatures: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = True,
    native_ops_only: bool = False,
) -> SaveReport:
    """Save parameters and JAX functions of them as a SavedModel, without Keras or TensorFlow.

    Args:
        obj: any pytree of arrays of JAX or NumPy: dictionaries, lists, registered classes (Flax
            NNX states and modules, Equinox modules, Haiku parameters ...). Each array becomes a
            variable under its place in the tree, ``["dense"]["kernel"]`` as ``dense/kernel``; a
            PRNG key as its numbers. Leaves that are no arrays (an activation function, a number)
            are constants of the functions.
        path: the directory; the one around it must exist. A SavedModel there is replaced.
        signatures: for each name a pair of a function and the shapes and dtypes of its keywords.
            The function takes the tree and the keywords, and gives an array, or a list or
            dictionary of arrays. A size of None is free; the first one of all keywords is the
            batch's.
        overwrite: False refuses to replace what is there.
        native_ops_only: refuse functions that TensorFlow's own ops cannot express instead of
            writing them as one XlaCallModule op each.

    Returns:
        What was written.

    Raises:
        SaveError: the path cannot be written, or `obj` holds a leaf of another kind or two of one
            name. Nothing has changed.
        UnsupportedError: a function cannot be traced for free sizes.

    Example:
        >>> def apply(params, x):
        ...     return x @ params["kernel"] + params["bias"]
        >>> params = {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)}
        >>> hozon.saved_model.save(
        ...     params, "served", {"serving_default": (apply, {"x": ((None, 3), "float32")})}
        ... )
    """
    from hozon.containers.savedmodel.write import check_target, write
    from hozon.forms import require_directory
    from hozon.graph_level.trees import TreeDraft
    from hozon.reports import SaveReport

    require_directory(place(path))
    if obj is None:
        raise check.wrong("obj", obj, "a pytree of arrays, such as a dictionary of parameters")
    check_target(path, overwrite=overwrite)
    draft = TreeDraft(obj, signatures or {}, native_only=native_ops_only)
    nbytes = write(draft, path, overwrite=overwrite)
    return SaveReport(place(path), "savedmodel", nbytes, fallbacks=draft.fallbacks)
