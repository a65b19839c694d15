"""Fourier transforms and windows."""

from __future__ import annotations

from hozon.graphs.table import OpTable

SIGNAL = OpTable("signal")
