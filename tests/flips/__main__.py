"""Flip bits of everything that Hozon writes: ``python -m tests.flips [--every N] [FORM ...]``.

One bit of every byte unless told otherwise; it fails if any is accepted silently.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.flips.flipping import WRITTEN, Flips, Outcome, small


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("forms", nargs="*", help="names of forms; all without")
    parser.add_argument("--every", type=int, default=1, help="take each so many bytes one")
    parser.add_argument("--bits", type=int, default=1, help="bits of each byte, 8 are all")
    parser.add_argument("--show", action="store_true", help="print where bits have no meaning")
    given = parser.parse_args()
    model, totals = small(), Counter[Outcome]()
    with tempfile.TemporaryDirectory() as folder:
        for form in WRITTEN:
            if given.forms and form.name not in given.forms:
                continue
            began = time.monotonic()
            flips = Flips(form, Path(folder, form.name), model)
            show = print if given.show else lambda _: None
            counts = flips.count(given.every, given.bits, show)
            totals += counts.outcomes
            print(f"{counts}, {time.monotonic() - began:.0f} s", flush=True)
            for place in counts.silent:
                print(f"    {Outcome.SILENT}: {place}", flush=True)
    print(", ".join(f"{totals[outcome]} {outcome}" for outcome in Outcome))
    return 1 if totals[Outcome.SILENT] else 0


if __name__ == "__main__":
    sys.exit(main())
