"""Rules for conversions between dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from hozon.graphs.emit import steps
from hozon.graphs.emit.body import Body
from hozon.graphs.emit.elementwise import chosen, converted
from hozon.graphs.emit.rules import Equation, NoRule, Rules
from hozon.graphs.emit.values import Tensor

CONVERSIONS = Rules("conversions")


@CONVERSIONS.rule("convert_element_type")
def convert_element_type(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """`x` in another dtype; floating numbers become the nearest integers there are."""
    wanted: np.dtype[Any] = np.dtype(eqn.params["new_dtype"])
    known = body.value(body.narrow(x))
    if known is not None and known.size <= steps.SMALL and _is_plain(known, wanted):
        return steps.broadcast(body, body.constant(known.astype(wanted)), x.shape)
    if wanted.kind in "iu" and x.dtype.kind not in "iub":
        return _saturated(body, x, wanted)
    return converted(body, x, wanted)


def _is_plain(value: Any, dtype: np.dtype[Any]) -> bool:
    """Whether NumPy converts as XLA does."""
    if value.dtype.kind == "c":
        return dtype.kind == "c"
    if dtype.kind not in "iu" or value.dtype.kind in "iub":
        return True
    limits = np.iinfo(dtype)
    return bool(np.all((value > limits.min - 1) & (value < limits.max)))


def _saturated(body: Body, x: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """What is too large or too small becomes the last integer there is, NaN becomes zero.

    TensorFlow's Cast leaves these to the processor.
    """
    limits = np.iinfo(dtype)
    if x.dtype.itemsize < 4:
        x = converted(body, x, np.float32)
    if x.dtype.kind == "c":
        x = converted(body, x, np.float32 if x.dtype.itemsize == 8 else np.float64)
    number = steps.joined(body, "Equal", [x, x], np.bool_)
    x = chosen(body, number, x, steps.scalar(body, 0, x.dtype))
    lowest = steps.scalar(body, limits.min, x.dtype)
    x = steps.joined(body, "Maximum", [x, lowest], x.dtype)
    beyond = steps.scalar(body, float(limits.max) + 1, x.dtype)
    inside = steps.joined(body, "Less", [x, beyond], np.bool_)
    return chosen(body, inside, converted(body, x, dtype), steps.scalar(body, limits.max, dtype))


@CONVERSIONS.rule("bitcast_convert_type")
def bitcast_convert_type(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """The bits as another dtype; of another width, they are in the last dimension."""
    out = eqn.out_avals[0]
    if x.dtype == out.dtype:
        return x
    return steps.typed(body, "Bitcast", [x], out.dtype, out.shape, type=np.dtype(out.dtype))


#: Dtypes by their number of exponent and mantissa bits.
_PRECISIONS = {(8, 7): "bfloat16", (5, 10): "float16", (8, 23): "float32", (11, 52): "float64"}


@CONVERSIONS.rule("reduce_precision")
def reduce_precision(body: Body, eqn: Equation, x: Tensor) -> Tensor:
    """`x` rounded to what a smaller dtype can hold."""
    bits = (eqn.params["exponent_bits"], eqn.params["mantissa_bits"])
    if bits not in _PRECISIONS:
        raise NoRule(eqn.primitive)
    return converted(body, converted(body, x, _PRECISIONS[bits]), x.dtype)
