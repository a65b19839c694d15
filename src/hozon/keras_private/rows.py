"""Gradients of tables as Keras 2 has them: a row for each lookup, where nothing else reads a table.

TensorFlow clips these rows before those of one id are summed, and the older generation of its
optimizers leaves rows that a step does not look up as they are, with what it keeps of them. JAX has
one gradient of the whole table. Here lookups go around the table to inputs of the loss that are
made for them, whose gradients are what the rows add up to: their sum, the sum of their squares,
their sum once they are clipped, and how often each was looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
from keras.src import backend

from hozon.keras_private.bends import asked, bend
from hozon.keras_private.optimizers import state_of, wrapped

Take = Callable[[Any, Any], Any]

#: Attribute of optimizers that leave rows alone which a step does not look up.
_LAZY = "hozon_lazy_rows"
#: Of the older generation, those that leave slots alone with the rows, and those that do not.
_LAZY_SLOTS = frozenset({"SGD", "RMSprop", "Adadelta", "Adamax", "Ftrl"})
_LAZY_CLASSES = _LAZY_SLOTS | {"Nadam"}


def step_rows_lazily(optimizer: keras.optimizers.Optimizer) -> None:
    """Mark an optimizer of Keras 2's older generation, where its steps of rows are others."""
    momentum = getattr(optimizer, "momentum", None)
    name = type(optimizer).__name__
    if name in _LAZY_CLASSES and not (name in ("SGD", "RMSprop") and not momentum):
        object.__setattr__(optimizer, _LAZY, True)


def steps_rows_lazily(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether an optimizer, or the one inside of it, is marked so."""
    return bool(getattr(wrapped(optimizer), _LAZY, False))


def clips_rows(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether an optimizer clips gradients."""
    inner = wrapped(optimizer)
    return any(getattr(inner, name, None) for name in ("clipnorm", "clipvalue", "global_clipnorm"))


def tells_rows_apart(optimizer: Any) -> bool:
    """Whether an optimizer, None or a model's, does more with rows than to add them up."""
    return optimizer is not None and (clips_rows(optimizer) or steps_rows_lazily(optimizer))


class Sums(NamedTuple):
    """What the rows of a table add up to; as inputs of the loss, zeros."""

    rows: Any
    squares: Any
    clipped: Any
    lookups: Any


class Lookups:
    """The lookups of one step of training.

    Args:
        optimizer: of the model.
        slots: the values of its variables.
        variables: what it trains.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        slots: Sequence[Any],
        variables: Sequence[keras.Variable],
    ) -> None:
        inner = wrapped(optimizer)
        norms = inner.clipnorm or inner.global_clipnorm
        self._value = None if norms else inner.clipvalue
        self._active = tells_rows_apart(optimizer)
        self._scale = _scale(optimizer, slots) if self._active else 1.0
        self._places = {id(v): at for at, v in enumerate(variables) if len(v.shape) > 0}
        self._inputs: Sequence[Any] = ()
        self._found: dict[int, Sums] = {}
        self.used: set[int] = set()

    def inputs(self, weights: Sequence[keras.Variable]) -> list[Sums | None]:
        """Zeros for each variable: what the loss is to be differentiated by as well."""
        return [self._zeros(w) if self._active and w.ndim else None for w in weights]

    def _zeros(self, weight: Any) -> Sums:
        table = jnp.zeros(weight.shape, weight.dtype)
        clipped = None if self._value is None else table
        return Sums(table, jnp.zeros((), "float32"), clipped, jnp.zeros(weight.shape[:1]))

    @contextmanager
    def seen(self, inputs: Sequence[Any]) -> Iterator[None]:
        """Lookups inside go to these inputs."""
        self._inputs = inputs
        with asked(_LOOKUPS, self):
            yield

    def take(self, variable: keras.Variable, table: Any, take: Take, ids: Any) -> Any:
        """Rows of a variable's value."""
        at = self._places.get(id(variable))
        if not self._active or at is None:
            return take(table, ids)
        self.used.add(at)
        limit = None if self._value is None else self._value * self._scale
        return _taken(take, self._inputs[at], limit, table, ids)

    def whole(
        self, gradients: Sequence[Any], sums: Sequence[Any], read: Callable[[int], bool]
    ) -> list[Any]:
        """Gradients of variables, those of rows in them; `read`: what else reads a variable."""
        self._found = {at: sums[at] for at in self.used if not read(at)}
        pairs = zip(gradients, sums, strict=True)
        return [g + s.rows if at in self.used else g for at, (g, s) in enumerate(pairs)]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """An optimizer inside clips rows, and leaves alone what no lookup reached."""
        with asked(_APPLIED, self if self._found else None):
            yield

    def of(self, variable: keras.Variable) -> Sums | None:
        """The rows that are a variable's whole gradient, freed of the loss's scale."""
        found = self._found.get(self._places.get(id(variable), -1))
        if found is None:
            return None
        clipped = None if found.clipped is None else found.clipped / self._scale
        return Sums(found.rows, found.squares / self._scale**2, clipped, found.lookups)


_LOOKUPS: ContextVar[Lookups | None] = ContextVar("lookups of a step", default=None)
_APPLIED: ContextVar[Lookups | None] = ContextVar("lookups that are applied", default=None)
_CLIPPED: ContextVar[Sequence[Sums | None] | None] = ContextVar("rows to clip", default=None)


def look_up(variable: keras.Variable, table: Any, take: Take, ids: Any) -> Any:
    """``take(table, ids)``, the rows of a variable's value, as what trains it has to know."""
    lookups = _LOOKUPS.get()
    return take(table, ids) if lookups is None else lookups.take(variable, table, take, ids)


def _scale(optimizer: keras.optimizers.Optimizer, slots: Sequence[Any]) -> Any:
    """What the loss is multiplied with before it is differentiated."""
    mapping = list(zip(optimizer.variables, slots, strict=True))
    with keras.StatelessScope(state_mapping=mapping):
        return keras.ops.convert_to_tensor(optimizer.scale_loss(1.0), "float32")


def _taken(take: Take, sums: Sums, limit: Any, table: Any, ids: Any) -> Any:
    """Rows of a table whose gradients go to `sums`."""

    def forward(_: Sums, limit: Any, table: Any, ids: Any) -> tuple[Any, Any]:
        return take(table, ids), (limit, ids)

    def backward(kept: Any, rows: Any) -> Any:
        limit, ids = kept
        rows = rows.astype(sums.rows.dtype)

        def added(values: Any, like: Any) -> Any:
            return jax.vjp(lambda table: take(table, ids), like)[1](values)[0]

        zeros, counts = jnp.zeros_like(sums.rows), jnp.zeros_like(sums.lookups)
        clipped = None if limit is None else added(jnp.clip(rows, -limit, limit), zeros)
        squares = jnp.sum(jnp.square(rows.astype("float32")))
        lookups = added(jnp.ones_like(take(counts, ids)), counts)
        return Sums(added(rows, zeros), squares, clipped, lookups), None, None, None

    taken = jax.custom_vjp(lambda sums, limit, table, ids: take(table, ids))
    taken.defvjp(forward, backward)
    return taken(sums, limit, table, ids)


def _taking(original: Callable[..., Any]) -> Callable[..., Any]:
    def take(x: Any, indices: Any, axis: int | None = None) -> Any:
        if axis != 0 or not isinstance(x, keras.Variable) or _LOOKUPS.get() is None:
            return original(x, indices, axis=axis)
        ids = backend.convert_to_tensor(indices, sparse=False)
        along = lambda table, ids: original(table, ids, axis=0)
        return look_up(x, backend.convert_to_tensor(x), along, ids)

    return take


def _applying(original: Callable[..., None]) -> Callable[..., None]:
    def apply(optimizer: keras.optimizers.Optimizer, grads: Any, variables: Any) -> None:
        lookups = _APPLIED.get()
        if lookups is None:
            original(optimizer, grads, variables)
            return
        sums = [lookups.of(variable) for variable in variables]
        alone = list(_left_alone(optimizer, variables, sums))
        with asked(_CLIPPED, sums):
            original(optimizer, grads, variables)
        for variable, before, lookups_of in alone:
            seen = jnp.reshape(lookups_of > 0, (-1,) + (1,) * (before.ndim - 1))
            variable.assign(jnp.where(seen, variable.value, before))

    return apply


def _left_alone(
    optimizer: keras.optimizers.Optimizer,
    variables: Iterable[keras.Variable],
    sums: Iterable[Sums | None],
) -> Iterator[tuple[Any, Any, Any]]:
    """(variable or slot, value, how often each row was looked up) of what is stepped lazily."""
    if not steps_rows_lazily(optimizer):
        return
    lookups = {id(v): s.lookups for v, s in zip(variables, sums, strict=True) if s is not None}
    for variable in variables:
        if id(variable) in lookups:
            yield variable, variable.value, lookups[id(variable)]
    if type(optimizer).__name__ not in _LAZY_SLOTS:
        return
    for _, variable, slot in state_of(optimizer):
        if id(variable) in lookups and slot.shape == variable.shape:
            yield slot, slot.value, lookups[id(variable)]


def _clipping(original: Callable[..., Any]) -> Callable[..., Any]:
    def clip(optimizer: keras.optimizers.Optimizer, grads: Any) -> Any:
        sums = _CLIPPED.get()
        if sums is None or not clips_rows(optimizer):
            return original(optimizer, grads)
        pairs = list(zip(grads, sums, strict=True))
        if optimizer.clipnorm:
            one = optimizer._clip_by_norm
            return [one(g) if s is None else g * _factor(optimizer.clipnorm, s) for g, s in pairs]
        if optimizer.global_clipnorm:
            squares = [jnp.sum(jnp.square(g)) if s is None else s.squares for g, s in pairs]
            norm, most = jnp.sqrt(sum(squares)), optimizer.global_clipnorm
            factor = most * jnp.minimum(1.0 / norm, 1.0 / most) + (norm - norm)
            return [g * factor.astype(g.dtype) for g in grads]
        most = optimizer.clipvalue
        return [jnp.clip(g, -most, most) if s is None else s.clipped for g, s in pairs]

    return clip


def _factor(most: float, sums: Sums) -> Any:
    """What rows are multiplied with so that their norm is at most `most`."""
    factor = most / jnp.maximum(jnp.sqrt(sums.squares), most)
    return factor.astype(sums.rows.dtype)


if keras.config.backend() == "jax":
    bend(backend.numpy, "take", _taking)
    bend(keras.optimizers.Optimizer, "_backend_apply_gradients", _applying)
    bend(keras.optimizers.Optimizer, "_clip_gradients", _clipping)
