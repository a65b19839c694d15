"""Kinds of failure that are known and not mended yet: `known.json`, name by name, with the reason.

Each has a `spec`, as small as it can be, that fails so; an entry whose spec passes is stale. In a
campaign a failure is known where its signature matches `signature` and the draw has all `axes`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.differential.judge import Finding

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Known:
    """A kind of failure, and why it is there."""

    name: str
    why: str
    signature: str
    axes: list[str]
    spec: dict[str, Any]

    def covers(self, finding: Finding, axes: set[str]) -> bool:
        """Whether a finding is of this kind."""
        said = f"{finding.signature} {finding.text}"
        return axes.issuperset(self.axes) and re.search(self.signature, said) is not None


KNOWN = [Known(**entry) for entry in json.loads((HERE / "known.json").read_text())]
