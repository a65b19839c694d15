"""Parsing of tf.Example records, JSON, CSV and encoded numbers, on the host."""

from __future__ import annotations

from hozon.graphs.table import OpTable

PARSING = OpTable("parsing")
