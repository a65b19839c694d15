"""Special functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax.scipy import special as jsp

from hozon.graphs.table import Kernel, OpTable
from hozon.graphs.values import Value

SPECIAL = OpTable("special")


def _fresnel(part: int) -> Kernel:
    """Part 0 is the sine integral, part 1 the cosine integral."""
    return lambda x: jsp.fresnel(x)[part]


def _arrays(function: Callable[..., Any]) -> Kernel:
    """`function`, applied to JAX arrays of one shape."""
    return lambda *values: function(*jnp.broadcast_arrays(*map(jnp.asarray, values)))


@jax.custom_jvp
def _spence(x: Value) -> Value:
    return jsp.spence(x)


@_spence.defjvp
def _spence_jvp(primals: tuple[Value], tangents: tuple[Value]) -> tuple[Value, Value]:
    (x,), (dx,) = primals, tangents
    one = x == 1
    slope = jnp.log(x) / jnp.where(one, 1, 1 - x)
    return jsp.spence(x), jnp.where(one, -1, slope) * dx


@jax.custom_jvp
def _dawsn(x: Value) -> Value:
    """Dawson's integral, which JAX has since 0.10.2."""
    if hasattr(jsp, "dawsn"):
        return jsp.dawsn(x)
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    host = lambda value: np.asarray(scipy.special.dawsn(value), x.dtype)
    return jax.pure_callback(host, shape, x, vmap_method="expand_dims")


@_dawsn.defjvp
def _dawsn_jvp(primals: tuple[Value], tangents: tuple[Value]) -> tuple[Value, Value]:
    (x,), (dx,) = primals, tangents
    value = _dawsn(x)
    return value, (1 - 2 * x * value) * dx


def _betainc(a: Value, b: Value, x: Value) -> Value:
    """TensorFlow's gradient too is to `x` alone."""
    return jsp.betainc(jax.lax.stop_gradient(a), jax.lax.stop_gradient(b), x)


def _zeta(x: Value, q: Value) -> Value:
    """TensorFlow's gradient too is to `q` alone."""
    return jsp.zeta(jax.lax.stop_gradient(x), q)


def _short(function: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """A function of JAX's that picks by an index: one of 64 bits only where `x` is of so many.

    A caller's own `jax.jit` lowers the index in the width that it has outside of a graph.
    """

    def call(x: Value) -> Value:
        with jax.enable_x64(x.dtype.itemsize == 8):
            return function(x)

    return call


SPECIAL.kernels(
    {
        "Erf": _arrays(jsp.erf),
        "Erfc": _arrays(jsp.erfc),
        "Erfinv": _arrays(jsp.erfinv),
        "Ndtri": _arrays(jsp.ndtri),
        "Lgamma": _arrays(jsp.gammaln),
        "Digamma": _arrays(jsp.digamma),
        "Zeta": _arrays(_zeta),
        "Igamma": _arrays(jsp.gammainc),
        "Igammac": _arrays(jsp.gammaincc),
        "IgammaGradA": _arrays(jax.lax.igamma_grad_a),
        "Betainc": _arrays(_betainc),
        "BesselI0": _arrays(jsp.i0),
        "BesselI0e": _arrays(jsp.i0e),
        "BesselI1": _arrays(jsp.i1),
        "BesselI1e": _arrays(jsp.i1e),
        "Dawsn": _arrays(_dawsn),
        "Expint": _arrays(_short(jsp.expi)),
        "FresnelSin": _arrays(_fresnel(0)),
        "FresnelCos": _arrays(_fresnel(1)),
        "Spence": _arrays(_short(_spence)),
    }
)


@SPECIAL.kernel("Polygamma")
def polygamma(order: Value, x: Value) -> Value:
    """Derivative number `order` of digamma; NaN for an order that is no natural number."""
    order, x = jnp.broadcast_arrays(jnp.asarray(order), jnp.asarray(x))
    natural = (order >= 0) & (order == jnp.floor(order))
    n = jnp.where(natural & (order > 0), order, 1)
    sign = jnp.where(n % 2 == 1, 1, -1).astype(x.dtype)
    derivative = sign * jnp.exp(jsp.gammaln(n + 1)) * jsp.zeta(n + 1, x)
    value = jnp.where(order == 0, jsp.digamma(x), derivative)
    return jnp.where(natural, value, jnp.nan)


def _on_host(name: str, derivative: Kernel) -> Kernel:
    """A function of ``scipy.special`` that XLA lacks, called back from compiled programs."""

    def compute(x: Any) -> Any:
        # SciPy loads a part of itself when that is first asked for.
        function = getattr(scipy.special, name)
        x = np.asarray(x)
        return np.asarray(function(x.astype(np.float64)), x.dtype)

    @jax.custom_jvp
    def kernel(x: Value) -> Value:
        x = jnp.asarray(x)
        return jax.pure_callback(compute, jnp.empty_like(x), x, vmap_method="expand_dims")

    @kernel.defjvp
    def _(primals: tuple[Value], tangents: tuple[Value]) -> tuple[Value, Value]:
        (x,), (dx,) = primals, tangents
        y = kernel(x)
        return y, derivative(x, y) * dx

    return lambda x: kernel(x)


def _bessel(name: str) -> Kernel:
    function, slope = BESSEL[name]
    return _on_host(function, slope)


#: Bessel functions by their names in SciPy, with their derivatives, given x and the function's
#: own value y.
BESSEL: dict[str, tuple[str, Kernel]] = {
    "BesselJ0": ("j0", lambda x, y: -_bessel("BesselJ1")(x)),
    "BesselJ1": ("j1", lambda x, y: _bessel("BesselJ0")(x) - y / x),
    "BesselY0": ("y0", lambda x, y: -_bessel("BesselY1")(x)),
    "BesselY1": ("y1", lambda x, y: _bessel("BesselY0")(x) - y / x),
    "BesselK0": ("k0", lambda x, y: -_bessel("BesselK1")(x)),
    "BesselK0e": ("k0e", lambda x, y: y - _bessel("BesselK1e")(x)),
    "BesselK1": ("k1", lambda x, y: -_bessel("BesselK0")(x) - y / x),
    "BesselK1e": ("k1e", lambda x, y: y - _bessel("BesselK0e")(x) - y / x),
}
SPECIAL.kernels({name: _bessel(name) for name in BESSEL})
