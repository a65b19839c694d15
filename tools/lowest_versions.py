"""Prints the lowest declared version of each dependency, as constraints for pip.

``python tools/lowest_versions.py > constraints.txt``
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

#: What is released together with another package.
TOGETHER = {"jax": "jaxlib"}

if __name__ == "__main__":
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    for line in project["dependencies"]:
        name, version = re.fullmatch(r"([\w.-]+)>=([\w.]+).*", line).groups()
        print(f"{name}=={version}")
        if name in TOGETHER:
            print(f"{TOGETHER[name]}=={version}")
