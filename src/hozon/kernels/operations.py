"""Convolution and its two gradients as operations of JAX.

Each is linear in both of its operands, and what carries a gradient back through one is another one
of the three. So each has a form of its own on a CPU, also where JAX differentiates, forward or
backward and as often as wanted. The form is chosen when a program is lowered; accelerators get
XLA's own convolution and its derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import jax
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from hozon.kernels import on_cpu
from hozon.kernels.windows import DataFormat, Window, channels_last, from_channels_last

Form = Callable[..., Array]


@dataclass(frozen=True)
class Geometry:
    """What a convolution is, besides its operands.

    Attributes:
        window: over the spatial axes.
        inputs: the sizes of the input without its batch, in the order of `data_format`.
        kernel: the shape of the kernel, ``(*spatial, in_channels // groups, out_channels)``.
        data_format: where the channels of inputs and outputs are.
    """

    window: Window
    inputs: tuple[int, ...]
    kernel: tuple[int, ...]
    data_format: DataFormat

    @property
    def first(self) -> bool:
        """Whether channels come before the spatial axes."""
        return self.data_format == "channels_first"

    @property
    def spatial(self) -> tuple[int, ...]:
        """The input's spatial sizes."""
        return self.inputs[1:] if self.first else self.inputs[:-1]

    @property
    def groups(self) -> int:
        """In how many groups of channels the convolution falls."""
        channels = self.inputs[0] if self.first else self.inputs[-1]
        return channels // self.kernel[-2]

    @property
    def outputs(self) -> tuple[int, ...]:
        """The sizes of the output without its batch."""
        spatial = self.window.output_shape(self.spatial)
        return (self.kernel[-1], *spatial) if self.first else (*spatial, self.kernel[-1])


def native(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """XLA's own convolution."""
    window = geometry.window
    return lax.conv_general_dilated(
        x,
        kernel,
        window.strides,
        window.pads,
        rhs_dilation=window.dilations,
        dimension_numbers=_dimension_numbers(x.ndim, geometry.first),
        feature_group_count=geometry.groups,
    )


def _dimension_numbers(ndim: int, first: bool) -> lax.ConvDimensionNumbers:
    data = tuple(range(ndim)) if first else (0, ndim - 1, *range(1, ndim - 1))
    return lax.ConvDimensionNumbers(data, (ndim - 1, ndim - 2, *range(ndim - 2)), data)


def _native_input(g: Array, kernel: Array, geometry: Geometry) -> Array:
    like = jax.ShapeDtypeStruct((g.shape[0], *geometry.inputs), g.dtype)
    (result,) = jax.linear_transpose(lambda x: native(x, kernel, geometry), like)(g)
    return result


def _native_kernel(x: Array, g: Array, geometry: Geometry) -> Array:
    like = jax.ShapeDtypeStruct(geometry.kernel, g.dtype)
    (result,) = jax.linear_transpose(lambda kernel: native(x, kernel, geometry), like)(g)
    return result


def _cpu(x: Array, kernel: Array, geometry: Geometry) -> Array:
    x = channels_last(x, geometry.data_format)
    result = on_cpu.convolution(x, kernel, geometry.window, geometry.groups)
    return from_channels_last(result, geometry.data_format)


def _cpu_input(g: Array, kernel: Array, geometry: Geometry) -> Array:
    g = channels_last(g, geometry.data_format)
    result = on_cpu.input_gradient(g, kernel, geometry.window, geometry.groups, geometry.spatial)
    return from_channels_last(result, geometry.data_format)


def _cpu_kernel(x: Array, g: Array, geometry: Geometry) -> Array:
    x, g = (channels_last(a, geometry.data_format) for a in (x, g))
    return on_cpu.kernel_gradient(x, g, geometry.window, geometry.groups)


def _operation(
    name: str, default: Form, cpu: Form, shape: Callable[[Any, Geometry], tuple[Any, ...]]
) -> Primitive:
    primitive = Primitive(f"hozon_{name}")

    @cache
    def compiled(geometry: Geometry) -> Form:
        return jax.jit(lambda a, b: primitive.bind(a, b, geometry=geometry))

    def run(a: Array, b: Array, *, geometry: Geometry) -> Array:
        return compiled(geometry)(a, b)

    def abstract(a: Any, _: Any, *, geometry: Geometry) -> Any:
        return a.update(shape=shape(a, geometry), weak_type=False)

    primitive.def_impl(run)
    primitive.def_abstract_eval(abstract)
    for form, platform in ((default, None), (cpu, "cpu")):
        rule = mlir.lower_fun(_keyword(form), multiple_results=False)
        mlir.register_lowering(primitive, rule, platform=platform)
    return primitive


def _keyword(form: Form) -> Form:
    return lambda a, b, *, geometry: form(a, b, geometry)


CONVOLUTION = _operation(
    "convolution", native, _cpu, lambda x, geometry: (x.shape[0], *geometry.outputs)
)
INPUT_GRADIENT = _operation(
    "convolution_input_gradient",
    _native_input,
    _cpu_input,
    lambda g, geometry: (g.shape[0], *geometry.inputs),
)
KERNEL_GRADIENT = _operation(
    "convolution_kernel_gradient", _native_kernel, _cpu_kernel, lambda _, geometry: geometry.kernel
)

#: XLA's own form of each operation, which TensorFlow's ops stand for.
NATIVE: dict[str, Form] = {
    CONVOLUTION.name: native,
    INPUT_GRADIENT.name: _native_input,
    KERNEL_GRADIENT.name: _native_kernel,
}
_CPU: dict[str, Form] = {
    CONVOLUTION.name: _cpu,
    INPUT_GRADIENT.name: _cpu_input,
    KERNEL_GRADIENT.name: _cpu_kernel,
}


def _differentiate() -> None:
    def to(primitive: Primitive, *order: str) -> Form:
        def rule(cotangent: Any, a: Any, b: Any, *, geometry: Geometry) -> Any:
            given = {"cotangent": cotangent, "a": a, "b": b}
            return primitive.bind(*(given[name] for name in order), geometry=geometry)

        return rule

    ad.defbilinear(
        CONVOLUTION,
        to(INPUT_GRADIENT, "cotangent", "b"),
        to(KERNEL_GRADIENT, "a", "cotangent"),
    )
    ad.defbilinear(
        INPUT_GRADIENT,
        to(CONVOLUTION, "cotangent", "b"),
        to(KERNEL_GRADIENT, "cotangent", "a"),
    )
    ad.defbilinear(
        KERNEL_GRADIENT,
        to(INPUT_GRADIENT, "b", "cotangent"),
        to(CONVOLUTION, "a", "cotangent"),
    )


def _mapped(
    primitive: Primitive, operands: Sequence[Any], axes: Sequence[Any], *, geometry: Geometry
) -> tuple[Array, int]:
    """An operation under `jax.vmap`: a larger batch if the kernel is one, else each by itself."""
    (a, b), (a_axis, b_axis) = operands, axes
    if primitive is not KERNEL_GRADIENT and b_axis is None:
        a = jax.numpy.moveaxis(a, a_axis, 0)
        merged = primitive.bind(a.reshape(-1, *a.shape[2:]), b, geometry=geometry)
        return merged.reshape(*a.shape[:2], *merged.shape[1:]), 0

    def one(a: Array, b: Array) -> Array:
        return lax.platform_dependent(
            a,
            b,
            cpu=lambda a, b: _CPU[primitive.name](a, b, geometry),
            default=lambda a, b: NATIVE[primitive.name](a, b, geometry),
        )

    return jax.vmap(one, tuple(axes))(a, b), 0


_differentiate()
for _primitive in (CONVOLUTION, INPUT_GRADIENT, KERNEL_GRADIENT):
    batching.primitive_batchers[_primitive] = partial(_mapped, _primitive)
