"""``python -m tests.stress [SECONDS] [SEED]``: what `make stress` runs."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.stress.work import stress


def main(seconds: float = 120, seed: int = 0) -> int:
    """Print how often each operation ran and what was wrong; 1 where something was."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        account = stress(Path(folder), seconds, seed=seed)
    total = sum(account.operations.values())
    for name, count in sorted(account.operations.items()):
        print(f"{name:14}{count:8}")
    print(f"{total} operations in {time.monotonic() - start:.0f} s, {len(account.wrong)} wrong")
    for said in [*dict.fromkeys(account.wrong)][:20]:
        print(said)
    return bool(account.wrong)


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:2]), *map(int, sys.argv[2:3])))
