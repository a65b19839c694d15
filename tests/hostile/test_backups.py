"""A backup of training outlives a kill at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parent / "killing_backups.py"


def test_a_killed_backup_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert len(results) > 5
    assert results[-1][1] == 0
    found = [(epoch, values) for _, _, epoch, values, _, _ in results]
    assert all(pair in [(1, [1.0]), (2, [2.0])] for pair in found)
    assert {epoch for epoch, _ in found} == {1, 2}
    for _, _, _, _, after, left in results:
        assert after == [2, [3.0]]
        assert left == ["backup-000002-00000000.weights.h5"]
