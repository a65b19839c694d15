"""Generate the ``*_pb2.py`` modules of hozon.formats.protos from its .proto files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"


def main() -> None:
    protos = sorted((SOURCE / "hozon" / "formats" / "protos").glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{SOURCE}", f"--python_out={SOURCE}"]
    subprocess.run([*command, *map(str, protos)], check=True)


if __name__ == "__main__":
    main()
