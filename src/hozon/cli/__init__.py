"""The command line: ``hozon inspect``, ``hozon predict``, ``hozon convert``."""

from __future__ import annotations

from hozon.cli.main import main

__all__ = ["main"]
