"""All structures and references of Keras H5 files."""

from __future__ import annotations

from hozon.audit import Audit
from hozon.containers.agreement import audit_record
from hozon.containers.h5.read import read_root
from hozon.containers.own_checksums import audit_own
from hozon.formats.hdf5.audit import audit_hdf5
from hozon.formats.hdf5.reader import open_hdf5
from hozon.raw.stores import open_source, place


def audit_h5(path: str, audit: Audit) -> None:
    """Check an H5 file of a model or of weights: its groups, its config, and both together."""
    source = open_source(place(path))
    audit.nbytes += source.size
    covered = 0
    with audit.checking("HDF5 files", file=path):
        root = open_hdf5(source)
        covered = audit_hdf5(root, audit)
        record = read_root(root)
        for name in record.metadata.get("absent_layers", ()):
            audit.damaged("a layer is named whose weights are missing", file=path, record=name)
        audit_record(record, audit)
    if not audit_own(source, audit):
        audit.cover(covered)
        audit.leave("HDF5 files have no checksum", source.size - covered)
