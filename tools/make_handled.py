"""Write down the types of ops that Hozon runs, for those who must not start JAX."""

from __future__ import annotations

from pathlib import Path

from hozon.graphs.frames.cut import CONTROL_FLOW
from hozon.graphs.ops import OPS

FILE = Path(__file__).parents[1] / "src" / "hozon" / "graphs" / "handled.txt"


def main() -> None:
    FILE.write_text("\n".join(sorted(frozenset(OPS) | CONTROL_FLOW)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
