"""Random numbers: stateless ones as TensorFlow computes them, stateful ones from a key."""

from __future__ import annotations

from hozon.graphs.table import OpTable

RANDOM = OpTable("random")
