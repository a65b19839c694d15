"""The command line: ``hozon inspect``, ``verify``, ``diff``, ``report``, ``convert`` ..."""

from __future__ import annotations

from hozon.cli.main import main, program

__all__ = ["main", "program"]
