"""One self-contained HTML page of an artifact, or of the difference of two."""

from __future__ import annotations

from hozon.page.build import report

__all__ = ["report"]
