"""Unshared convolutions, which Keras 3 dropped.

Their three implementations store the same weights in three layouts, and a file says which:
1 has a patch matrix for each output position; 2 a dense matrix from all inputs to all outputs in
which most weights are not used; 3 the used entries of the transposed of that matrix, in order of
output and input position (tf_keras ``layers/locally_connected``).
"""

from __future__ import annotations

from math import prod
from typing import Any

import keras
import numpy as np

from hozon.errors import UnsupportedError
from hozon.typing import Config

register = keras.saving.register_keras_serializable(package="hozon")
OBJECTS = {
    "kernel_initializer": keras.initializers,
    "bias_initializer": keras.initializers,
    "kernel_regularizer": keras.regularizers,
    "bias_regularizer": keras.regularizers,
    "kernel_constraint": keras.constraints,
    "bias_constraint": keras.constraints,
}
DEFAULTS = {"kernel_initializer": "glorot_uniform", "bias_initializer": "zeros"}
#: Elements of a dense kernel, above which building it would only exhaust memory.
LARGEST = 1 << 30


def side_connections(size: int, kernel: int, stride: int, padding: str) -> Any:
    """Which inputs each output reads along one axis: bool (input, output)."""
    length = size if padding == "same" else size - kernel + 1
    outputs = max(0, (length + stride - 1) // stride)
    left = kernel // 2
    centre = np.arange(outputs) * stride + (left if padding == "valid" else 0)
    position = np.arange(size)[:, None]
    return (position >= centre - left) & (position < centre - left + kernel)


class LocallyConnected(keras.layers.Layer):  # type: ignore[misc]
    """A convolution over `rank` axes with a kernel of its own at each position."""

    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        implementation: int = 1,
        activity_regularizer: Any = None,
        **kwargs: Any,
    ) -> None:
        objects = {key: kwargs.pop(key, DEFAULTS.get(key)) for key in OBJECTS}
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters, self.padding, self.use_bias = int(filters), padding, use_bias
        self.kernel_size, self.strides = self._tuple(kernel_size), self._tuple(strides)
        self.data_format = data_format or "channels_last"
        self.activation = keras.activations.get(activation)
        self.implementation = int(implementation or 1)
        self.objects = {key: OBJECTS[key].get(value) for key, value in objects.items()}
        if self.implementation not in (1, 2, 3):
            raise UnsupportedError(f"{self.name!r} has implementation {implementation}, not 1 to 3")

    def _tuple(self, value: Any) -> tuple[int, ...]:
        return (value,) * self.rank if isinstance(value, int) else tuple(value)

    def build(self, input_shape: Any) -> None:
        """The kernel in the layout of the implementation, and a bias for each position."""
        first = self.data_format == "channels_first"
        self.spatial = tuple(input_shape[2:] if first else input_shape[1:-1])
        self.channels = int(input_shape[1] if first else input_shape[-1])
        if None in self.spatial:
            raise UnsupportedError(f"{self.name!r} needs inputs of known size")
        sides = [
            side_connections(*side, self.padding)
            for side in zip(self.spatial, self.kernel_size, self.strides, strict=True)
        ]
        self.connections = sides
        self.positions = tuple(side.shape[1] for side in sides)
        self.kernel = self._weight("kernel", self._kernel_shape())
        self.bias = self._weight("bias", (*self.positions, self.filters)) if self.use_bias else None
        self.built = True

    def _weight(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=self.objects[f"{name}_initializer"],
            regularizer=self.objects[f"{name}_regularizer"],
            constraint=self.objects[f"{name}_constraint"],
        )

    def _kernel_shape(self) -> tuple[int, ...]:
        if self.implementation == 1:
            return (prod(self.positions), prod(self.kernel_size) * self.channels, self.filters)
        if prod(self.spatial) * prod(self.positions) * self.channels * self.filters > LARGEST:
            raise UnsupportedError(f"{self.name!r} has a dense kernel too large to build")
        if self.implementation == 3:
            return (int(np.count_nonzero(self._mask())),)
        if self.data_format == "channels_first":
            return (self.channels, *self.spatial, self.filters, *self.positions)
        return (*self.spatial, self.channels, *self.positions, self.filters)

    def _mask(self) -> Any:
        """Which weights of the dense kernel are used, in the kernel's own axis order."""
        mask = np.ones((1,) * (2 * self.rank), bool)
        for axis, side in enumerate(self.connections):
            shape = [1] * (2 * self.rank)
            shape[axis], shape[axis + self.rank] = side.shape
            mask = mask & side.reshape(shape)
        at = 0 if self.data_format == "channels_first" else self.rank
        mask = np.expand_dims(mask, at)
        mask = np.expand_dims(mask, self.rank + 1 if at == 0 else 2 * self.rank + 1)
        full = list(mask.shape)
        full[at], full[self.rank + 1 if at == 0 else -1] = self.channels, self.filters
        if self.implementation == 2:
            return mask
        dense = np.broadcast_to(mask, full).reshape(self._sizes())
        return dense.T

    def _sizes(self) -> tuple[int, int]:
        return prod(self.spatial) * self.channels, prod(self.positions) * self.filters

    def call(self, inputs: Any) -> Any:
        """(batch, *positions, filters), or filters first."""
        outputs = self._patches(inputs) if self.implementation == 1 else self._dense(inputs)
        if self.bias is not None:
            outputs = outputs + self._placed(self.bias)
        return self.activation(outputs)

    def _placed(self, bias: Any) -> Any:
        """The bias beside the outputs. Keras 2 reshapes it for channels first: no transposition."""
        if self.data_format == "channels_last":
            return bias
        return keras.ops.reshape(bias, (self.filters, *self.positions))

    def _patches(self, inputs: Any) -> Any:
        """Implementation 1: a patch for each position times that position's matrix."""
        ops = keras.ops
        first = self.data_format == "channels_first"
        lead = 2 if first else 1
        values = inputs
        for axis, (size, kernel, stride) in enumerate(
            zip(self.positions, self.kernel_size, self.strides, strict=True)
        ):
            reads = np.arange(size)[:, None] * stride + np.arange(kernel)
            at = lead + 2 * axis
            values = ops.take(values, reads.reshape(-1), axis=at)
            values = ops.reshape(
                values, (-1, *values.shape[1:at], size, kernel, *values.shape[at + 1 :])
            )
        positions = [lead + 2 * axis for axis in range(self.rank)]
        kernels = [p + 1 for p in positions]
        channel = [1] if first else [lead + 2 * self.rank]
        features = [*channel, *kernels] if first else [*kernels, *channel]
        values = ops.transpose(values, (0, *positions, *features))
        values = ops.reshape(values, (-1, prod(self.positions), self.kernel.shape[1]))
        outputs = ops.einsum("bpf,pfo->bpo", values, self.kernel)
        outputs = ops.reshape(outputs, (-1, *self.positions, self.filters))
        return ops.moveaxis(outputs, -1, 1) if first else outputs

    def _dense(self, inputs: Any) -> Any:
        """Implementations 2 and 3: one matrix product."""
        ops = keras.ops
        rows, columns = self._sizes()
        if self.implementation == 2:
            kernel = ops.reshape(self.kernel * self._mask().astype("float32"), (rows, columns))
        else:
            at = np.argwhere(self._mask())
            kernel = ops.scatter(at[:, ::-1].copy(), self.kernel, (rows, columns))
        outputs = ops.matmul(ops.reshape(inputs, (-1, rows)), kernel)
        shape = self.compute_output_shape((None, *inputs.shape[1:]))
        return ops.reshape(outputs, (-1, *shape[1:]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Batch, positions and filters in the order of the data format."""
        first = self.data_format == "channels_first"
        spatial = input_shape[2:] if first else input_shape[1:-1]
        positions = [
            side_connections(*side, self.padding).shape[1]
            for side in zip(spatial, self.kernel_size, self.strides, strict=True)
        ]
        return (
            (input_shape[0], self.filters, *positions)
            if first
            else (input_shape[0], *positions, self.filters)
        )

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "implementation": self.implementation,
            **{key: OBJECTS[key].serialize(value) for key, value in self.objects.items()},
        }


@register
class LocallyConnected1D(LocallyConnected):
    """Keras 2's LocallyConnected1D."""

    rank = 1


@register
class LocallyConnected2D(LocallyConnected):
    """Keras 2's LocallyConnected2D."""

    rank = 2
