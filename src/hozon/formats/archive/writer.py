"""Writing: members as they are, one after the other, without times."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable

from hozon.errors import SaveError

#: The earliest time that a zip archive can state.
NO_TIME = (1980, 1, 1, 0, 0, 0)
COPY_BYTES = 8 << 20


def write_archive(path: str, members: Iterable[tuple[str, bytes | os.PathLike[str]]]) -> None:
    """Write an archive; the caller puts it in its place.

    Args:
        path: of the new file.
        members: names, and the bytes or the file that is copied.

    Raises:
        SaveError: the system refuses to write.
    """
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            for name, content in members:
                info = zipfile.ZipInfo(name, NO_TIME)
                info.external_attr = 0o644 << 16
                if isinstance(content, bytes):
                    archive.writestr(info, content)
                    continue
                info.file_size = os.path.getsize(content)
                with open(content, "rb") as source, archive.open(info, "w") as target:
                    shutil.copyfileobj(source, target, COPY_BYTES)
    except OSError as error:
        raise SaveError(f"{path} cannot be written: {error}", file=path) from error
