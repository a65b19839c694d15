"""``python -m hozon``: the command line."""

from __future__ import annotations

import sys

from hozon.cli import program

if __name__ == "__main__":
    sys.exit(program())
