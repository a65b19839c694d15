"""The members of a ``.keras`` file as files of a folder, as Keras writes them unzipped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hozon.containers.keraszip.layout import ASSETS, CONFIG, METADATA, WEIGHTS
from hozon.errors import FormatError, UnsafeError
from hozon.limits import LIMITS
from hozon.raw.sources import Source
from hozon.raw.stores import is_directory, is_file, is_link, join, names, open_source, size


def is_unzipped(path: str) -> bool:
    """Whether a folder holds a config and weights."""
    return all(is_file(join(path, part)) for part in (CONFIG, WEIGHTS))


class Unzipped:
    """Such a folder, asked as an archive is.

    Attributes:
        members: the bytes of each member, by name.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        parts = [part for part in (CONFIG, METADATA, WEIGHTS) if is_file(join(path, part))]
        found = [*parts, *_files(path, ASSETS.rstrip("/"))]
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
        if is_link(path):
            raise UnsafeError(
                f"{name!r} is a link, which may lead out of the folder",
                refused="a link",
                file=self._path,
                record=name,
            )
        return path


def _files(folder: str, name: str, depth: int = 0) -> Iterator[str]:
    """The names of all files below a folder's entry, by their paths from the folder."""
    path = join(folder, name)
    if depth > LIMITS.nesting:
        raise FormatError("the folders of assets are nested too deeply", file=folder, record=name)
    if is_directory(path) and not is_link(path):
        for inner in sorted(names(path)):
            yield from _files(folder, f"{name}/{inner}", depth + 1)
    elif is_file(path) or is_link(path):
        yield name
