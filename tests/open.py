"""Tests that fail today, each with what is open; they are reported as expected failures.

A line goes when its fault is mended. The names begin the tests' ids.
"""

from __future__ import annotations

from collections.abc import Mapping

OPEN: Mapping[str, str] = {}
