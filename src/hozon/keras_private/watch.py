"""What a layer or optimizer gains after it was made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import keras


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


def _after_build(optimizer: keras.optimizers.Optimizer, watcher: Watcher) -> Callable[..., None]:
    build = type(optimizer).build

    def wrapper(variables: Any) -> None:
        build(optimizer, variables)
        watcher.changed(optimizer)

    return _marked(wrapper, watcher)


def _on_attribute(layer: keras.Layer, watcher: Watcher) -> Callable[..., Any]:
    hook = type(layer)._setattr_hook

    def wrapper(name: str, value: Any) -> Any:
        if name == "built":
            watcher.changed(layer)
        else:
            watcher.attribute(layer, name, value)
        return hook(layer, name, value)

    return _marked(wrapper, watcher)


def _on_variable(layer: keras.Layer, watcher: Watcher) -> Callable[..., None]:
    track = type(layer)._track_variable

    def wrapper(variable: keras.Variable) -> None:
        track(layer, variable)
        watcher.attribute(layer, variable.name, variable)

    return _marked(wrapper, watcher)


def _marked(wrapper: Callable[..., Any], watcher: Watcher) -> Callable[..., Any]:
    wrapper.watcher = watcher  # type: ignore[attr-defined]
    return wrapper
