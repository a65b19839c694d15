"""Torment every way to save at every call to the file system: ``python -m tests.torture``.

Names of saves narrow it; ``peers`` torments other libraries, ``power`` cuts the power instead.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.torture.injector import SUPPORTED
from tests.torture.power import cut_all
from tests.torture.saves import PEERS, ROTATING, SAVES, Torture, model


def main() -> int:
    if not SUPPORTED:
        print("it needs Linux on x86-64", file=sys.stderr)
        return 2
    models = [model(version) for version in (1, 2, 3)]
    failures = total = 0
    with tempfile.TemporaryDirectory() as folder:
        wanted = {*sys.argv[1:]} - {"peers", "power"}
        if "power" in sys.argv:
            saves = [save for save in (*SAVES, *ROTATING) if not wanted or save.name in wanted]
            return 1 if cut_all(saves, Path(folder), models, print) else 0
        for save in PEERS if "peers" in sys.argv else SAVES:
            if wanted and save.name not in wanted:
                continue
            began = time.monotonic()
            torture = Torture(save, Path(folder, save.name), models)
            found = [torture.at(fault, number) for fault, number in torture.points()]
            wrong = [point for point in found if point.wrong]
            total, failures = total + len(found), failures + len(wrong)
            counts = Counter(str(point.fault) for point in found)
            print(
                f"{save.name}: {len(found)} points at {len(torture.calls)} calls, "
                f"{len(wrong)} wrong, {time.monotonic() - began:.0f} s "
                f"({', '.join(f'{n} {fault}' for fault, n in counts.items())})",
                flush=True,
            )
            for point in wrong:
                print(f"    {point.fault} {point.call}: {point.wrong}", flush=True)
    print(f"{total} points, {failures} wrong")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
