"""Whether two saved models predict the same, on inputs made up for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hozon.api import load_model
from hozon.errors import MismatchError, UnsupportedError
from hozon.keras_private.graph import functional_of, input_structure
from hozon.reports import Report

__all__ = ["PredictionReport", "compare_predictions"]

#: How many samples, and the size given to each free axis.
SAMPLES, FREE = 4, 8
#: Of the largest value: what other orders of the same sums may differ by.
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, repr=False)
class PredictionReport(Report):
    """How far the predictions of two models are from each other.

    Attributes:
        same: whether all outputs agree to within the tolerance.
        samples: how many made up samples were predicted.
        outputs: the largest difference of each output, by its number.
        scale: the largest value of any output.
    """

    kind: ClassVar[str] = "predictions"

    same: bool
    samples: int
    outputs: tuple[float, ...]
    scale: float

    def __str__(self) -> str:
        worst = max(self.outputs, default=0.0)
        told = "the same" if not worst else f"within {worst:.3g} of values up to {self.scale:.3g}"
        state = "check: both predict " if self.same else "check FAILED: both differ, they predict "
        return f"{state}{told} on {self.samples} generated samples"


def compare_predictions(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    custom_objects: Mapping[str, Any] | None = None,
) -> PredictionReport:
    """Let two saved models predict on the same made up inputs.

    Args:
        a: a saved model, which says what inputs it takes.
        b: another.
        custom_objects: classes and functions of both by name.

    Raises:
        UnsupportedError: one holds no model, or takes inputs that cannot be made up.
        MismatchError: they have another number of outputs, or of other shapes.
    """
    first, second = (load_model(p, custom_objects=custom_objects, compile=False) for p in (a, b))
    inputs = _inputs(first, str(a))
    found, other = _outputs(first, inputs), _outputs(second, inputs)
    if [x.shape for x in found] != [x.shape for x in other]:
        raise MismatchError(
            "the two models predict values of other shapes",
            mismatches=[f"{a}: {[x.shape for x in found]}", f"{b}: {[x.shape for x in other]}"],
        )
    pairs = list(zip(found, other, strict=True))
    scale = max((float(np.max(np.abs(x), initial=0.0)) for x in found), default=0.0)
    differences = tuple(_difference(x, y) for x, y in pairs)
    same = all(difference <= TOLERANCE * max(scale, 1e-6) for difference in differences)
    return PredictionReport(same, SAMPLES, differences, scale)


def _inputs(model: Any, path: str) -> Any:
    """Values for all inputs of a model, in its structure."""
    import keras

    functional = functional_of(model)
    if functional is None:
        raise UnsupportedError(
            f"{path} does not say what inputs it takes, so none can be made up",
            feature="checking a model without declared inputs",
            file=path,
        )
    random = np.random.default_rng(0)
    return keras.tree.map_structure(
        lambda x: _made_up(x, random, path), input_structure(functional)
    )


def _made_up(declared: Any, random: np.random.Generator, path: str) -> Any:
    shape = (SAMPLES, *(FREE if size is None else size for size in declared.shape[1:]))
    kind = str(declared.dtype)
    if "float" in kind:
        return random.normal(size=shape).astype("float32").astype(kind)
    if "int" in kind or kind == "bool":
        return random.integers(0, 2, shape).astype(kind)
    raise UnsupportedError(
        f"{path} takes {kind} values, which cannot be made up",
        feature=f"checking a model of {kind} inputs",
        file=path,
    )


def _outputs(model: Any, inputs: Any) -> list[Any]:
    import keras

    found = keras.tree.flatten(model(inputs, training=False))
    return [np.asarray(keras.ops.convert_to_numpy(x), "float64") for x in found]


def _difference(x: Any, y: Any) -> float:
    """The largest difference; infinite where one is no number and the other is."""
    if not x.size or np.array_equal(x, y, equal_nan=True):
        return 0.0
    gap = np.abs(x - y)
    return float("inf") if np.isnan(gap).any() else float(gap.max())
