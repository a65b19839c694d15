"""All checksums and structures of ``.keras`` archives and ``.weights.h5`` files."""

from __future__ import annotations

from hozon.audit import Audit
from hozon.containers.agreement import audit_record
from hozon.containers.keraszip.layout import WEIGHTS
from hozon.containers.keraszip.read import read
from hozon.containers.keraszip.unzipped import Unzipped, set_of
from hozon.containers.own_checksums import audit_own
from hozon.formats.archive import Archive
from hozon.formats.hdf5.audit import audit_hdf5
from hozon.formats.hdf5.reader import open_hdf5
from hozon.raw.stores import is_directory, open_source, place


def audit_archive(path: str, audit: Audit) -> None:
    """Check every member of a ``.keras`` file, its config and its weights."""
    where = place(path)
    if is_directory(where):
        _audit_unzipped(where, audit)
        return
    source = open_source(where)
    audit.nbytes += source.size
    archive: Archive | None = None
    with audit.checking("archives", file=path):
        archive = Archive(source)
    if archive is None:
        return
    covered, before = 0, len(audit.damage)
    for name in archive.members:
        with audit.checking("zip checksums", name, path):
            covered += archive.check(name)
    sound = len(audit.damage) == before
    if not (sound and audit_own(source, audit)):
        audit.cover(covered)
        audit.leave("headers of the archive", source.size - covered)
    if not sound:
        return  # what is in a damaged member says nothing
    with audit.checking("HDF5 files", WEIGHTS, path):
        if WEIGHTS in archive:
            audit_hdf5(open_hdf5(archive.open(WEIGHTS, check=False)), audit)
    with audit.checking("configs", file=path):
        audit_record(read(path, check=False), audit)


def _audit_unzipped(path: str, audit: Audit) -> None:
    """Check the structure of members that lie in a folder, where they have no checksums."""
    index = set_of(path)
    with audit.checking("folders", file=path):
        members = Unzipped(path)
        nbytes = sum(members.members.values())
        audit.nbytes += nbytes
        audit.leave("files of the folder", nbytes)
        if index is None:
            with audit.checking("HDF5 files", WEIGHTS, path):
                audit_hdf5(open_hdf5(members.open(WEIGHTS)), audit)
        else:
            from hozon.containers.shards.read import audit as audit_set  # it audits by this module

            audit_set(index, audit)
    with audit.checking("configs", file=path):
        audit_record(read(path), audit)


def audit_weights(path: str, audit: Audit) -> None:
    """Check a ``.weights.h5`` file."""
    source = open_source(place(path))
    audit.nbytes += source.size
    covered = 0
    with audit.checking("HDF5 files", file=path):
        covered = audit_hdf5(open_hdf5(source), audit)
        read(path)
    if not audit_own(source, audit):
        audit.cover(covered)
        audit.leave("HDF5 files have no checksum", source.size - covered)
