"""The one place that touches parts of Keras which are not public."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import keras
import numpy as np
from keras.src.backend import Variable as BackendVariable
from keras.src.backend.common import dtypes
from keras.src.models import Functional as Functional
from keras.src.models.functional import operation_fn
from keras.src.saving import saving_lib
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.utils.naming import to_snake_case

from hozon.errors import UnsupportedError
from hozon.tensors.dtypes import dtype_of_name

Initializer = Callable[..., Any]
_ALIGNMENT = 64


def require_jax(what: str) -> None:
    """Raise UnsupportedError unless Keras runs on JAX."""
    backend = keras.config.backend()
    if backend != "jax":
        raise UnsupportedError(
            f"{what} needs Keras' JAX backend; Keras runs on {backend!r}. "
            "Set KERAS_BACKEND=jax before Keras is imported"
        )


class Deferred:
    """Variables whose initializers have not run yet."""

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Any, Initializer]] = {}

    def add(self, variable: Any, initializer: Initializer) -> None:
        """Give `variable` zeros that take no memory, a broadcast view of one element."""
        self._waiting[id(variable)] = (variable, initializer)
        zero = np.zeros((), dtype_of_name(variable._dtype).numpy)
        variable._value = np.broadcast_to(zero, variable._shape)

    def finish(self) -> list[Any]:
        """Run the initializers of variables that were not assigned; return those variables."""
        rest = [(v, i) for v, i in self._waiting.values() if isinstance(v._value, np.ndarray)]
        for variable, initializer in rest:
            if isinstance(initializer, keras.initializers.Zeros):
                variable.assign(_zeros(variable._value.shape, variable._value.dtype))
            else:
                variable.assign(initializer(variable.shape, dtype=variable.dtype))
        self._waiting.clear()
        return [variable for variable, _ in rest]


def _zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Zeros that take memory only once they are read.

    JAX uses memory at a multiple of 64 bytes as it is and copies any other.
    """
    size = math.prod(shape) * dtype.itemsize
    memory = np.zeros(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


@contextmanager
def deferred_initializers() -> Iterator[Deferred]:
    """Variables made inside do not run their initializers until `Deferred.finish`.

    For models whose weights are about to be overwritten: building ResNet50 spends nearly all of
    its time drawing random numbers that nobody sees. On other backends than JAX they run at once.
    """
    deferred = Deferred()
    if keras.config.backend() != "jax":
        yield deferred
        return
    original = BackendVariable._initialize_with_initializer

    def initialize(variable: Any, initializer: Initializer) -> None:
        if variable._layout is not None or variable._dtype == "string":
            original(variable, initializer)
        else:
            deferred.add(variable, initializer)

    BackendVariable._initialize_with_initializer = initialize
    try:
        yield deferred
    finally:
        BackendVariable._initialize_with_initializer = original


@contextmanager
def tracing_for_file(text: np.dtype[Any]) -> Iterator[None]:
    """Calls of layers inside are traced to be written down.

    Arrays of the dtype `text` are strings to Keras. Errors stay as they are raised, and Keras does
    not warn that JAX halves the integers of inputs that are declared as int64.
    """
    filtering = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    dtypes.PYTHON_DTYPES_MAP[text] = "string"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Explicitly requested dtype")
            yield
    finally:
        dtypes.PYTHON_DTYPES_MAP.pop(text, None)
        if filtering:
            keras.config.enable_traceback_filtering()


@contextmanager
def symbolic_sizes() -> Iterator[None]:
    """Keras' layers can be traced for sizes that are not numbers.

    On JAX, TimeDistributed runs its layer once for each step in a Python loop; where the number of
    steps is a symbol, batch and steps are one axis instead, as in Keras 2.
    """
    kind = keras.layers.TimeDistributed
    original = kind.call

    def call(layer: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if isinstance(inputs.shape[1], int):
            return original(layer, inputs, training=training, mask=mask)
        return _over_merged_steps(layer.layer, inputs, training, mask)

    kind.call = call
    try:
        yield
    finally:
        kind.call = original


def _over_merged_steps(layer: Any, inputs: Any, training: Any, mask: Any) -> Any:
    batch, steps, *rest = inputs.shape
    given = {}
    if layer._call_has_training_arg:
        given["training"] = training
    if layer._call_has_mask_arg and mask is not None:
        given["mask"] = keras.ops.reshape(mask, (batch * steps, *mask.shape[2:]))
    made = layer.call(keras.ops.reshape(inputs, (batch * steps, *rest)), **given)
    return keras.ops.reshape(made, (batch, steps, *made.shape[1:]))


def give_value(variable: Any, value: np.ndarray[Any, Any]) -> None:
    """Assign a variable; one that Keras made while tracing shapes starts with the value later."""
    if variable._value is None:
        variable._initializer = lambda shape, dtype: np.asarray(value).astype(
            dtype_of_name(dtype).numpy
        )
    else:
        variable.assign(value)


def compile_config(model: keras.Model) -> dict[str, Any] | None:
    """What a model was compiled with, as live objects; None if it was not."""
    config = getattr(model, "_compile_config", None)
    if not model.compiled or config is None:
        return None
    return {**config.config, "optimizer": model.optimizer}


def layer_of(tensor: keras.KerasTensor) -> Any:
    """The layer or operation that a symbolic tensor comes from."""
    return tensor._keras_history.operation


def symbolic_arguments(layer: keras.Layer) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments of a layer's first call in a functional model; None without one."""
    nodes = getattr(layer, "_inbound_nodes", None)
    if not nodes or nodes[0].is_input:
        return None
    return tuple(nodes[0].arguments.args), dict(nodes[0].arguments.kwargs)


@dataclass(frozen=True, eq=False, slots=True)
class GraphNode:
    """One call of an operation in a functional model, with its symbolic tensors."""

    operation: Any
    inputs: tuple[keras.KerasTensor, ...]
    outputs: tuple[keras.KerasTensor, ...]
    arguments: Any


def functional_of(model: keras.Model) -> Any:
    """A functional model itself, what is behind a built Sequential one, None for others."""
    inner = getattr(model, "_functional", None) or model
    return inner if isinstance(inner, Functional) else None


def graph_nodes(functional: Any) -> list[GraphNode]:
    """The calls of a functional model in an order in which they can run, inputs left out."""
    by_depth = functional._nodes_by_depth
    ordered = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [
        GraphNode(n.operation, tuple(n.input_tensors), tuple(n.outputs), n.arguments)
        for n in ordered
        if n.operation and not n.is_input
    ]


def run_nodes(
    nodes: Iterable[GraphNode], values: dict[int, Any], training: bool | None = None
) -> None:
    """Run calls; `values` holds what is known by the tensors' ids and takes the results."""
    for node in nodes:
        args, kwargs = node.arguments.fill_in(values)
        results = operation_fn(node.operation, training=training)(*args, **kwargs)
        for tensor, value in zip(node.outputs, keras.tree.flatten(results), strict=True):
            values[id(tensor)] = value


def standardized(functional: Any, inputs: Any) -> list[Any]:
    """Inputs as a functional model takes them: flat, in its order, of its ranks and dtypes."""
    flat: list[Any] = functional._standardize_inputs(inputs)
    return flat


class Watcher(Protocol):
    """What `watch` tells of."""

    def attribute(self, owner: Any, name: str, value: Any) -> None:
        """An attribute is about to be set, or a variable of that name was made."""
        ...

    def changed(self, owner: Any) -> None:
        """The owner was built."""
        ...


def watch(target: Any, watcher: Watcher) -> None:
    """Tell `watcher` of variables, sublayers and attributes that a layer or optimizer gains.

    Only this one object is touched: methods that Keras calls on it for each attribute and
    variable are shadowed until `unwatch`.
    """
    if isinstance(target, keras.optimizers.Optimizer):
        object.__setattr__(target, "build", _after_build(target, watcher))
    elif isinstance(target, keras.Layer):
        object.__setattr__(target, "_setattr_hook", _on_attribute(target, watcher))
        object.__setattr__(target, "_track_variable", _on_variable(target, watcher))


def unwatch(target: Any, watcher: Watcher) -> None:
    """End `watch`, unless somebody else watches by now."""
    for name in ("build", "_setattr_hook", "_track_variable"):
        if getattr(target.__dict__.get(name), "watcher", None) is watcher:
            del target.__dict__[name]


def can_grow(target: Any) -> bool:
    """Whether a Keras object may still gain state: a model always may, a layer until it is built.

    An optimizer may until it is built, and a legacy slot may be found then.
    """
    if isinstance(target, keras.optimizers.Optimizer):
        return not target.built
    if isinstance(target, keras.Layer):
        return isinstance(target, keras.Model) or not target._tracker.locked
    return False


def _after_build(optimizer: Any, watcher: Watcher) -> Callable[..., None]:
    build = type(optimizer).build

    def wrapper(variables: Any) -> None:
        build(optimizer, variables)
        watcher.changed(optimizer)

    return _marked(wrapper, watcher)


def _on_attribute(layer: Any, watcher: Watcher) -> Callable[..., Any]:
    hook = type(layer)._setattr_hook

    def wrapper(name: str, value: Any) -> Any:
        if name == "built":
            watcher.changed(layer)
        else:
            watcher.attribute(layer, name, value)
        return hook(layer, name, value)

    return _marked(wrapper, watcher)


def _on_variable(layer: Any, watcher: Watcher) -> Callable[..., None]:
    track = type(layer)._track_variable

    def wrapper(variable: Any) -> None:
        track(layer, variable)
        watcher.attribute(layer, variable.name, variable)

    return _marked(wrapper, watcher)


def _marked(wrapper: Callable[..., Any], watcher: Watcher) -> Callable[..., Any]:
    wrapper.watcher = watcher  # type: ignore[attr-defined]
    return wrapper


@cache
def _hidden(kind: str) -> frozenset[str]:
    """Attributes that no object of a kind is saved by; Keras makes one to look, each time."""
    return frozenset(saving_lib.get_attr_skipset(kind))


def _children(target: Any) -> Iterator[tuple[str, Any]]:
    """The attributes by which Keras 3 saves what an object holds, in its order."""
    kind = target._obj_type()
    if kind in ("Sequential", "Functional"):
        yield "layers", target.layers
    for name in sorted(dir(target), key=saving_lib._name_key):
        if not name.startswith("__") and name not in _hidden(kind):
            try:
                child = getattr(target, name)
            except Exception:  # noqa: BLE001, S112 - a property that cannot be asked yet
                continue
            yield name, child


def saveables(root: Any) -> Iterator[tuple[str, Any]]:
    """The objects that Keras 3 saves below one, each once, by the paths that its files use.

    An object is reached by the attribute that holds it; those in a list or dictionary by the names
    of their classes, numbered.
    """
    seen: set[int] = set()

    def visit(target: Any, path: str) -> Iterator[tuple[str, Any]]:
        if id(target) in seen:
            return
        seen.add(id(target))
        if isinstance(target, KerasSaveable):
            yield path, target
            for name, child in _children(target):
                if isinstance(child, (KerasSaveable, list, dict, tuple)):
                    yield from visit(child, f"{path}/{name}" if path else name)
            return
        used: dict[str, int] = {}
        for item in list(target.values()) if isinstance(target, dict) else target:
            if isinstance(item, KerasSaveable):
                name = saving_lib._get_unique_name(to_snake_case(type(item).__name__), used)
                yield from visit(item, f"{path}/{name}")
            elif isinstance(item, (list, dict, tuple)):
                yield from visit(item, f"{path}/{saving_lib._get_unique_name('container', used)}")

    yield from visit(root, "")
