"""How large a layer would make a weight or an output, told from its config before it is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

Config = Mapping[str, Any]
Shape = Sequence[Any]
#: Elements of the largest weight, of the layer's config and its input's shape.
Estimate = Callable[[Config, Shape], int]
#: Keys of sizes along axes; their product is the least that an output holds.
OUTPUTS = frozenset({"size", "target_shape", "batch_shape", "batch_input_shape"})
#: Keys of sizes one by one; a product of them means nothing.
SIDES = (
    frozenset(
        {
            "padding",
            "cropping",
            "kernel_size",
            "pool_size",
            "strides",
            "dilation_rate",
            "height",
            "width",
            "output_shape",
            "dims",
        }
    )
    | OUTPUTS
)


def number(value: Any) -> int:
    """A positive size; 1 for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 1
    return int(value) if 1 < value < float("inf") else 1 if value <= 1 else 1 << 63


def numbers(value: Any) -> list[int]:
    """All sizes in a value, at any depth."""
    if isinstance(value, Mapping):
        value = value.get("config", value.get("items"))
    if isinstance(value, (list, tuple)):
        return [size for item in value for size in numbers(item)]
    return [] if isinstance(value, (str, Mapping)) or value is None else [number(value)]


def _channels(config: Config, shape: Shape) -> int:
    """Channels of an input of a known shape, 1 else."""
    if len(shape) < 2:
        return 1
    return number(shape[1 if config.get("data_format") == "channels_first" else -1])


def _last(shape: Shape) -> int:
    return number(shape[-1]) if shape else 1


def _dense(config: Config, shape: Shape) -> int:
    return _last(shape) * number(config.get("units"))


def _embedding(config: Config, shape: Shape) -> int:
    return number(config.get("input_dim")) * number(config.get("output_dim"))


def _kernel(config: Config, shape: Shape) -> int:
    filters = number(config.get("filters")) * number(config.get("depth_multiplier"))
    return (
        filters
        * prod(numbers(config.get("kernel_size")))
        * (_channels(config, shape) // number(config.get("groups")) or 1)
    )


def _unshared(config: Config, shape: Shape) -> int:
    places = prod(number(side) for side in shape[1:-1]) // prod(numbers(config.get("strides")))
    return _kernel(config, shape) * max(1, places)


def _recurrent(gates: int) -> Estimate:
    def estimate(config: Config, shape: Shape) -> int:
        units = number(config.get("units"))
        return gates * units * max(units, _last(shape))

    return estimate


def _attention(config: Config, shape: Shape) -> int:
    widest = max(number(config.get("key_dim")), number(config.get("value_dim")))
    return _last(shape) * number(config.get("num_heads")) * widest


def _einsum(config: Config, shape: Shape) -> int:
    return prod(numbers(config.get("output_shape")))


WEIGHTS: Mapping[str, Estimate] = {
    "Dense": _dense,
    "Embedding": _embedding,
    "EinsumDense": _einsum,
    "ReversibleEmbedding": _embedding,
    **dict.fromkeys(
        (
            f"{kind}Conv{rank}D{turned}"
            for kind in ("", "Separable", "Depthwise")
            for rank in (1, 2, 3)
            for turned in ("", "Transpose")
        ),
        _kernel,
    ),
    "LocallyConnected1D": _unshared,
    "LocallyConnected2D": _unshared,
    **{
        name: _recurrent(gates)
        for kind, gates in (("SimpleRNN", 1), ("GRU", 3), ("LSTM", 4))
        for name in (kind, f"{kind}Cell", f"CuDNN{kind}")
    },
    "MultiHeadAttention": _attention,
    "GroupQueryAttention": _attention,
}


def weight_elements(class_name: str, config: Config, shape: Shape = ()) -> int:
    """The least number of elements of a layer's largest weight; 1 where nothing is known.

    `shape` is the input's, with None for unknown sizes; () where it is not known at all.
    """
    estimate = WEIGHTS.get(class_name)
    return 1 if estimate is None else estimate(config, shape)


def output_elements(config: Config) -> int:
    """The least number of elements of one of a layer's outputs, as its config says."""
    return max((prod(numbers(config[key])) for key in OUTPUTS & config.keys()), default=1)


def largest_side(config: Config) -> tuple[str, int]:
    """The key with the largest single size, and that size."""
    return max(
        ((key, max(numbers(config[key]), default=1)) for key in SIDES & config.keys()),
        key=lambda item: item[1],
        default=("", 1),
    )
