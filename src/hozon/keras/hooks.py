"""The methods of Keras that ``hozon.keras`` replaces: one table, put in and out as a whole."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Any

import keras
import numpy as np

import hozon.keras_private.called  # noqa: F401 - its bend
from hozon import api
from hozon.arguments import checked
from hozon.config import added
from hozon.config.followed import STEP, follow, following
from hozon.config.serialization import model_to_json
from hozon.forms import names, unknown_format
from hozon.forms.form import Holds
from hozon.keras.removed import METHODS, RemovedMethod, todays_arguments
from hozon.keras_private.graph import Functional
from hozon.keras_private.layers import hold_metric, metrics_of
from hozon.models.in_memory import set_weights


def _chosen(save_format: str | None, what: Holds) -> str | None:
    """`save_format` as the argument `format`; its names are those of the forms."""
    if save_format is None:
        return None
    known = names(what)
    if not isinstance(save_format, str) or save_format not in known:
        raise unknown_format("save_format", save_format, list(known), what)
    return known[save_format].format


def save(
    model: keras.Model,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    save_format: str | None = None,
    include_optimizer: bool = True,
    signatures: Any = None,
    zipped: bool | None = None,
    **options: Any,
) -> Any:
    """``model.save``: a SavedModel, or what the suffix or `save_format` says.

    ``keras.models.save_model`` and ``keras.saving.save_model`` are the same function. With `zipped`
    it is a ``.keras`` file; ``zipped=False`` is Keras' own folder of its parts.
    """
    if zipped is False:
        return keras.saving.save_model(model, filepath, overwrite=overwrite, zipped=False)
    if zipped:
        save_format = save_format or "keras"
    return api.save_model(
        model,
        filepath,
        format=_chosen(save_format, "a model"),
        overwrite=overwrite,
        include_optimizer=include_optimizer,
        signatures=signatures,
        **options,
    )


#: Keras' own, whatever is replaced.
OWN_LOAD = keras.saving.load_weights


@checked()
def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    signature: str | None = None,
) -> Any:
    """``keras.models.load_model``, of every form."""
    return api.load_model(
        filepath,
        custom_objects=custom_objects,
        compile=compile,
        safe_mode=safe_mode,
        signature=signature,
    )


@checked()
def save_weights(
    model: keras.Layer,
    filepath: str | os.PathLike[str],
    overwrite: bool = True,
    save_format: str | None = None,
    max_shard_size: float | None = None,
) -> Any:
    """``model.save_weights``: a TensorFlow checkpoint, or what the suffix or format says."""
    return api.save_weights(
        model,
        filepath,
        format=_chosen(save_format, "weights"),
        overwrite=overwrite,
        max_shard_size=max_shard_size,
    )


@checked()
def load_weights(
    model: keras.Layer,
    filepath: str | os.PathLike[str],
    by_name: bool = False,
    skip_mismatch: bool = False,
    objects_to_skip: Any = None,
) -> Any:
    """``model.load_weights``, which returns the status object.

    With `objects_to_skip`, which are Keras' layers, it is Keras' own and returns nothing.
    """
    if objects_to_skip:
        return OWN_LOAD(
            model, filepath, skip_mismatch=skip_mismatch, objects_to_skip=objects_to_skip
        )
    return api.load_weights(model, filepath, by_name=by_name, skip_mismatch=skip_mismatch)


@checked()
def to_json(self: keras.Model) -> str:
    """``model.to_json``."""
    return model_to_json(self)


def _name_first(original: Callable[..., Any]) -> Callable[..., Any]:
    """Keras 2's order of arguments: a text in the first place is the name."""

    def add(self: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], str):
            kwargs.setdefault("name", args[0])
            args = args[1:]
        return original(self, *args, **kwargs)

    return add


@checked()
def add_loss(self: keras.Model, loss: Any) -> None:
    """``model.add_loss`` of a functional model: scalars of its graph, or of values in ``call``."""
    for one in keras.tree.flatten(loss):
        if isinstance(one, keras.KerasTensor):
            added.add_loss(self, one)
        else:
            keras.Layer.add_loss(self, one)


@checked()
def add_metric(
    self: keras.Layer, value: Any, name: str | None = None, aggregation: str = "mean"
) -> None:
    """Keras 2's ``add_metric``: the mean of a tensor of the graph, or of a value in ``call``."""
    if aggregation != "mean":
        raise ValueError(f"aggregation={aggregation!r} is not 'mean'")
    if isinstance(value, keras.KerasTensor):
        added.add_metric(self, value, name)
        return
    known = next((m for m in metrics_of(self) if m.name == name), None)
    if known is None:
        known = keras.metrics.Mean(name=name)
        hold_metric(self, known)
    follow(known, value)


@checked()
def adapt(self: keras.layers.Discretization, data: Any, steps: int | None = None) -> None:
    """``Discretization.adapt``, of an array or of batches; Keras' own asks for TensorFlow."""
    if self.num_bins is None:
        raise ValueError(
            "Cannot adapt a Discretization layer that has been initialized with "
            "`bin_boundaries`, use `num_bins` instead."
        )
    whole = isinstance(data, np.ndarray) or keras.ops.is_tensor(data)
    self.reset_state()
    for batch in [data] if whole or not hasattr(data, "__iter__") else islice(data, steps):
        self.update_state(batch)
    self.finalize_state()


#: What is replaced: class, name, how the replacement is made of the original.
REPLACED: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (keras.Model, "save", lambda original: save),
    (keras.Model, "save_weights", lambda original: save_weights),
    (keras.Model, "load_weights", lambda original: load_weights),
    (keras.Model, "to_json", lambda original: to_json),
    (keras.Layer, "set_weights", lambda original: set_weights),
    (keras.Layer, "add_weight", _name_first),
    (keras.Layer, "add_variable", lambda original: _name_first(keras.Layer.add_weight)),
    (Functional, "add_loss", lambda original: add_loss),
    (keras.Layer, "add_metric", lambda original: add_metric),
    (keras.layers.Discretization, "adapt", lambda original: adapt),
    (keras.optimizers.Optimizer, "__init__", todays_arguments),
    *((keras.Model, name, lambda original, name=name: RemovedMethod(name)) for name in METHODS),
    *([(keras.Model, STEP, following)] if hasattr(keras.Model, STEP) else []),
)
_installed: list[Replaced] = []
#: Whether the thread that calls has opted in, beside those that an import opted in.
opted: ContextVar[bool] = ContextVar("opted", default=False)


class Everywhere:
    """Whether an import opted the whole process in."""

    opted = False


class Replaced:
    """A method that is Hozon's for who opted in, and Keras' own for every thread beside."""

    def __init__(self, owner: type, name: str, make: Callable[[Any], Any]) -> None:
        self.owner, self.name = owner, name
        self.own = vars(owner).get(name)
        self.given = make(inspect.getattr_static(owner, name, None))

    def __get__(self, instance: Any, kind: type | None = None) -> Any:
        """The method for the thread that asks."""
        if Everywhere.opted or opted.get():
            return self.given.__get__(instance, kind)
        if self.own is not None:
            return self.own.__get__(instance, kind)
        return getattr(super(self.owner, kind if instance is None else instance), self.name)


def install() -> None:
    """Put the replacements in, once."""
    if not _installed:
        _installed.extend(Replaced(*entry) for entry in REPLACED)
        for one in _installed:
            setattr(one.owner, one.name, one)


def remove() -> None:
    """Put Keras' own methods back; a later ``install`` replaces them again."""
    for one in _installed:
        if one.own is None:
            delattr(one.owner, one.name)
        else:
            setattr(one.owner, one.name, one.own)
    _installed.clear()
