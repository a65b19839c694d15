"""Writes a tensor bundle: one pass over the tensors, nothing copied as a whole.

The tensors' bytes go to hidden files first, block by block, each block checksummed right before it
is written. At the end the files take their names in an order in which every reader, TensorFlow
too, finds the old checkpoint or the new one at every moment: the index is replaced in one step, and
an index never names data that is not there.

The one difficulty is a checkpoint that is replaced by one with as many data files, whose names
would be the same. Since the number of data files is part of their names, the new data gets, for the
moment, the names of a checkpoint with one data file more, and an index that says so; as soon as
this index is in place nothing needs the old data, and the data, then the index, take their proper
names in the same way. At a URL, where nothing can be renamed, the data keeps those other names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hozon.errors import HozonError, MismatchError, SaveError, UnsupportedError
from hozon.formats.bundle.layout import (
    HEADER_KEY,
    INDEX_SUFFIX,
    VERSION,
    Entry,
    Header,
    data_file,
    read_header,
    write_entry,
    write_header,
)
from hozon.formats.bundle.merging import merged
from hozon.formats.bundle.shards import Shards
from hozon.formats.bundle.slices import SLICE_MARK, slice_key
from hozon.formats.bundle.strings import write_strings
from hozon.formats.sstable import encode_table, read_table
from hozon.limits import LIMITS
from hozon.raw.checksum import crc32c, mask
from hozon.raw.collection import collection_paused
from hozon.raw.commit import settle, sync
from hozon.raw.location import Location
from hozon.raw.staging import Staging, check_replaceable, publishing, staging
from hozon.raw.stores import (
    copy_mode,
    exists,
    is_remote,
    join,
    link_all,
    make_folders,
    move,
    names,
    open_source,
    parent_and_name,
    remove_file,
    write_bytes,
)
from hozon.raw.team import Team, leads, led, team
from hozon.stored.dtypes import STRING, DType
from hozon.stored.extents import Extents, shape_of
from hozon.stored.placed import own
from hozon.stored.streams import (
    Blocks,
    Parts,
    array_of,
    byte_blocks,
    fetched_ahead,
    string_items,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Records = list[tuple[bytes, bytes]]


def write_bundle(
    prefix: str | os.PathLike[str],
    tensors: Iterable[tuple[str, Any]] | Mapping[str, Any],
    *,
    durable: bool | None = None,
    shard_bytes: int | None = None,
    alignment: int = 1,
    instead_of: str | None = None,
) -> None:
    """Writes `<prefix>.index` and `<prefix>.data-00000-of-00001`, whole or not at all.

    The same tensors in the same order give the same bytes, and with default options those that
    TensorFlow writes.

    Args:
        prefix: path of the checkpoint without `.index`. Its folder must exist. A checkpoint of this
            prefix is replaced.
        tensors: names and values, in the order in which their bytes are to lie: arrays of NumPy or
            JAX or what NumPy can make an array of, tensors of another file (`LazyTensor`),
            `Blocks`, `Parts`. They are taken one after another and must not change until the end.
        durable: whether to wait until the disk has it, so that even a power cut leaves the old or
            the new; None waits if a checkpoint is replaced (see `raw/commit.py`).
        shard_bytes: begin another data file once one has so many bytes; None makes one file.
        alignment: bytes of which each tensor's offset is a multiple.
        instead_of: the prefix of another checkpoint, none of whose data files' names are taken:
            the new one can be put over it, the index last.

    Raises:
        SaveError: it cannot be written. Nothing has changed.
        MismatchError: two tensors have one name, or parts or blocks do not fit their tensor.
        UnsupportedError: a name or a type that a checkpoint cannot hold.

    Example:
        >>> write_bundle("ckpt-1", {"step": np.int64(7), "w": jax.numpy.ones((2, 3))})
    """
    pairs = tensors.items() if isinstance(tensors, Mapping) else tensors
    with staging(prefix) as stage, collection_paused():
        check_replaceable(stage.target + INDEX_SUFFIX)
        make_folders(stage.path("data"))
        with Shards(stage.path("data")) as shards:
            writer = _Writer(shards, None if team() else shard_bytes, alignment)
            for name, value in fetched_ahead((name, own(value)) for name, value in pairs):
                if value is not None:
                    writer.add(name, value)
                del value
        records = _records(writer.entries)
        if (others := team()) is not None:
            _publish_together(stage, shards.paths[0], records, instead_of, durable, others)
        elif is_remote(stage.target) or instead_of is not None:
            _publish_beside(stage, shards.paths, records, instead_of or stage.target)
        else:
            _publish(stage, shards.paths, records, durable)


class _Writer:
    """Appends tensors to data files and collects their entries.

    Attributes:
        entries: by key, in the order in which they came.
    """

    def __init__(self, shards: Shards, shard_bytes: int | None, alignment: int) -> None:
        self.entries: dict[bytes, Entry] = {}
        self._shards = shards
        self._shard_bytes = shard_bytes
        self._alignment = alignment

    def add(self, name: str, value: Any) -> None:
        """Append a tensor, or the parts of one."""
        key = _key(name)
        if key in self.entries:
            raise MismatchError(f"two tensors are named {name!r}")
        if isinstance(value, Parts):
            self._add_parts(name, key, value)
        else:
            self.entries[key] = self._tensor(name, value)

    def _add_parts(self, name: str, key: bytes, value: Parts) -> None:
        slices = tuple(_stored_extents(extents, value.shape) for extents, _ in value.parts)
        self.entries[key] = Entry(value.dtype.number, value.shape, 0, 0, 0, 0, slices)
        for stored, (extents, part) in zip(slices, value.parts, strict=True):
            entry = self._tensor(name, part)
            if entry.shape != shape_of(extents) or entry.dtype != value.dtype.number:
                raise MismatchError(
                    f"a part of tensor {name!r} differs from what its place says",
                    mismatches=[
                        f"the place is {shape_of(extents)} of {value.dtype}",
                        f"the part has shape {entry.shape} and type {entry.dtype}",
                    ],
                )
            self.entries[slice_key(key, stored)] = entry

    def _tensor(self, name: str, value: Any) -> Entry:
        self._make_room()
        if isinstance(value, Blocks):
            return self._blocks(name, value)
        try:
            array, dtype = array_of(value)
        except UnsupportedError as error:
            error.record = error.record or name
            raise
        offset, checksum = self._shards.offset, 0
        if dtype is STRING:
            checksum = self._strings(name, array)
        elif not dtype.bits:
            raise UnsupportedError(
                f"tensor {name!r} is of type {dtype}, which a checkpoint cannot hold",
                feature=f"{dtype} tensors",
                record=name,
            )
        else:
            for block in byte_blocks(array, dtype):
                checksum = crc32c(block, checksum)
                self._shards.add(block)
        return self._entry(dtype, array.shape, offset, checksum)

    def _blocks(self, name: str, value: Blocks) -> Entry:
        offset, checksum = self._shards.offset, 0
        for block in value.blocks:
            checksum = self._block(block, checksum)
        expected = value.dtype.itemsize
        for length in value.shape:
            expected *= length
        if self._shards.offset - offset != expected or not value.dtype.bits:
            raise MismatchError(
                f"the blocks of tensor {name!r} have {self._shards.offset - offset} bytes; "
                f"shape {value.shape} of {value.dtype} has {expected}"
            )
        return self._entry(value.dtype, value.shape, offset, checksum)

    def _block(self, block: bytes | NDArray[Any], checksum: int) -> int:
        array, dtype = array_of(block if not isinstance(block, bytes) else memoryview(block))
        for part in byte_blocks(array, dtype):
            checksum = crc32c(part, checksum)
            self._shards.add(part)
        self._shards.flush()  # its owner may overwrite it now
        return checksum

    def _strings(self, name: str, array: NDArray[Any]) -> int:
        try:
            items = string_items(array)
        except (TypeError, UnicodeEncodeError) as error:
            raise UnsupportedError(
                f"tensor {name!r} cannot be written: {error}",
                feature="arrays of Python objects",
                record=name,
            ) from error
        head, checksum = write_strings(items)
        text = b"".join(items)
        self._shards.add(head)
        self._shards.add(text)
        return crc32c(text, checksum)

    def _entry(self, dtype: DType, shape: tuple[int, ...], offset: int, checksum: int) -> Entry:
        size = self._shards.offset - offset
        return Entry(dtype.number, shape, self._shards.number, offset, size, mask(checksum), ())

    def _make_room(self) -> None:
        """Begin another data file if this one is full, else pad to the alignment."""
        if self._shard_bytes is not None and self._shards.offset >= self._shard_bytes:
            self._shards.start()
        padding = -self._shards.offset % self._alignment
        if padding:
            self._shards.add(bytes(padding))


def _key(name: str) -> bytes:
    try:
        key = name.encode()
    except UnicodeEncodeError:
        key = b""
    if not key or key.startswith(SLICE_MARK) or len(key) > LIMITS.key_bytes:
        raise UnsupportedError(
            f"a checkpoint cannot hold a tensor named {name[:200]!r}",
            feature="this name",
            instead="a name of Unicode characters, not empty, that starts with no zero byte",
        )
    return key


def _stored_extents(extents: Extents, shape: tuple[int, ...]) -> Extents:
    """The extents as the file has them: length -1 for all of an axis."""
    return tuple(
        (0, -1) if (start, length) == (0, size) else (start, length)
        for (start, length), size in zip(extents, shape, strict=True)
    )


def _records(entries: Mapping[bytes, Entry]) -> Records:
    return [(key, write_entry(entry)) for key, entry in sorted(entries.items())]


def _publish_together(
    stage: Staging,
    path: str,
    records: Records,
    instead_of: str | None,
    durable: bool | None,
    others: Team,
) -> None:
    """Each process gives its data file its name; the leader writes the index of all."""
    said = others.meet(encode_table(records))
    together = _records(merged(said)) if leads() else []
    index, count = (instead_of or stage.target) + INDEX_SUFFIX, others.count
    in_use = _shards_in_use(index) if leads() else None
    count += int(others.meet(b"1" if in_use == count else b"0")[0])
    force = not is_remote(stage.target) and (
        exists(stage.target + INDEX_SUFFIX) if durable is None else durable
    )
    if force:
        sync(path)
    move(path, data_file(stage.target, others.index, count))
    with led() as leading:
        if leading:
            _place(stage, [], count, together, force)
            _remove_others(stage.target, count, others.count)


def _publish_beside(stage: Staging, paths: Sequence[str], records: Records, other: str) -> None:
    """Give the files names that no data file of the `other` checkpoint has."""
    count = len(paths) + (_shards_in_use(other + INDEX_SUFFIX) == len(paths))
    _place(stage, paths, count, records, force=False)
    _remove_others(stage.target, count, len(paths))


def _publish(stage: Staging, paths: Sequence[str], records: Records, durable: bool | None) -> None:
    """Give the files their names."""
    index = stage.target + INDEX_SUFFIX
    force = exists(index) if durable is None else durable
    if force:
        for path in paths:
            sync(path)
    with publishing(stage.target):
        count = len(paths)
        if _shards_in_use(index) == count:
            links = [f"{path}-link" for path in paths]
            if not link_all(paths, links):
                # Without hard links the data stays under these names, which are valid too.
                count += 1
                _place(stage, paths, count, records, force)
            elif not _renamed(stage, paths, links, records, force):
                count += 1
        else:
            _place(stage, paths, count, records, force)
        _remove_others(stage.target, count, len(paths))


def _renamed(
    stage: Staging, paths: Sequence[str], links: Sequence[str], records: Records, force: bool
) -> bool:
    """Place the data beside the old, then give it the old one's names.

    Returns:
        Whether it could be renamed; the checkpoint is whole without that too.
    """
    _place(stage, links, len(links) + 1, records, force)
    try:
        _place(stage, paths, len(paths), records, force)
    except SaveError:  # in place under these names, and no more
        raise
    except OSError:
        return False
    return True


def _place(stage: Staging, paths: Sequence[str], count: int, records: Records, force: bool) -> None:
    """Move data files that no index uses to their names, then the index that names them."""
    parent = parent_and_name(stage.target)[0]
    header = write_header(Header(count, False, VERSION, 0, ()))
    fresh, index = stage.path("index"), stage.target + INDEX_SUFFIX
    write_bytes(fresh, encode_table([(HEADER_KEY, header), *records]))
    copy_mode(index, [fresh, *paths])
    if force:
        sync(fresh)
    for shard, path in enumerate(paths):
        move(path, data_file(stage.target, shard, count))
    if force:
        sync(parent)
    move(fresh, index)
    if force:
        settle(index)


def _shards_in_use(index: str) -> int | None:
    """How many data files the checkpoint has that is there; None if there is none to be read."""
    try:
        key, value = next(read_table(open_source(index)), (b"", b""))
        return read_header(value, Location(index)).num_shards if key == HEADER_KEY else None
    except UnsupportedError:
        if is_remote(index):  # it cannot be reached, so that nobody knows
            raise
        return None
    except (FileNotFoundError, HozonError):
        return None


def _remove_others(prefix: str, count: int, shards: int) -> None:
    """Remove the data files that the index does not use."""
    parent, name = parent_and_name(prefix)
    pattern = re.compile(re.escape(name) + r"\.data-\d{5}-of-\d{5}")
    keep = {parent_and_name(data_file(prefix, shard, count))[1] for shard in range(shards)}
    for other in names(parent):
        if pattern.fullmatch(other) and other not in keep:
            with suppress(OSError):
                remove_file(join(parent, other))
