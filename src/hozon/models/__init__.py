"""Live Keras models from records, and records from live models."""

from __future__ import annotations

import hozon.config  # noqa: F401 - checks Keras' backend before Keras is imported
