"""The guide's own code runs with its import lines changed; TensorFlow is not imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

#: How lines of code begin; the guide's text is Japanese.
CODE = re.compile(
    r"(from |import |def |class |with |for |if |else|return |assert |del |print\(|@|#|\s+|[\]\)\}]|"
    r"[a-z_][\w.]*(\[[^\]]*\])?(\(.*| = .*|, \w+ = .*)$)"
)
#: What the guide imports at its beginning.
IMPORTS = "import numpy as np\nimport tensorflow as tf\nfrom tensorflow import keras"
JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")


def code_of(guide: str) -> list[str]:
    """The runs of lines that are code, as the guide shows them one block after the other."""
    blocks: list[list[str]] = [[]]
    for line in guide.splitlines():
        if line.strip() and (JAPANESE.search(line) or not CODE.match(line)):
            blocks.append([])
        elif line.strip() or blocks[-1]:
            blocks[-1].append(line)
    return ["\n".join(block) for block in blocks if any(line.strip() for line in block)]


def runnable(block: str) -> bool:
    """Whether a block is code that stands for itself, not output or a placeholder."""
    if "..." in block or "path/to/location" in block:
        return False
    try:
        compile(block, "block", "exec")
    except SyntaxError:
        return False
    return bool(re.search(r"[=(]", block)) and not block.lstrip().startswith(("•", "{"))


def test_every_block_runs(shared: Path, tmp_path: Path) -> None:
    text = (shared / "guide.txt").read_text()
    blocks = [b for b in code_of(text) if runnable(b)]
    script = "\n\n".join([IMPORTS, *blocks])
    script = script.replace("import tensorflow as tf", "from hozon import tf")
    script = script.replace("from tensorflow import keras", "from hozon import keras")
    script += "\n\nimport sys\nassert 'tensorflow' not in sys.modules\nprint('ran to the end')\n"
    (tmp_path / "guide.py").write_text(script)
    if len(blocks) < 15:
        pytest.fail(f"only {len(blocks)} blocks were found")
    done = subprocess.run(
        [sys.executable, "guide.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "ran to the end" in done.stdout
