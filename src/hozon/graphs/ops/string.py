"""Strings, on the host."""

from __future__ import annotations

from hozon.graphs.table import OpTable

STRING = OpTable("string")
