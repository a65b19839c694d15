"""Everything in an HDF5 file looked at: groups, attributes, the extent of each data set, chunks."""

from __future__ import annotations

from hozon.audit import Audit
from hozon.errors import FormatError
from hozon.formats.hdf5.datasets import Stored
from hozon.formats.hdf5.reader import Group
from hozon.limits import LIMITS
from hozon.stored.lazy import LazyTensor
from hozon.stored.parts import read_parts


def audit_hdf5(root: Group, audit: Audit) -> int:
    """Look at all that a group holds; the bytes of chunks whose checksum was compared.

    Values in one piece have no checksum; those of compressed chunks do, and are read.
    """
    return _group(root, audit, 0)


def _group(group: Group, audit: Audit, depth: int) -> int:
    covered = 0
    names: list[str] = []
    with audit.checking("HDF5 groups", group.path, group.file):
        if depth > LIMITS.nesting:
            raise FormatError("groups are nested too deeply", file=group.file, record=group.path)
        names = group.names()
    with audit.checking("HDF5 attributes", group.path, group.file):
        for name in group.attribute_names():
            group.attribute(name)
    for name in names:
        place = f"{group.path}/{name}" if group.path else name
        with audit.checking("HDF5 members", place, group.file):
            if group.is_group(name):
                covered += _group(group.group(name), audit, depth + 1)
            elif group.is_tensor(name):
                covered += _dataset(group.tensor(name), audit)
    return covered


def _dataset(tensor: LazyTensor, audit: Audit) -> int:
    """The bytes of a data set that a checksum covers."""
    audit.checked["tensor extents"] += 1
    if tensor.record.offset is not None:
        return 0
    for part in read_parts(tensor):
        del part
    stored: Stored = tensor.record
    return stored.checksummed()
