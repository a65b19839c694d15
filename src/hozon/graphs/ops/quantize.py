"""Fake quantization and quantized arithmetic."""

from __future__ import annotations

from hozon.graphs.table import OpTable

QUANTIZE = OpTable("quantize")
