"""What Hozon writes, opened by TensorFlow and tf_keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.across.written import zoo
from tests.across.written.conftest import Written

#: Half precision rounds at other places in TensorFlow.
TOLERANCE = {"mixed_precision": 5e-3}
NAMES = list(zoo.MAKERS)


def flat(value: Any) -> list[np.ndarray]:
    return [np.asarray(v) for v in keras.tree.flatten(value)]


def same(found: Any, expected: Any, name: str) -> None:
    assert len(found) == len(expected)
    tolerance = TOLERANCE.get(name, 2e-5)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def answers(written: dict[str, Written], name: str) -> Any:
    found = written[name].answers
    assert not isinstance(found, str), found
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_loaded_call_gives_the_same(written: dict[str, Written], name: str) -> None:
    loaded, outputs = answers(written, name)["loaded"], flat(written[name].outputs)
    same(loaded["call"], outputs, name)
    same(loaded["half"], [v[:2] for v in outputs], name)


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_gives_the_same(written: dict[str, Written], name: str) -> None:
    found, outputs = answers(written, name)["loaded"]["signature"], written[name].outputs
    if isinstance(outputs, dict):
        assert found.keys() == outputs.keys()
        same([found[k] for k in outputs], list(outputs.values()), name)
    else:
        by_size = sorted(flat(outputs), key=lambda v: (v.shape, v.sum()))
        same(sorted(found.values(), key=lambda v: (v.shape, v.sum())), by_size, name)


@pytest.mark.parametrize("name", NAMES)
def test_tensorflow_can_differentiate(written: dict[str, Written], name: str) -> None:
    gradients = answers(written, name)["loaded"]["gradients"]
    model = written[name].case.model
    assert len(gradients) == len(model.trainable_weights)
    reached = [g for g in gradients if np.isfinite(g)]
    assert reached or not gradients
    assert len(reached) >= len(gradients) // 2


@pytest.mark.parametrize("name", NAMES)
def test_tf_keras_revives_it(written: dict[str, Written], name: str) -> None:
    revived, case = answers(written, name)["revived"], written[name].case
    same(revived["predict"], flat(written[name].outputs), name)
    if case.y is None:
        return
    assert revived["optimizer"].lower() == type(case.model.optimizer).__name__.lower()
    assert revived["moved"]
    if not case.evaluates:
        return
    evaluated = case.model.evaluate(case.x, case.y, verbose=0)
    np.testing.assert_allclose(revived["evaluate"], evaluated, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_all_ops_are_native(written: dict[str, Written], name: str) -> None:
    assert written[name].report.fallbacks == {}
