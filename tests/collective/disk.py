"""A folder under a URL: an object store that all processes of this machine reach."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

SCHEME = "bucket"
FAR = f"{SCHEME}://b"


def register(folder: Path) -> None:
    """Let the URL mean this folder."""
    folder.mkdir(exist_ok=True)

    class Bucket(LocalFileSystem):  # type: ignore[misc]
        protocol = SCHEME

        @classmethod
        def _strip_protocol(cls, path: Any) -> str:
            text = str(path)
            if text.startswith(f"{SCHEME}://"):
                text = os.path.join(folder, text.removeprefix(f"{SCHEME}://"))
            return str(LocalFileSystem._strip_protocol(text))

        def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
            target = self._strip_protocol(rpath)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(f"{target}.part{os.getpid()}", "wb") as file:
                file.write(Path(lpath).read_bytes())
            os.replace(f"{target}.part{os.getpid()}", target)

    fsspec.register_implementation(SCHEME, Bucket, clobber=True)
