"""Changed files to every reader: ``python -m tests.fuzz [CASES [FIRST]]``."""

from __future__ import annotations

import sys
import time

from tests.fuzz.campaign import Campaign


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    campaign, began = Campaign(), time.monotonic()
    try:
        campaign.run(range(first, first + count))
    finally:
        total = campaign.outcomes.total()
        print(f"{total} changed files in {time.monotonic() - began:.0f} s")
        for outcome, number in campaign.outcomes.most_common():
            print(f"    {number} {outcome}")
    print(f"{len(campaign.findings)} findings")
    return 1 if campaign.findings else 0


if __name__ == "__main__":
    sys.exit(main())
