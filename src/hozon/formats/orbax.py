"""Trees of arrays as Orbax stores them; TensorStore, of an optional extra, reads their bytes.

A tree is a folder. ``_METADATA`` lists its leaves with their keys; arrays are Zarr arrays, all in
one OCDBT database or each in a folder of its own; texts stand in ``_strings.json``
(orbax/checkpoint/_src/metadata/tree.py, orbax/checkpoint/_src/serialization/tensorstore_utils.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hozon.errors import FormatError, UnsafeError, UnsupportedError
from hozon.formats.jsondoc import parse_object
from hozon.limits import LIMITS
from hozon.raw.stores import (
    absolute,
    files_below,
    is_file,
    is_inside,
    is_link,
    is_remote,
    join,
    read_bytes,
    size_on_disk,
)
from hozon.stored.dtypes import dtype_of_numpy
from hozon.stored.extents import Extents, index_of
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

METADATA, STRINGS = "_METADATA", "_strings.json"
#: Kinds of leaves that are arrays, and that are text; what else there is, is an empty branch.
ARRAYS, TEXT = ("jax.Array", "np.ndarray", "scalar"), "string"
#: What arrays may take in memory however well they are compressed.
FLOOR = 64 << 20
#: Bytes of chunks that are kept decoded: an array is one chunk, most often, and read in parts.
CACHE = 256 << 20

#: What TensorStore's statuses become in Python.
STATUSES = (ValueError, OSError, RuntimeError, LookupError)

Keys = tuple[str, ...]


def _tensorstore() -> Any:
    try:
        import tensorstore  # noqa: TID251
    except ImportError:
        raise UnsupportedError(
            "Orbax checkpoints are read with TensorStore, which is not installed",
            feature="Orbax checkpoints",
            instead="pip install 'hozon[orbax]'",
        ) from None
    return tensorstore


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of a tree: where it stands, and what kind of value it is."""

    keys: Keys
    kind: str

    @property
    def name(self) -> str:
        """What the store calls it."""
        return ".".join(self.keys)


class Tree:
    """The leaves of one folder; nothing but the list of them is read at first."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._file = join(folder, METADATA)
        if not is_file(self._file):
            raise FormatError(
                f"{folder} has no {METADATA}", file=folder, record=METADATA, expected="a file"
            )
        self._document = parse_object(read_bytes(self._file), file=self._file, record=METADATA)

    @cached_property
    def leaves(self) -> list[Leaf]:
        """All leaves, in the order of the file.

        Raises:
            FormatError: the list is damaged.
        """
        listed = self._document.get("tree_metadata")
        if not isinstance(listed, dict):
            raise FormatError("there is no tree", file=self._file, record="tree_metadata")
        found = [self._leaf(name, entry) for name, entry in listed.items()]
        if len({leaf.name for leaf in found}) < len(found):
            raise FormatError("two leaves have one name", file=self._file, record="tree_metadata")
        return found

    def _leaf(self, name: str, entry: Any) -> Leaf:
        try:
            first, *rest = (str(part["key"]) for part in entry["key_metadata"])
            return Leaf((first, *rest), str(entry["value_metadata"]["value_type"]))
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(
                f"leaf {name:.80} is not described: {error!r}", file=self._file, record=name
            ) from error

    def texts(self) -> dict[str, str]:
        """The texts by name.

        Raises:
            FormatError: they are missing or damaged.
        """
        wanted = [leaf.name for leaf in self.leaves if leaf.kind == TEXT]
        file = join(self.folder, STRINGS)
        if not is_file(file):
            raise FormatError(f"{self.folder} has no {STRINGS}", file=file, record=STRINGS)
        held = parse_object(read_bytes(file), file=file, record=STRINGS)
        lacking = [name for name in wanted if not isinstance(held.get(name), str)]
        if lacking:
            raise FormatError(f"text {lacking[0]!r} is missing", file=file, record=lacking[0])
        return {name: held[name] for name in wanted}

    def arrays(self) -> dict[Keys, LazyTensor]:
        """The arrays by their keys; their headers are read, no values.

        Raises:
            FormatError: one is missing or damaged.
            UnsafeError: a file of the folder is a link out of it.
            UnsupportedError: TensorStore is not installed; a type that is not known.
        """
        wanted = {leaf.name: leaf for leaf in self.leaves if leaf.kind in ARRAYS}
        if not wanted:
            return {}
        store = Store(self.folder, self._document)
        return {wanted[tensor.name].keys: tensor for tensor in store.opened(wanted)}


class Store:
    """The arrays of a folder, which TensorStore opens and reads; see `TensorSource`."""

    def __init__(self, folder: str, document: Mapping[str, Any]) -> None:
        self.folder = folder
        self._library = _tensorstore()
        self._database = document.get("use_ocdbt") is not False
        self._driver = "zarr3" if document.get("use_zarr3") else "zarr"
        self._context = self._library.Context({"cache_pool": {"total_bytes_limit": CACHE}})
        self._most = FLOOR + LIMITS.expansion_ratio * size_on_disk(folder)
        self._base = self._far() if is_remote(folder) else self._near()

    def _near(self) -> Any:
        for file in files_below(self.folder):
            if is_link(file) and not is_inside(file, self.folder):
                raise UnsafeError(
                    f"{file} is a link out of its checkpoint",
                    refused="a link to another place",
                    file=file,
                )
        return {"driver": "file", "path": join(absolute(self.folder), "")}

    def _far(self) -> Any:
        """A copy in memory: TensorStore knows no file systems of fsspec's."""
        memory = self._library.KvStore.open({"driver": "memory"}, context=self._context).result()
        for file in files_below(self.folder):
            memory[file[len(self.folder) :].lstrip("/")] = read_bytes(file)
        return {"driver": "memory"}

    def _place(self, name: str) -> Any:
        if self._database:
            return {"driver": "ocdbt", "base": self._base, "path": f"{name}/"}
        return {**self._base, "path": f"{self._base.get('path', '')}{name}/"}

    def opened(self, wanted: Mapping[str, Leaf]) -> Iterator[LazyTensor]:
        """The arrays of some names."""
        missing = {"fill_missing_data_reads": False}  # else what is lost would be zeros
        begun = {
            name: self._begun(
                name,
                self._library.open,
                {"driver": self._driver, "kvstore": self._place(name), **missing},
                open=True,
                read=True,
                context=self._context,
            )
            for name in wanted
        }
        for name, array in begun.items():
            yield self._tensor(name, self._result(name, array))

    def _tensor(self, name: str, array: Any) -> LazyTensor:
        dtype = dtype_of_numpy(np.dtype(array.dtype.numpy_dtype))
        shape = tuple(map(int, array.shape))
        layout = array.chunk_layout
        for sizes in (shape, layout.write_chunk.shape or (), layout.read_chunk.shape or ()):
            nbytes = math.prod(map(int, sizes)) * array.dtype.numpy_dtype.itemsize
            if nbytes > self._most or len(sizes) > LIMITS.rank:
                raise FormatError(
                    f"array {name!r} is too large for the files that hold it",
                    file=self.folder,
                    record=name,
                    expected=f"at most {self._most} bytes",
                    found=nbytes,
                )
        nbytes = math.prod(shape) * array.dtype.numpy_dtype.itemsize
        return LazyTensor(name, shape, dtype, nbytes, self, array)

    def _begun(self, name: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except STATUSES as error:
            raise self._unreadable(name, error) from error

    def _result(self, name: str, future: Any) -> Any:
        try:
            return future.result()
        except STATUSES as error:
            raise self._unreadable(name, error) from error

    def _unreadable(self, name: str, error: Exception) -> FormatError:
        told = str(error).partition(" [")[0]
        return FormatError(
            f"array {name!r} cannot be read: {told:.300}", file=self.folder, record=name
        )

    def read_tensor(self, tensor: LazyTensor, verify: bool) -> NDArray[Any]:  # noqa: ARG002
        """The whole array."""
        return self._read(tensor, tensor.record)

    def read_extents(self, tensor: LazyTensor, extents: Extents, verify: bool) -> NDArray[Any]:  # noqa: ARG002
        """A part of the array; the chunks that it lies in are read."""
        return self._read(tensor, tensor.record[index_of(extents)] if extents else tensor.record)

    def _read(self, tensor: LazyTensor, part: Any) -> NDArray[Any]:
        value: NDArray[Any] = np.asarray(self._result(tensor.name, part.read(order="C")))
        value.flags.writeable = False
        return value
