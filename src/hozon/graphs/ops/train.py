"""Optimizer steps: ResourceApply*, Apply* and their sparse forms."""

from __future__ import annotations

from hozon.graphs.table import OpTable

TRAIN = OpTable("train")
