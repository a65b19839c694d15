"""The checksums that Hozon's files hold of themselves, as `hozon.verify` compares them."""

from __future__ import annotations

from collections.abc import Callable

from hozon.audit import Audit
from hozon.errors import FormatError
from hozon.raw.own_checksum import check_own
from hozon.raw.sources import Source


def audit_own(source: Source, audit: Audit) -> bool:
    """Compare the checksum that a file holds of itself; whether it does, so that all is covered."""
    return audit_whole(lambda: check_own(source), source.name, source.size, audit)


def audit_whole(check: Callable[[], bool], file: str, nbytes: int, audit: Audit) -> bool:
    """Compare the checksums of a whole artifact by `check`, which says whether there are any."""
    try:
        if not check():
            return False
    except FormatError as error:
        audit.note(error, "", file)
    audit.checked["checksums of files"] += 1
    audit.cover(nbytes)
    return True
