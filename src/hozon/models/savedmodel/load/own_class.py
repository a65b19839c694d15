"""Objects of the caller's classes: made as their code does, their variables found by attribute.

The object graph names each variable by the attributes that lead to it, in Keras 2 as in Keras 3.
So an object that was made and built by its own class is walked in step with the saved one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from hozon.errors import HozonError, MismatchError, UnsupportedError
from hozon.keras_private.called import note_call
from hozon.keras_private.graph import Functional
from hozon.keras_private.layers import call_signature
from hozon.models.savedmodel.load.graph_layers import SavedCall
from hozon.models.savedmodel.load.objects import KerasNode, KerasObjects
from hozon.models.tracking import Describer
from hozon.models.tracking.layers import numbered_layers
from hozon.objects.tracking import identity

#: What a constructor may take that a saved object has anyway.
COMMON = frozenset({"name", "dtype", "trainable", "dynamic", "autocast"})
#: Edges to the layers of a model that have weights, in their order.
WEIGHTED = "layer_with_weights-"
#: What Keras may raise of a class that does not go with what it is given.
REFUSALS = (TypeError, ValueError, AttributeError, KeyError, IndexError, NotImplementedError)


class NoConfigError(UnsupportedError):
    """The class is there, and what to call its constructor with is not known."""


def make_without_config(found: type, node: KerasNode) -> keras.Layer:
    """An object of a class that was saved without a config: one whose constructor takes nothing.

    Raises NoConfigError where it takes arguments, as nobody knows them any more.
    """
    taken = _arguments_of(found)
    if taken:
        raise NoConfigError(
            f"{node.path} ({node.class_name}) was saved without a config, so the values of "
            f"{', '.join(taken)} are not known",
            feature=node.class_name,
            instead="give the class a get_config and save the model again, or make the model by "
            "its own code and call hozon.load_weights",
        )
    return call_class(found, node)


def call_class(found: type, node: KerasNode) -> keras.Layer:
    """``found()``, under the saved name where it takes one."""
    parameters = inspect.signature(found).parameters
    wild = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    named = {"name": node.name} if "name" in parameters or wild else {}
    try:
        try:
            return found(**named)
        except TypeError:
            return found()
    except REFUSALS as error:
        raise UnsupportedError(
            f"{node.path}: {found.__name__}() cannot be made: {type(error).__name__}: {error}",
            feature=node.class_name,
        ) from error


def _arguments_of(found: type) -> list[str]:
    """The arguments of a class's constructor that say something of its own."""
    positional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        name
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.kind not in positional and name not in COMMON
    ]


def required_arguments(function: Callable[..., Any]) -> list[str]:
    """The arguments that a call cannot leave out."""
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in named and parameter.default is inspect.Parameter.empty
    ]


# What it is called on


@dataclass(frozen=True, slots=True)
class Call:
    """The symbolic arguments of a call."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = field(default_factory=dict)


def saved_calls(node: KerasNode, call: SavedCall, batch: int | None = None) -> Iterator[Call]:
    """On what an object was called when it was saved, the surest first.

    The size of a batch is `batch` where stateful RNNs fix it, else free before it is what it was.
    """
    given = node.metadata.get("full_save_spec")
    known: list[Call] = []
    if isinstance(given, list) and len(given) == 2:
        known.append(Call(tuple(map(_of_spec, given[0])), _keywords(_of_spec(given[1]))))
    traced = call.symbolic_call()
    if traced is not None:
        known.append(Call(*traced))
    shape = node.metadata.get("build_input_shape")
    if shape is not None:
        policy = node.metadata.get("dtype")
        dtype = keras.DTypePolicy(policy).variable_dtype if isinstance(policy, str) else None
        known.append(Call((_of_shape(shape, dtype),)))
    for found in known:
        if _tensors(found):
            yield _with_batch(found, batch)
            yield found


def note_saved_call(layer: keras.Layer, node: KerasNode, call: SavedCall) -> None:
    """Let a layer that was built without a call know the dtypes that it was called on."""
    found = next(saved_calls(node, call), None)
    if found is not None:
        note_call(layer, _by_name(layer, found))


def _of_spec(value: Any) -> Any:
    """A saved type spec, or structure of them, as symbolic tensors."""
    if isinstance(value, Mapping):
        if value.get("class_name") == "TypeSpec":
            shape, dtype, *_ = value["serialized"]
            return keras.KerasTensor(tuple(shape), dtype)
        return {key: _of_spec(item) for key, item in value.items()}
    return [_of_spec(item) for item in value] if isinstance(value, list) else value


def _of_shape(shape: Any, dtype: str | None) -> Any:
    if isinstance(shape, Mapping):
        return {key: _of_shape(item, dtype) for key, item in shape.items()}
    if any(isinstance(item, (list, Mapping)) for item in shape):
        return [_of_shape(item, dtype) for item in shape]
    return keras.KerasTensor(tuple(shape), dtype or "float32")


def _keywords(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if _symbols(value) and key != "mask"}


def _symbols(value: Any) -> list[keras.KerasTensor]:
    leaves = keras.tree.flatten(value)
    return [leaf for leaf in leaves if isinstance(leaf, keras.KerasTensor)]


def _tensors(call: Call) -> list[keras.KerasTensor]:
    return _symbols((call.args, dict(call.kwargs)))


def _with_batch(call: Call, size: int | None) -> Call:
    def sized(leaf: Any) -> Any:
        if not isinstance(leaf, keras.KerasTensor) or not leaf.shape:
            return leaf
        return keras.KerasTensor((size, *leaf.shape[1:]), leaf.dtype)

    args, kwargs = keras.tree.map_structure(sized, (call.args, dict(call.kwargs)))
    return Call(tuple(args), kwargs)


def _on_zeros(call: Call) -> Call:
    """The call on data, free sizes being 1."""

    def zeros(leaf: Any) -> Any:
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        return keras.ops.zeros([size or 1 for size in leaf.shape], leaf.dtype)

    args, kwargs = keras.tree.map_structure(zeros, (call.args, dict(call.kwargs)))
    return Call(tuple(args), kwargs)


def build(layer: keras.Layer, node: KerasNode, call: SavedCall, batch: int | None = None) -> None:
    """Call a layer of the caller's class symbolically, as its saved counterpart was called.

    `batch` is the size of the batch where stateful RNNs fix it. As Keras makes what they keep in
    calls on data only, layers beside them are called on zeros.

    Raises MismatchError where its call takes something else than the saved one.
    """
    refusal: Exception | None = None
    names = call.argument_names
    known = [_as_taken(layer, saved, names) for saved in saved_calls(node, call, batch)]
    for given in (*map(_on_zeros, known if batch is not None else ()), *known):
        try:
            layer(*given.args, **given.kwargs)
        except HozonError:
            raise
        except REFUSALS as error:
            refusal = refusal or error
            continue
        return
    if refusal is not None:
        raise MismatchError(
            f"{node.path}: the given class {type(layer).__name__} cannot be called as the saved "
            f"{node.class_name} was",
            mismatches=[f"{type(refusal).__name__}: {refusal}", *_listed(call)],
        ) from refusal


def _by_name(layer: keras.Layer, given: Call) -> dict[str, Any]:
    names = call_signature(layer).parameters
    return {**dict(zip(names, given.args, strict=False)), **given.kwargs}


def _as_taken(layer: keras.Layer, saved: Call, names: Sequence[str]) -> Call:
    """The arguments of a saved function, which takes all by position, as the class takes them."""
    kinds = [p.kind for p in call_signature(layer).parameters.values()]
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    count = sum(kind in by_position for kind in kinds)
    if inspect.Parameter.VAR_POSITIONAL in kinds or len(saved.args) <= count:
        return saved
    named = dict(zip(names[count:], saved.args[count:], strict=False))
    return Call(saved.args[:count], {**named, **saved.kwargs})


def _listed(call: SavedCall) -> list[str]:
    traces = call.traces(call.plain) or call.traces(call.with_losses)
    return [f"the file holds {trace!r}" for trace in traces]


# Which saved object is which


@dataclass(slots=True)
class Pairs:
    """What a walk found: layers and variables of the file, and the live ones they are."""

    layers: list[tuple[KerasNode, keras.Layer]] = field(default_factory=list)
    variables: list[tuple[int, keras.Variable]] = field(default_factory=list)


def pair(objects: KerasObjects, node: KerasNode, layer: keras.Layer) -> Pairs:
    """Walk a saved object and a live one in step, down to layers of Keras' own classes.

    Those are among the layers found, and are not looked into.
    """
    describe = Describer(layer)
    pairs = Pairs()
    seen: set[Any] = set()
    waiting: list[tuple[int, Any]] = [(node.node, layer)]
    while waiting:
        at, live = waiting.pop(0)
        if ("saved", at) in seen or identity(live) in seen:
            continue
        seen |= {("saved", at), identity(live)}
        if isinstance(live, keras.Variable):
            if objects.variable(at) is not None:
                pairs.variables.append((at, live))
            continue
        saved = objects.nodes.get(at)
        if isinstance(live, keras.Layer) and saved is not None:
            pairs.layers.append((saved, live))
            if live is not layer and not is_own(live):
                continue
            if isinstance(live, (keras.Sequential, Functional)):
                inside = layers_of_model(objects, at, live)
                waiting += [(node.node, found) for node, found in inside if found is not None]
        known = describe(live)
        found = ((child, known.child(name)) for name, child in objects.attributes(at).items())
        waiting += [(child, target) for child, target in found if target is not None]
    return pairs


def layers_of_model(
    objects: KerasObjects, at: int, live: keras.Model
) -> list[tuple[KerasNode, keras.Layer | None]]:
    """The saved layers of a Functional or Sequential model and the live ones; inputs left out.

    By name where all have the names of the file, as those built from its config. What code made
    has other names in each process; those layers go by their place among those with weights, and
    else by their place.
    """
    saved = [n for n in objects.layers(at) if not n.is_input]
    named = {layer.name: layer for layer in live.layers}
    if all(_valid(node.name) in named for node in saved):
        order = [_valid(node.name) for node in saved]
        if order == [name for name in named if name in set(order)] or _has_same(saved, named):
            return [(node, named[_valid(node.name)]) for node in saved]
    edges = objects.children(at)
    found: dict[int, keras.Layer] = {}
    for name, layer in numbered_layers(live).items():  # those with weights first: see there
        # What Keras 2 counts of a Sequential begins with its input, which Keras 3 keeps aside.
        if name in edges and (name.startswith(WEIGHTED) or not isinstance(live, keras.Sequential)):
            found.setdefault(edges[name], layer)
    if isinstance(live, keras.Sequential) and len(saved) == len(live.layers):
        for node, layer in zip(saved, live.layers, strict=True):
            found.setdefault(node.node, layer)
    return [(node, found.get(node.node)) for node in saved]


def _has_same(saved: Sequence[KerasNode], named: Mapping[str, keras.Layer]) -> bool:
    """Whether a model has just the layers of the file, in whatever order."""
    names = [n for n, layer in named.items() if not isinstance(layer, keras.layers.InputLayer)]
    return sorted(_valid(node.name) for node in saved) == sorted(names)


def _valid(name: str) -> str:
    """A saved layer's name as Keras 3 takes it."""
    return name.replace("/", "_")


def is_own(layer: keras.Layer) -> bool:
    """Whether a layer's class is the caller's, neither Keras' nor Hozon's."""
    return not type(layer).__module__.startswith(("keras.", "hozon."))
