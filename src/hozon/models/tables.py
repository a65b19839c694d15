"""Vocabularies of lookup layers, from the tables that a SavedModel keeps them in."""

from __future__ import annotations

from typing import Any

from hozon.models.objects import KerasNode, KerasObjects


def restore_vocabularies(objects: KerasObjects, node: KerasNode, layer: Any) -> bool:
    """Give a lookup layer its vocabulary; False when the layer has none to give."""
    return False
