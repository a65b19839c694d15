"""Loops whose trips are only counted while they run, with gradients.

XLA keeps nothing of the trips of such a loop, so JAX differentiates it forwards alone. Going
backwards the states are computed again: from one that was kept, of which there are a fixed number
at equal distances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp

from hozon.graphs.values import Value

Arrays = list[Any]

#: States that are kept on the way; a loop of n trips takes n * n / 2 / KEPT trips to go back.
KEPT = 64


def until(
    more: Callable[[Arrays], Value], trip: Callable[[Arrays], Sequence[Value]], state: Arrays
) -> Arrays:
    """`state` after as many trips as there are before `more` of it is false."""
    test, body = (
        _closed(lambda *s: [more(list(s))], state),
        _closed(lambda *s: trip(list(s)), state),
    )

    def run(given: tuple[Arrays, Arrays], start: Arrays) -> tuple[Any, Arrays]:
        def goes_on(carry: tuple[Any, Arrays]) -> Any:
            return _run(test, given[0], carry[1])[0]

        def advance(carry: tuple[Any, Arrays]) -> tuple[Any, Arrays]:
            return carry[0] + 1, _run(body, given[1], carry[1])

        return jax.lax.while_loop(goes_on, advance, (jnp.int32(0), start))

    def forward(given: tuple[Arrays, Arrays], start: Arrays) -> tuple[Arrays, Any]:
        count, final = run(given, start)
        return final, (given[1], start, count)

    def backward(kept: Any, cotangents: Arrays) -> tuple[Any, Arrays]:
        constants, start, count = kept
        with jax.enable_x64(True):  # JAX may differentiate when the call has ended
            of_constants, of_start = _back(body, constants, start, count, cotangents)
        return ([None] * len(test.consts), of_constants), of_start

    loop = jax.custom_vjp(lambda given, start: run(given, start)[1])
    loop.defvjp(forward, backward)
    result: Arrays = loop((_arrays(test.consts), _arrays(body.consts)), state)
    return result


def _closed(function: Callable[..., Sequence[Value]], state: Arrays) -> Any:
    """A traced function, with all that it takes from outside as constants of its own."""
    return jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(s.shape, s.dtype) for s in state))


def _run(closed: Any, constants: Arrays, state: Arrays) -> Arrays:
    given = jax.extend.core.ClosedJaxpr(closed.jaxpr, constants)
    return list(jax.extend.core.jaxpr_as_fun(given)(*state))


def _arrays(values: Sequence[Any]) -> Arrays:
    return [jnp.asarray(value) for value in values]


def _back(body: Any, constants: Arrays, start: Arrays, count: Any, cotangents: Arrays) -> Any:
    """Cotangents of the constants and of the first state; None for integers."""
    stride = (count + KEPT - 1) // KEPT
    states = _states(body, constants, start, count, stride)

    def state_before(number: Any) -> Arrays:
        slot = number // stride
        first = [s[slot] for s in states]
        advance = lambda _, state: _run(body, constants, state)
        return list(jax.lax.fori_loop(slot * stride, number, advance, first))

    def back(carry: tuple[Any, Arrays, Arrays]) -> tuple[Any, Arrays, Arrays]:
        number, of_constants, of_state = carry
        state = state_before(number)

        def floats(inner: Arrays, given: Arrays) -> Arrays:
            return _floats(_run(body, _filled(constants, inner), _filled(state, given)))

        _, pull = jax.vjp(floats, _floats(constants), _floats(state))
        added, following = pull(of_state)
        return number - 1, [a + b for a, b in zip(of_constants, added, strict=True)], following

    zeros = [jnp.zeros_like(value) for value in _floats(constants)]
    wanted = [c for c, s in zip(cotangents, start, strict=True) if _is_float(s)]
    first = (count - 1, zeros, wanted)
    _, of_constants, of_start = jax.lax.while_loop(lambda carry: carry[0] >= 0, back, first)
    return _spread(constants, of_constants), _spread(start, of_start)


def _states(body: Any, constants: Arrays, start: Arrays, count: Any, stride: Any) -> Arrays:
    """The states before each trip whose number is a multiple of `stride`, one above the other."""

    def keep(number: Any, carry: tuple[Arrays, Arrays]) -> tuple[Arrays, Arrays]:
        state, rooms = carry
        slot = number // stride
        first = number % stride == 0
        kept = [
            r.at[slot].set(jnp.where(first, s, r[slot])) for r, s in zip(rooms, state, strict=True)
        ]
        return _run(body, constants, state), kept

    rooms = [jnp.zeros((KEPT, *s.shape), s.dtype) for s in start]
    states: Arrays = jax.lax.fori_loop(0, count, keep, (start, rooms))[1]
    return states


def _is_float(value: Any) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.inexact))


def _floats(values: Sequence[Any]) -> Arrays:
    return [value for value in values if _is_float(value)]


def _filled(values: Sequence[Any], floats: Sequence[Any]) -> Arrays:
    """`values`, with others in place of the floats."""
    given = iter(floats)
    return [next(given) if _is_float(value) else value for value in values]


def _spread(values: Sequence[Any], cotangents: Sequence[Any]) -> Arrays:
    given = iter(cotangents)
    return [next(given) if _is_float(value) else None for value in values]
