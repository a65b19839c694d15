"""The members of a ``.keras`` file as files of a folder, as Keras and KerasHub write them."""

from __future__ import annotations

import os
from collections.abc import Mapping

from hozon.containers.keraszip.layout import ASSETS, CONFIG, METADATA, WEIGHTS, WEIGHTS_SET
from hozon.errors import FormatError, UnsafeError
from hozon.raw.sources import Source
from hozon.raw.stores import (
    files_below,
    is_cached,
    is_file,
    is_link,
    join,
    open_source,
    relative,
    size,
)


def is_unzipped(path: str) -> bool:
    """Whether a folder holds a config and weights."""
    return is_file(join(path, CONFIG)) and any(
        is_file(join(path, part)) for part in (WEIGHTS, WEIGHTS_SET)
    )


def set_of(path: str) -> str | None:
    """The index of the files of weights in such a folder; None where they are one file."""
    index = join(path, WEIGHTS_SET)
    return index if not is_file(join(path, WEIGHTS)) and is_file(index) else None


class Unzipped:
    """Such a folder, asked as an archive is.

    Attributes:
        members: the bytes of each member, by name.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        parts = [part for part in (CONFIG, METADATA, WEIGHTS) if is_file(join(path, part))]
        assets = join(path, ASSETS.rstrip("/"))
        below = [assets] if is_link(assets) else files_below(assets)
        found = [*parts, *(relative(path, file).replace(os.sep, "/") for file in below)]
        self.members: Mapping[str, int] = {name: size(self._safe(name)) for name in found}

    def __contains__(self, name: object) -> bool:
        return name in self.members

    def read(self, name: str, most: int | None = None) -> bytes:
        """The bytes of a member; FormatError where they are more than `most`."""
        source = self.open(name)
        if most is not None and source.size > most:
            raise FormatError(
                f"{name!r} is too long",
                file=self._path,
                record=name,
                expected=f"at most {most}",
                found=source.size,
            )
        return source.view(0, source.size).tobytes()

    def open(self, name: str, *, check: bool = True) -> Source:  # noqa: ARG002 - there is no checksum
        """A member as a source."""
        return open_source(self._safe(name))

    def _safe(self, name: str) -> str:
        path = join(self._path, name)
        if is_link(path) and not is_cached(path):
            raise UnsafeError(
                f"{name!r} is a link, which may lead out of the folder",
                refused="a link",
                file=self._path,
                record=name,
            )
        return path
