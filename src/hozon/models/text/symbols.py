"""Layers that are called on symbols of text, which Keras' JAX backend cannot trace.

They are traced as where their calls are written to files: strings have a stand-in dtype there, and
layers that run on the host are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import keras

from hozon.config.own_objects import REFUSALS
from hozon.config.text_layers import Hashing, reads_text
from hozon.config.text_layers.host import HostLayer
from hozon.config.text_layers.traced import PRIMITIVE
from hozon.graphs.emit.trace import ArgumentSpec, Traced, trace
from hozon.graphs.emit.values import TRACED_TEXT
from hozon.keras_private.bends import bend
from hozon.keras_private.called import forget_calls
from hozon.keras_private.layers import has_default_build, layers_inside, take_anything
from hozon.models.savedmodel.save.calls import pure_function
from hozon.stored.dtypes import STRING


def on_symbols(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a function gives for symbolic tensors, as such; layers that it calls are built."""
    traced = _traced(function, args, kwargs)
    found = traced.closed.out_avals[: traced.output_count]
    return jax.tree.unflatten(traced.structure, list(map(_as_symbol, found)))


def build_for_shapes(model: keras.Model, shapes: Mapping[str, Any]) -> None:
    """Build a model that reads text for recorded shapes, which do not say what of them is text.

    Its layers do: they are traced on numbers first, of which they make nothing there. As with
    Keras, a model that cannot be called so stays as it is.
    """
    given = _symbols_of(shapes)
    if given is None:
        return
    try:
        traced = _traced(model.call, *given)
    except REFUSALS:
        return
    finally:
        forget_calls(model)
    texts = _read_as_text(traced.closed.jaxpr)

    def typed(leaf: Any) -> Any:
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        return keras.KerasTensor(leaf.shape, STRING.name if next(texts) else leaf.dtype)

    args, kwargs = keras.tree.map_structure(typed, given)
    model(*args, **kwargs)


def _symbols_of(shapes: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]] | None:
    """Recorded shapes as symbols of numbers, by position or by name."""
    if "input_shape" in shapes:
        return [_numbers(shapes["input_shape"])], {}
    by_name = shapes.get("shapes_dict")
    if not isinstance(by_name, Mapping):
        return None
    return [], {key.removesuffix("_shape"): _numbers(shape) for key, shape in by_name.items()}


def _numbers(shape: Any) -> Any:
    if isinstance(shape, Mapping):
        return {key: _numbers(item) for key, item in shape.items()}
    if shape and isinstance(shape[0], (list, tuple, Mapping)):
        return [_numbers(item) for item in shape]
    return keras.KerasTensor(tuple(shape))


def _read_as_text(jaxpr: Any) -> Iterator[bool]:
    """Whether each input of a traced function is what a layer reads as text."""
    read = {
        id(value)
        for eqn in jaxpr.eqns
        if eqn.primitive is PRIMITIVE and _may_read_text(eqn.params["layer"])
        for value in eqn.invars
    }
    return (id(value) in read for value in jaxpr.invars)


def _may_read_text(layer: keras.Layer) -> bool:
    """Whether a layer takes strings; hashes of numbers are rare."""
    return reads_text(layer) or isinstance(layer, Hashing)


def _traced(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Traced:
    given = keras.tree.map_structure(_as_argument, (list(args), dict(kwargs)))
    with keras.StatelessScope():  # variables get their values when tracing is over
        return trace(pure_function(function, ()), given[0], given[1], ())


def holds_text(value: Any) -> bool:
    """Whether a symbol of text is among the symbols of a structure."""
    return any(
        isinstance(leaf, keras.KerasTensor) and leaf.dtype == STRING.name
        for leaf in keras.tree.flatten(value)
    )


def take_text(layer: keras.Layer) -> None:
    """Let a layer take text, if it holds a layer that may read some, which are no tensors."""
    if any(isinstance(inside, HostLayer) for inside in layers_inside(layer)):
        take_anything(layer)


def _as_argument(leaf: Any) -> Any:
    if not isinstance(leaf, keras.KerasTensor):
        return leaf
    return ArgumentSpec(tuple(leaf.shape), keras.backend.standardize_dtype(leaf.dtype), leaf.name)


def _as_symbol(aval: Any) -> keras.KerasTensor:
    sizes = tuple(size if isinstance(size, int) else None for size in aval.shape)
    text = aval.dtype == TRACED_TEXT
    return keras.KerasTensor(sizes, STRING.name if text else str(aval.dtype))


def _building(original: Callable[..., None]) -> Callable[..., None]:
    def maybe_build(layer: keras.Layer, call_spec: Any) -> None:
        given = call_spec.arguments_dict
        if not layer.built and has_default_build(layer) and holds_text(dict(given)):
            on_symbols(layer.call, (), given)
            take_text(layer)
        original(layer, call_spec)

    return maybe_build


def _shaping(original: Callable[..., Any]) -> Callable[..., Any]:
    def compute_output_spec(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if holds_text((args, kwargs)):
            return on_symbols(layer.call, args, kwargs)
        return original(layer, *args, **kwargs)

    return compute_output_spec


bend(keras.Layer, "_maybe_build", _building)
bend(keras.Layer, "compute_output_spec", _shaping)
