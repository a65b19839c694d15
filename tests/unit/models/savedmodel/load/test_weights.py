"""Stored variables find live ones by what the file says, or are told as not fitting."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import keras
import numpy as np

from hozon.models.report import LoadReport
from hozon.models.savedmodel.load.objects import KerasObjects
from hozon.models.savedmodel.load.weights import Assigner


class _Layer(keras.layers.Layer):  # type: ignore[misc]
    def build(self, shape: Any) -> None:
        self.left = self.add_weight(name="left", shape=(3,), initializer="ones")
        self.right = self.add_weight(name="right", shape=(3,), initializer="zeros")


def _objects(*names: str) -> KerasObjects:
    """A saved layer that lists variables of one shape by their names, without edges to them."""
    saved = {
        i: SimpleNamespace(name=f"layer/{name}:0", shape=SimpleNamespace(dims=(3,)))
        for i, name in enumerate(names, 1)
    }
    artifact = SimpleNamespace(path="file", variable_value=lambda node, saved: None)
    found = SimpleNamespace(
        weights=lambda node: list(saved),
        variable=saved.get,
        artifact=artifact,
        children=lambda n: {},
    )
    return cast("KerasObjects", found)


def _assigned(*names: str) -> tuple[_Layer, Assigner]:
    layer = _Layer()
    layer.build(None)
    assigner = Assigner(_objects(*names), LoadReport())
    assigner.assign_layer(0, layer, "root.layer")
    return layer, assigner


def test_names_pair_what_no_edge_leads_to() -> None:
    layer, assigner = _assigned("right", "left")
    assert assigner.variables[1] is layer.right
    assert assigner.variables[2] is layer.left


def test_variables_of_one_shape_are_not_paired_by_their_place() -> None:
    layer, assigner = _assigned("first", "second")
    assert not assigner.variables
    assert assigner.report.mismatched == ["root.layer: 2 stored variables, 2 in the layer"]
    assert assigner.report.unexpected == ["root.layer/layer/first", "root.layer/layer/second"]
    assert len(assigner.report.missing) == 2
    np.testing.assert_array_equal(layer.left, 1)
