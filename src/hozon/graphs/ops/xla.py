"""XLA ops and XlaCallModule."""

from __future__ import annotations

from hozon.graphs.table import OpTable

XLA = OpTable("xla")
