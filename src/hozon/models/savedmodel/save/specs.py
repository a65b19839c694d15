"""What the call of a model or layer takes: shapes and dtypes, sizes of None free."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import Any, Protocol, runtime_checkable

import jax
import keras

from hozon import arguments as check
from hozon.config.text_layers import reads_text
from hozon.errors import SaveError
from hozon.graphs.emit.trace import ArgumentSpec
from hozon.keras_private.called import called_on
from hozon.keras_private.graph import functional_of, input_structure, layer_of, symbolic_arguments
from hozon.keras_private.layers import (
    build_shapes,
    call_signature,
    layers_of,
    states_of,
    takes_training,
)

#: Arguments of `call` that say how to run, not what to run on.
CONTEXT = ("training", "mask")
#: Attribute of a model around saved functions: what it takes, as a structure of `ArgumentSpec`.
SAVED_INPUTS = "saved_inputs"
#: What `signatures` has for each name, in words.
A_SIGNATURE = (
    "a pair of a function and a dictionary of the shapes and dtypes of its keywords, such as "
    "(serve, {'x': ((None, 3), 'float32')})"
)
#: How a signature says what a model's own call takes.
SAY_ALL = (
    "signatures={'serving_default': (model, {'x': ((None, 3), 'float32'), ...})}, with all that it "
    "takes, lists and dictionaries as such"
)


@dataclass(frozen=True, slots=True)
class CallSpec:
    """The arguments of a call.

    `names` are those of `call` in order, without ``self``; `arguments` holds the values of the
    first of them (pytrees of `ArgumentSpec`, other leaves as they are), `keywords` of later ones,
    in the order of `names`, in which TensorFlow flattens them.
    """

    names: tuple[str, ...]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    guessed: bool = False

    def __post_init__(self) -> None:
        order = [name for name in self.names if name in self.keywords]
        ordered = {name: self.keywords[name] for name in order}
        object.__setattr__(self, "keywords", {**ordered, **self.keywords})

    def unsaid(self) -> list[str]:
        """Arguments that may be tensors, and are left at their defaults."""
        rest = self.names[len(self.arguments) :]
        return [name for name in rest if name not in (*self.keywords, *CONTEXT)]

    def tensors(self) -> list[ArgumentSpec]:
        """All specs, in order."""
        leaves = jax.tree.leaves((self.arguments, tuple(self.keywords.values())))
        return [leaf for leaf in leaves if isinstance(leaf, ArgumentSpec)]

    def mapped(self, change: Callable[[ArgumentSpec], Any]) -> CallSpec:
        """Another one, each spec changed, in order."""

        def changed(leaf: Any) -> Any:
            return change(leaf) if isinstance(leaf, ArgumentSpec) else leaf

        given = (self.arguments, tuple(self.keywords.values()))
        arguments, values = jax.tree.map(changed, given)
        keywords = dict(zip(self.keywords, values, strict=True))
        return replace(self, arguments=arguments, keywords=keywords)

    @property
    def takes_training(self) -> bool:
        """Whether the call distinguishes training and inference."""
        return "training" in self.names

    @property
    def takes_mask(self) -> bool:
        """Whether the call takes a mask."""
        return "mask" in self.names


@runtime_checkable
class KnowsItsCall(Protocol):
    """A layer that can say what its call takes."""

    def call_spec(self) -> CallSpec | None:
        """The arguments of its call; None where it does not know them either."""
        ...


def spec_of_symbols(
    names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> CallSpec:
    """The arguments of a call on symbolic tensors."""
    keywords = {k: v for k, v in kwargs.items() if k not in CONTEXT and v is not None}
    return CallSpec(tuple(names), _named(args, names), _named_keywords(keywords))


def model_spec(model: keras.Model, signatures: Mapping[str, Any] | None = None) -> CallSpec:
    """The arguments of a model's call; `signatures` say them where one is of the model itself.

    Raises SaveError when the model has not been built, so that nobody knows them.
    """
    told = next((s[1] for s in (signatures or {}).values() if is_of(model, s)), None)
    if told is not None:
        return _told_spec(model, told)
    functional = functional_of(model)
    if functional is not None and functional.built:
        inputs = keras.tree.map_structure(_of_symbol, input_structure(functional))
        return CallSpec(("inputs", "training", "mask"), (inputs,))
    spec = layer_spec(model)
    if spec is None:
        raise _never_built(model)
    missing = _missing(model, spec)
    if missing:
        raise SaveError(
            f"model {model.name!r} takes {', '.join(missing)} as well, of which only a call knows "
            "the shape",
            instead=f"{SAY_ALL}; one input that is a list or dictionary; a functional model",
        )
    return spec


def is_of(model: keras.Model, signature: Any) -> bool:
    """Whether a signature that is given says what a model's own call takes.

    It does so for several arguments, or one that is a structure of tensors.
    """
    pair = isinstance(signature, tuple) and len(signature) == 2 and signature[0] is model
    if not pair or functional_of(model) is not None:
        return False
    return len(signature[1]) > 1 or any(map(_is_structure, signature[1].values()))


def _told_spec(model: keras.Model, told: Mapping[str, Any]) -> CallSpec:
    """Arguments as a signature says them: the first ones by position, as the call has them."""
    try:
        specs = {name: as_specs(name, value) for name, value in dict(told).items()}
    except (TypeError, ValueError) as error:
        raise check.wrong("signatures", told, A_SIGNATURE) from error
    names = call_names(model)
    first = list(takewhile(specs.__contains__, _positional(model)))
    rest = {name: spec for name, spec in specs.items() if name not in first}
    return CallSpec(names, tuple(specs[name] for name in first), rest)


def as_spec(name: str, value: Any) -> ArgumentSpec:
    """A spec of a pair (shape, dtype), or of anything that has a shape and a dtype."""
    shape, dtype = (value.shape, value.dtype) if hasattr(value, "shape") else value
    return ArgumentSpec(tuple(shape), keras.backend.standardize_dtype(dtype), name)


def as_specs(name: str, value: Any) -> Any:
    """A spec as `as_spec` makes it, or a list, tuple or dictionary of them, at any depth."""
    if not _is_structure(value):
        return as_spec(name, value)
    if isinstance(value, Mapping):
        return {key: as_specs(str(key), item) for key, item in value.items()}
    return type(value)(as_specs(f"{name}_{i}", item) for i, item in enumerate(value))


def _is_structure(value: Any) -> bool:
    """Whether it is a structure of specs: a pair (shape, dtype) is one spec."""
    if isinstance(value, Mapping):
        return True
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return not all(size is None or isinstance(size, int) for size in _items(value[0]))


def _items(value: Any) -> Sequence[Any]:
    """The sizes of what may be a shape; itself, where it has no parts."""
    return value if isinstance(value, (list, tuple)) else [value]


def with_text_input(model: keras.Model) -> keras.Model:
    """A Sequential model that declares no input and begins with text, behind an input of strings.

    It is another model of the same layers: saving leaves the one that was given as it is. Raises
    SaveError where layers would have to be built.
    """
    if not isinstance(model, keras.Sequential) or functional_of(model) is not None:
        return model
    if not model.layers or not reads_text(model.layers[0]):
        return model
    if model.compiled or not all(layer.built for layer in model.layers):
        raise _never_built(model)
    return keras.Sequential([keras.Input((), dtype="string"), *model.layers], name=model.name)


def _never_built(model: keras.Model) -> SaveError:
    return SaveError(
        f"model {model.name!r} has never been built, so the shapes of its inputs are not known",
        instead="call it once on data, or build it with model.build(input_shape)",
    )


def _missing(layer: keras.Layer, spec: CallSpec) -> list[str]:
    """Arguments without a default that `spec` has no value for."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    given = {*_positional(layer)[: len(spec.arguments)], *spec.keywords, *CONTEXT}
    return [
        name
        for name, parameter in call_signature(layer).parameters.items()
        if name not in given and parameter.kind not in variable
        if parameter.default is inspect.Parameter.empty
    ]


def layer_spec(layer: keras.Layer) -> CallSpec | None:
    """The arguments of a layer's call, None where they are not known.

    They are those of the function that a model runs, of its first place in a functional model, of
    the calls that a layer was saved with, else what it was built for. The first size of each is
    taken to be the batch's: that of the states where a stateful RNN inside keeps some.
    """
    spec, size = _spec_of(layer), _size_of_states(layer)
    return spec if spec is None or size is None else _of_batch(spec, size)


def of_any_batch(spec: CallSpec) -> CallSpec:
    """The arguments for batches of any size."""
    return _of_batch(spec, None)


def _spec_of(layer: keras.Layer) -> CallSpec | None:
    names = call_names(layer)
    saved = getattr(layer, SAVED_INPUTS, None)
    if saved is not None:
        return CallSpec(("inputs", "training"), (saved,))
    symbolic = symbolic_arguments(layer)
    if symbolic is not None:
        return spec_of_symbols(names, *symbolic)
    if isinstance(layer, KnowsItsCall):
        return layer.call_spec()
    if not layer.built:
        return None
    shapes = build_shapes(layer)
    return _from_shapes(layer, names, shapes) if shapes else _from_call(layer, names)


def _from_call(layer: keras.Layer, names: Sequence[str]) -> CallSpec | None:
    """Arguments like those of the first call, which was on data where Keras notes no shapes."""
    called = called_on(layer)
    if not called:
        return None
    first = [called[name] for name in takewhile(called.__contains__, names)]
    rest = {name: value for name, value in called.items() if name not in names[: len(first)]}
    return of_any_batch(spec_of_symbols(names, first, rest))


def _size_of_states(layer: keras.Layer) -> int | None:
    """The size of the batch that stateful RNNs inside were called on; None without any."""
    found = {int(v.shape[0]) for inside in layers_of(layer) for v in states_of(inside)}
    return found.pop() if len(found) == 1 else None


def _of_batch(spec: CallSpec, size: int | None) -> CallSpec:
    """The arguments for batches of one size."""

    def sized(leaf: ArgumentSpec) -> ArgumentSpec:
        return replace(leaf, shape=(size, *leaf.shape[1:])) if leaf.shape else leaf

    return spec.mapped(sized)


def as_cast(layer: keras.Layer, spec: CallSpec) -> CallSpec:
    """The arguments as tf_keras hands them to a layer's saved call: the first in its own dtype."""
    if isinstance(layer, keras.Model) or not getattr(layer, "autocast", False):
        return spec
    dtype = layer.compute_dtype

    def cast(leaf: Any) -> Any:
        floating = isinstance(leaf, ArgumentSpec) and keras.backend.is_float_dtype(leaf.dtype)
        return replace(leaf, dtype=dtype) if floating and dtype else leaf

    first = tuple(jax.tree.map(cast, value) for value in spec.arguments[:1])
    return replace(spec, arguments=(*first, *spec.arguments[1:]))


def call_names(layer: keras.Layer) -> tuple[str, ...]:
    """The names of the arguments of ``layer.call``: what can be given by position, and then others.

    A saved function takes them all by position or by name; those that must be given by name and
    have no default stand before those that have one. ``training`` is among them where any layer
    inside takes it, as in Keras 2.
    """
    names = _positional(layer)
    parameters = call_signature(layer).parameters
    empty, only = inspect.Parameter.empty, inspect.Parameter.KEYWORD_ONLY
    named = [p for p in parameters.values() if p.kind is only]
    first = sum(parameters[name].default is empty for name in names)
    must = [p.name for p in named if p.default is empty]
    may = [p.name for p in named if p.default is not empty]
    names = (*names[:first], *must, *names[first:], *may)
    inside = any(map(takes_training, layers_of(layer)))
    return (*names, "training") if inside and "training" not in names else names


def _positional(layer: keras.Layer) -> tuple[str, ...]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = call_signature(layer).parameters.values()
    return tuple(p.name for p in parameters if p.kind in kinds)


def _from_shapes(
    layer: keras.Layer, names: Sequence[str], shapes: Mapping[str, Any]
) -> CallSpec | None:
    """Arguments of the shapes that ``build`` was given, in the dtypes of the first call.

    Where that is not known it is the layer's input dtype. ``build`` can be given None: by a caller
    who does not know the shape either.
    """
    if any(map(_is_unknown, shapes.values())):
        return None
    called = called_on(layer)
    told = called or dict.fromkeys(names)
    guessed = called is None

    def of(shape: Any, name: str) -> Any:
        return _of_shape(shape, told.get(name), layer.input_dtype, name)

    if len(shapes) == 1:
        (shape,) = shapes.values()
        return CallSpec(tuple(names), (of(shape, names[0]),), guessed=guessed)
    given: dict[str, Any] = {}
    for key, shape in shapes.items():
        name = key.removesuffix("_shape")
        if name not in names:
            return None
        given[name] = of(shape, name)
    return CallSpec(tuple(names), (), given, guessed=guessed)


def _is_unknown(shape: Any) -> bool:
    if isinstance(shape, Mapping):
        return any(map(_is_unknown, shape.values()))
    if shape and isinstance(shape[0], (list, tuple, Mapping)):
        return any(map(_is_unknown, shape))
    return shape is None


def _of_shape(shape: Any, called: Any, otherwise: str, name: str) -> Any:
    """A spec, or a structure of specs, for a shape or structure of shapes.

    `called` is a structure like it of symbols; `otherwise` is the dtype where that has none.
    """
    if isinstance(shape, Mapping):
        found = called if isinstance(called, Mapping) else {}
        return {key: _of_shape(item, found.get(key), otherwise, key) for key, item in shape.items()}
    if shape and isinstance(shape[0], (list, tuple, Mapping)):
        alike = isinstance(called, (list, tuple)) and len(called) == len(shape)
        told = called if alike else [None] * len(shape)
        return [_of_shape(item, told[i], otherwise, f"{name}_{i}") for i, item in enumerate(shape)]
    dtype, sizes = getattr(called, "dtype", otherwise), tuple(shape)
    return ArgumentSpec((None, *sizes[1:]) if sizes else (), dtype, name)


def _of_symbol(tensor: keras.KerasTensor) -> ArgumentSpec:
    """A symbolic tensor of a functional model; a batch size that was fixed stays."""
    return ArgumentSpec(tuple(tensor.shape), tensor.dtype, layer_of(tensor).name)


def _named(args: Sequence[Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(_renamed(value, name) for value, name in zip(args, names, strict=False))


def _named_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _renamed(value, key) for key, value in keywords.items()}


def _renamed(value: Any, name: str) -> Any:
    """The symbolic tensors in a value as specs named after the argument."""
    count = 0

    def spec(leaf: Any) -> Any:
        nonlocal count
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        count += 1
        return ArgumentSpec(
            tuple(leaf.shape), leaf.dtype, name if count == 1 else f"{name}_{count}"
        )

    return keras.tree.map_structure(spec, value)
