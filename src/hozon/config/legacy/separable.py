"""A separable convolution that looks back only, which Keras 3 has for plain ones alone."""

from __future__ import annotations

from typing import Any

import keras

from hozon.config.legacy.simple import register
from hozon.typing import Config


@register
class SeparableConv1D(keras.layers.SeparableConv1D):  # type: ignore[misc]
    """``padding="causal"``: output ``t`` sees inputs up to ``t``, zeros before the first."""

    def __init__(self, *args: Any, padding: str = "causal", **kwargs: Any) -> None:
        super().__init__(*args, padding="valid", **kwargs)
        self.padding_before = padding

    def call(self, inputs: Any) -> Any:
        """(batch, steps, channels) to (batch, steps / strides, filters); as `data_format` says."""
        before = [[0, 0], [0, 0], [0, 0]]
        before[self._steps()] = [self._missing(), 0]
        return super().call(keras.ops.pad(inputs, before))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape for inputs with what is before them."""
        shape = list(input_shape)
        if shape[self._steps()] is not None:
            shape[self._steps()] += self._missing()
        return super().compute_output_shape(tuple(shape))

    def _steps(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def _missing(self) -> int:
        return int(self.dilation_rate[0] * (self.kernel_size[0] - 1))

    def get_config(self) -> Config:
        """Constructor arguments."""
        return {**super().get_config(), "padding": self.padding_before}
