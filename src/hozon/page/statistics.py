"""What a page tells of the values of each tensor, and the bins of its histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hozon.errors import HozonError
from hozon.stored.lazy import LazyTensor
from hozon.stored.parts import read_parts

BINS = 32
#: Values of one part that go into the histogram; all go into the rest.
SAMPLE = 1 << 16


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the finite values of a tensor.

    Attributes:
        least: the least value.
        most: the greatest.
        mean: their mean.
        deviation: their standard deviation.
        zeros: how many are zero.
        odd: how many are infinite or no number.
        bins: counts of equal bins from the least to the greatest, of a sample.
        problem: why there is none of it.
    """

    least: float = 0.0
    most: float = 0.0
    mean: float = 0.0
    deviation: float = 0.0
    zeros: int = 0
    odd: int = 0
    bins: tuple[int, ...] = ()
    problem: str = ""


def statistics_of(tensor: LazyTensor) -> Statistics:
    """Look at all values of a tensor, a few megabytes at a time."""
    if not tensor.dtype.fixed or not tensor.size or tensor.dtype.numpy.kind == "c":
        return Statistics(problem="no numbers")
    try:
        return _numbers(tensor)
    except HozonError as error:
        return Statistics(problem=str(error))


def _numbers(tensor: LazyTensor) -> Statistics:
    least, most, total, square = math.inf, -math.inf, 0.0, 0.0
    count = zeros = odd = 0
    samples: list[Any] = []
    for part in read_parts(tensor):
        values = part if part.dtype in (np.float32, np.float64) else part.astype("float64")
        finite = np.isfinite(values)
        if not finite.all():
            odd += int(values.size - np.count_nonzero(finite))
            values = values[finite]
        if values.size:
            least, most = min(least, float(values.min())), max(most, float(values.max()))
            total += float(values.sum(dtype="float64"))
            square += float(np.einsum("i,i->", values, values, dtype="float64"))
            count += values.size
            zeros += int(values.size - np.count_nonzero(values))
            samples.append(np.array(values[:: max(1, values.size // SAMPLE)], "float64"))
    if not count:
        return Statistics(odd=odd, problem="no finite number")
    mean = total / count
    deviation = math.sqrt(max(0.0, square / count - mean * mean))
    bins = _bins(np.concatenate(samples), least, most)
    return Statistics(least, most, mean, deviation, zeros, odd, bins)


def _bins(values: Any, least: float, most: float) -> tuple[int, ...]:
    if not math.isfinite(most - least):  # further apart than a number can say
        values, least, most = values / 4, least / 4, most / 4
    if most - least <= abs(most) * 1e-12:
        return (len(values),)
    return tuple(map(int, np.histogram(values, BINS, (least, most))[0]))
