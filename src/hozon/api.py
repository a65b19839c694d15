"""The functions that people call."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hozon import arguments as check
from hozon.errors import UnsupportedError
from hozon.graphs.processes import collective
from hozon.raw.collection import gc_paused_for_imports
from hozon.raw.stores import place, size_on_disk
from hozon.stored.meter import Progress, metered

if TYPE_CHECKING:
    import keras

    from hozon.models.assignment.by_name import Rename
    from hozon.models.report import LoadReport
    from hozon.record import Dialect
    from hozon.reports import SaveReport

__all__ = ["fast_on_cpu", "load_model", "load_weights", "save_model", "save_weights"]


@check.checked(
    path=check.path_to_write,
    format=check.text_or_none,
    dialect=check.dialect,
    overwrite=check.flag,
    include_optimizer=check.flag,
    signatures=check.mapping_or_none,
    native_ops_only=check.flag,
    card=check.flag,
    blocking=check.flag,
    progress=check.progress,
)
@collective
def save_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    dialect: Dialect | None = None,
    overwrite: bool = True,
    include_optimizer: bool = True,
    signatures: Mapping[str, Any] | None = None,
    native_ops_only: bool = False,
    card: bool = False,
    blocking: bool = True,
    progress: Progress = None,
) -> SaveReport:
    """Save a whole model: architecture, weights, compile information, optimizer state.

    Args:
        model: a built Keras model.
        path: where to; the folder around it must exist. A model that is there is replaced in one
            step; what its folder holds besides, as a repository's ``.git``, is kept.
        format: ``"savedmodel"`` (also ``"tf"``), ``"h5"``, ``"keras"`` or ``"tfjs"``; None chooses
            by the suffix of `path`, a SavedModel where it has none that is known.
        dialect: ``"keras2"`` or ``"keras3"``, where the format has both.
        overwrite: False refuses to replace what is there.
        include_optimizer: whether to save how the model was compiled, and the optimizer's state.
        signatures: of a SavedModel, besides ``serving_default``: for each name a pair of a function
            and the shapes and dtypes of its keywords, ``(serve, {"x": ((None, 3), "float32")})``.
            A pair of the model itself says what its call takes, where that are several arguments.
        native_ops_only: of a SavedModel: refuse functions that TensorFlow's own ops cannot express
            instead of writing them as one XlaCallModule op each.
        card: of a form that is a folder: also write a ``README.md`` that says what is in it, as the
            Hugging Face Hub shows it. One that is there and is not Hozon's is kept.
        blocking: False returns as soon as the model may change again: what can be refused has been,
            and its values are copied. The report's ``wait()`` waits for the file and raises what
            went wrong; saves are written in the order of their calls, one after the other.
        progress: True for a bar on a terminal, or a function of the bytes done and in all; with
            ``blocking=False``, of the bytes copied.

    Returns:
        What was written, and what the format could not hold.

    Raises:
        SaveError: the path cannot be written, or the model was never built. Nothing has changed.
        UnsupportedError: the format cannot hold the model.

    Example:
        >>> report = hozon.save_model(model, "my_model")
        >>> hozon.load_model("my_model").predict(x)
    """
    with gc_paused_for_imports():
        from hozon.forms import SaveOptions, form_to_write, save
        from hozon.models.built import require_model, sync_variables
        from hozon.models.in_memory import size_of

        form = form_to_write("a model", place(path), format)
        require_model("model", model)
        sync_variables(model)
        options = SaveOptions(
            overwrite=overwrite,
            include_optimizer=include_optimizer,
            dialect=dialect,
            signatures=signatures,
            native_ops_only=native_ops_only,
            card=card,
            blocking=blocking,
        )
        with metered(progress, lambda: size_of(model), f"saving {path}"):
            return save(form, model, place(path), options)


@check.checked(
    path=check.path_to_read,
    custom_objects=check.objects_or_none,
    compile=check.flag,
    safe_mode=check.flag,
    signature=check.text_or_none,
    progress=check.progress,
)
def load_model(
    path: str | os.PathLike[str],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,  # noqa: ARG001 - nothing of a file is ever run
    signature: str | None = None,
    progress: Progress = None,
) -> keras.Model:
    """Load a whole model as a live Keras model.

    Args:
        path: a SavedModel directory, an H5 or a ``.keras`` file, whatever it is called; or a folder
            of ``keras.callbacks.OrbaxCheckpoint``, whose latest step is meant, or one of a step.
        custom_objects: classes and functions of the model by name. Objects without a class come
            back as classes of the saved name that run the saved functions.
        compile: whether to compile the model as it was when saved, optimizer state included.
        safe_mode: Keras' argument. False allows nothing more: code in a file is never run; what it
            stands for is given by `custom_objects`.
        signature: of a SavedModel that Keras did not write, which signature the model calls, or
            ``"__call__"``, its root's own function; needed where there are several and none is
            ``serving_default``.
        progress: True for a bar on a terminal, or a function of the bytes done and in all.

    Returns:
        A model that predicts, evaluates and trains. ``model.load_report`` says how each object
        came back and which variables were found. On a CPU it computes as `fast_on_cpu` says.

    Raises:
        FormatError: the path holds no model, or a damaged one.
        UnsafeError: it asks for code to be run or files to be opened.
        MismatchError: its weights are those of another model, or it has no such `signature`.
        UnsupportedError: the model needs something that this version cannot do, or nothing says
            which of its signatures is meant.
        MissingObjectError: a class or function must be supplied.

    Example:
        >>> model = hozon.load_model("my_model")
        >>> model.predict(x)
    """
    with gc_paused_for_imports():
        from hozon.config.text_layers.handed import text_layers_handed
        from hozon.forms import BuildOptions, model_form
        from hozon.forms.form import check_before_load
        from hozon.keras_private.fast import mark_if_faster
        from hozon.keras_private.values import drawing_for_file

        form = model_form(place(path))
        if signature is not None and not form.functions:
            raise UnsupportedError(
                f"{path} holds a Keras model, which has no signatures",
                feature=f"signature={signature!r}",
                instead="leave signature out",
            )
        options = BuildOptions(custom_objects, compile, signature)
        with metered(progress, lambda: size_on_disk(path), f"loading {path}"):
            check_before_load(form, place(path))
            with drawing_for_file(), text_layers_handed():
                model = form.build(place(path), options)
        mark_if_faster(model)
        return model


@check.checked(
    path=check.path_to_write,
    format=check.text_or_none,
    overwrite=check.flag,
    max_shard_size=check.count_or_none,
    blocking=check.flag,
)
@collective
def save_weights(
    model_or_layer: keras.Layer,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    overwrite: bool = True,
    max_shard_size: float | None = None,
    blocking: bool = True,
) -> SaveReport:
    """Save the weights of a model or layer, and the state of its optimizer if it is compiled.

    Args:
        model_or_layer: a built model or layer.
        path: where to; of a TensorFlow checkpoint the prefix of its files. Missing folders are
            made, the file ``checkpoint`` beside names it as the latest.
        format: ``"tf"``, TensorFlow's checkpoints, ``"h5"``, ``"weights.h5"``, ``"weights.json"``
            (``.weights.h5`` in several files) or ``"safetensors"``; None chooses by the suffix of
            `path`, a checkpoint where it has none that is known.
        overwrite: False refuses to replace what is there.
        max_shard_size: of sets of files, ``.weights.json`` and ``.safetensors.index.json``, the
            most GiB of one of them; None is 5.
        blocking: False returns once the values are copied; see `save_model`.

    Returns:
        What was written, and what the format could not hold.

    Raises:
        SaveError: the path cannot be written, or the model was never built. Nothing has changed.
        MismatchError: two variables would have one name in the file.
        UnsupportedError: the format is not written.

    Example:
        >>> hozon.save_weights(model, "ckpts/weights")
        >>> hozon.load_weights(model, "ckpts/weights").assert_consumed()
    """
    with gc_paused_for_imports():
        from hozon.forms import FORMS, SaveOptions, form_to_write, save
        from hozon.models.built import sync_variables

        form = form_to_write("weights", place(path), format)
        form.require_owner("model_or_layer", model_or_layer)
        if max_shard_size is not None and not form.shards:
            ends = " or ".join(e for f in FORMS if f.shards for e in f.suffixes)
            accepted = f"a number of GiB for paths that end in {ends} alone"
            raise check.wrong("max_shard_size", max_shard_size, accepted)
        sync_variables(model_or_layer)
        options = SaveOptions(overwrite=overwrite, max_shard_size=max_shard_size, blocking=blocking)
        return save(form, model_or_layer, place(path), options)


@check.checked(
    path=check.path_to_read,
    by_name=check.flag,
    rename=check.renaming,
    skip_mismatch=check.flag,
)
def load_weights(
    model_or_layer: keras.Layer,
    path: str | os.PathLike[str],
    *,
    by_name: bool = False,
    rename: Rename = None,
    skip_mismatch: bool = False,
) -> LoadReport:
    """Load weights into a model or layer, and the state of its optimizer if it is compiled.

    What a checkpoint holds for variables that do not exist yet is kept and assigned when they are
    created.

    Args:
        model_or_layer: the model or layer.
        path: a TensorFlow checkpoint: its prefix, one of its files, a folder, whose latest one is
            meant, or a SavedModel; or an H5 file, of weights or a whole model.
        by_name: match by the names of layers and variables, not by where they stand in the model;
            what only one side has is left as it is.
        rename: match by names, and say how those of the file are called in the model: a dictionary
            of names, beginnings of names or patterns, ``{"encoder/*": "backbone/*"}``, or a
            function from a stored name, ``encoder/dense/kernel``, to the model's. None leaves a
            value out. Every variable must be found, unless `by_name` is True as well.
        skip_mismatch: leave out values of other shapes instead of raising.

    Returns:
        What was found, missing, left over; its lists follow what is created later.

    Raises:
        MismatchError: nothing matches, or shapes differ: what the file holds, what the model wants
            and what is nearest. No variable has changed.
        FormatError: there is no such file, or it is damaged. No variable has changed.
        UnsupportedError: the file is of another format.

    Example:
        >>> hozon.load_weights(model, "ckpts/weights").assert_consumed()
    """
    with gc_paused_for_imports():
        from hozon.forms import LoadOptions, form_of
        from hozon.forms.form import check_before_load
        from hozon.models.built import sync_variables
        from hozon.train.weights import require_held

        require_held("model_or_layer", model_or_layer)
        form = form_of(place(path))
        form.require_owner("model_or_layer", model_or_layer)
        sync_variables(model_or_layer)
        options = LoadOptions(by_name, rename, skip_mismatch)
        check_before_load(form, place(path))
        return form.load(model_or_layer, place(path), options)


@check.checked(fast=check.flag)
def fast_on_cpu(model: keras.Model, fast: bool = True) -> keras.Model:
    """Let a model compute on a CPU in forms that run fast there, or as Keras does.

    Convolutions, their gradients, poolings and statistics of batches are then computed in forms
    that XLA runs well on a CPU; the numbers are the same up to rounding. On accelerators, and in
    what is saved, nothing changes. Other models, and other threads, notice nothing.

    A model with convolutions that Hozon has loaded is fast already. What the model has compiled is
    compiled anew; a function of the caller's that has been compiled with it stays as it is.

    Args:
        model: the model. The layers in it are fast in other models, too.
        fast: False gives it back Keras' own forms.

    Returns:
        The same model.

    Raises:
        ArgumentError: `model` is no Keras model.
        UnsupportedError: Keras does not run on JAX.

    Example:
        >>> model = hozon.fast_on_cpu(keras.applications.MobileNetV2(weights=None))
        >>> model.predict(images)
    """
    with gc_paused_for_imports():
        from hozon.keras_private.backend import require_jax
        from hozon.keras_private.fast import mark_fast
        from hozon.models.built import require_model

        require_model("model", model)
        require_jax("fast_on_cpu")
        mark_fast(model, fast)
        return model
