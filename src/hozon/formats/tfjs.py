"""TensorFlow.js' weights: a manifest in JSON, and the tensors' bytes in shards beside it.

A manifest is a list of groups, ``{"paths": [...], "weights": [{"name", "shape", "dtype",
"quantization"}]}``: the bytes of a group's tensors follow each other through the files of its
paths, little-endian, in C order. A string is its length in four bytes and its UTF-8. A quantized
tensor is stored as uint8 or uint16, of which ``value * scale + min`` is meant, or as float16
(tfjs-core/src/io/types.ts, tfjs-converter/python/tensorflowjs/write_weights.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hozon.errors import FormatError, SaveError, UnsafeError, UnsupportedError
from hozon.limits import LIMITS
from hozon.raw.stores import create, is_file, join, open_source
from hozon.stored.dtypes import STRING, dtype_of_numpy
from hozon.stored.extents import Extents, index_of, span_of
from hozon.stored.lazy import LazyTensor, elements

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hozon.raw.sources import Source

#: Types by their names in a manifest.
DTYPES = {
    "float32": np.dtype(np.float32),
    "int32": np.dtype(np.int32),
    "bool": np.dtype(np.bool_),
    "complex64": np.dtype(np.complex64),
}
#: As what quantized values are stored.
QUANTIZED = {name: np.dtype(name) for name in ("uint8", "uint16", "float16")}
#: What the format lacks, and as what it is written; the first alone keeps every value.
WIDER = {"float16": "float32", "bfloat16": "float32"}
NARROWER = {"float64": "float32", "int64": "int32"}
#: Bytes of a shard: what browsers keep in their caches.
SHARD = 4 << 20
LENGTH = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor's bytes lie in its group, and how they are to be read."""

    offset: int
    nbytes: int
    stored: np.dtype[Any] | None
    scale: float | None = None
    minimum: float = 0.0


class Shards:
    """The files of one group, read as if they were one."""

    def __init__(self, files: Sequence[Source]) -> None:
        self._files = files
        self.name = files[0].name if files else ""
        self.size = sum(file.size for file in files)

    def view(self, offset: int, length: int) -> NDArray[np.uint8]:
        """Bytes of the group; a view where one file has them all."""
        parts = list(self._parts(offset, length))
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint8), *parts])

    def _parts(self, offset: int, length: int) -> Iterator[NDArray[np.uint8]]:
        for file in self._files:
            if length and offset < file.size:
                taken = min(length, file.size - offset)
                yield file.view(offset, taken)
                offset, length = 0, length - taken
            else:
                offset -= min(offset, file.size)

    def read_tensor(self, tensor: LazyTensor, verify: bool) -> NDArray[Any]:  # noqa: ARG002
        """The whole tensor, as it is meant."""
        place: Place = tensor.record
        if place.stored is None:
            return self._strings(tensor, self.view(place.offset, place.nbytes))
        return self._values(tensor, place.stored, 0, place.nbytes, tensor.shape)

    def _values(
        self,
        tensor: LazyTensor,
        stored: np.dtype[Any],
        offset: int,
        nbytes: int,
        shape: tuple[int, ...],
    ) -> NDArray[Any]:
        """A run of a tensor's elements, as they are meant."""
        place: Place = tensor.record
        data = self.view(place.offset + offset, nbytes)
        array = elements(data, stored, shape)
        if place.scale is not None:
            array = array * np.float32(place.scale) + np.float32(place.minimum)
            if tensor.dtype.numpy.kind == "i":
                array = np.round(array)
        array = array.astype(tensor.dtype.numpy, copy=False)
        array.flags.writeable = False
        return array

    def read_extents(self, tensor: LazyTensor, extents: Extents, verify: bool) -> NDArray[Any]:
        """A part of a tensor."""
        stored: np.dtype[Any] | None = tensor.record.stored
        if stored is None:
            whole, index = self.read_tensor(tensor, verify), index_of(extents)
        else:
            span = span_of(extents, tensor.shape, stored.itemsize)
            whole = self._values(tensor, stored, span.offset, span.nbytes, span.shape)
            index = span.index
        part: NDArray[Any] = whole[index]
        return part

    def _strings(self, tensor: LazyTensor, data: NDArray[np.uint8]) -> NDArray[Any]:
        values = list(_texts(data.tobytes()))
        if len(values) != tensor.size:
            raise _bad(self.name, tensor.name, f"{len(values)} strings for {tensor.size}")
        array = np.empty(len(values), object)
        array[:] = values
        return array.reshape(tensor.shape)


def read_manifest(manifest: Any, folder: str, file: str) -> dict[str, LazyTensor]:
    """The tensors of a manifest by name, in its order; none is read.

    Raises:
        FormatError: the manifest contradicts itself or its shards, or a shard is missing.
        UnsafeError: it names a file that is not beside it.
    """
    tensors: dict[str, LazyTensor] = {}
    if not isinstance(manifest, list) or len(manifest) > LIMITS.members:
        raise FormatError("weightsManifest is no list", file=file, record="weightsManifest")
    for group in manifest:
        try:
            paths, entries = list(group["paths"]), list(group["weights"])
        except (KeyError, TypeError) as error:
            raise _bad(file, "weightsManifest", f"a group is incomplete: {error}") from error
        shards = Shards([_shard(folder, path, file) for path in paths])
        for tensor in _group(entries, shards, file):
            if tensor.name in tensors:
                raise _bad(file, tensor.name, "it is there twice")
            tensors[tensor.name] = tensor
    return tensors


def _shard(folder: str, path: Any, file: str) -> Source:
    if not isinstance(path, str) or path in ("", ".", "..") or set(path) & set("/\\:\0"):
        raise UnsafeError(
            f"{file} names a shard that is not beside it",
            refused=f"shard {path!r:.80}",
            file=file,
        )
    where = join(folder, path)
    if not is_file(where):
        raise FormatError(
            f"shard {path} is missing", file=where, record="weightsManifest", expected="a file"
        )
    return open_source(where)


def _group(entries: Iterable[Any], shards: Shards, file: str) -> Iterator[LazyTensor]:
    offset = 0
    for entry in entries:
        try:
            name, kind = str(entry["name"]), str(entry["dtype"])
            shape = tuple(int(size) for size in entry["shape"])
            packed = entry.get("quantization")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _bad(file, "weightsManifest", f"an entry is incomplete: {error}") from error
        if len(shape) > LIMITS.rank or min(shape, default=0) < 0:
            raise _bad(file, name, f"shape {list(shape)} is impossible")
        count = 1
        for size in shape:
            count *= size
        if kind == "string":
            place = Place(offset, _length_of_strings(shards, offset, count, name), None)
            dtype = STRING
        else:
            place = _place(packed, kind, offset, count, file, name)
            dtype = dtype_of_numpy(DTYPES[kind])
        offset += place.nbytes
        if offset > shards.size:
            raise FormatError(
                f"the shards end before tensor {name!r} does",
                file=shards.name or file,
                record=name,
                expected=f"at least {offset} bytes",
                found=f"{shards.size}",
            )
        yield LazyTensor(name, shape, dtype, place.nbytes, shards, place)
    if offset != shards.size:
        raise FormatError(
            "the shards hold more than their tensors",
            file=shards.name or file,
            record="weightsManifest",
            expected=f"{offset} bytes",
            found=f"{shards.size}",
        )


def _place(packed: Any, kind: str, offset: int, count: int, file: str, name: str) -> Place:
    if kind not in DTYPES:
        raise UnsupportedError(
            f"tensor {name!r} is of type {kind!r:.40}",
            feature=f"type {kind!r:.40} in TensorFlow.js' weights",
            file=file,
        )
    if not packed:
        return Place(offset, count * DTYPES[kind].itemsize, DTYPES[kind])
    try:
        stored = QUANTIZED[packed["dtype"]]
        if stored.kind == "f":
            return Place(offset, count * stored.itemsize, stored)
        scale, minimum = float(packed["scale"]), float(packed["min"])
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(file, name, f"its quantization is incomplete: {error}") from error
    return Place(offset, count * stored.itemsize, stored, scale, minimum)


def _length_of_strings(shards: Shards, offset: int, count: int, name: str) -> int:
    end = offset
    if count * LENGTH > shards.size - offset:
        raise _bad(shards.name, name, "the shards end before its strings do")
    for _ in range(count):
        head = shards.view(end, LENGTH) if end + LENGTH <= shards.size else None
        end += LENGTH + (0 if head is None else int.from_bytes(head.tobytes(), "little"))
        if head is None or end > shards.size:
            raise _bad(shards.name, name, "the shards end before its strings do")
    return end - offset


def _texts(data: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(data):
        length = int.from_bytes(data[begin : begin + LENGTH], "little")
        begin += LENGTH
        yield data[begin : begin + length]
        begin += length


def scaled(tensor: LazyTensor, scale: float) -> LazyTensor:
    """A tensor of float32 whose values are `scale` times as large; it is not read."""
    return LazyTensor(
        tensor.name,
        tensor.shape,
        tensor.dtype,
        tensor.nbytes,
        tensor.source,
        replace(tensor.record, scale=scale),
    )


def _bad(file: str, record: str, why: str) -> FormatError:
    return FormatError(f"{record}: {why}", file=file, record=record)


def write_manifest(
    folder: str, tensors: Mapping[str, LazyTensor]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write the shards of some tensors, one tensor in memory at a time.

    Returns:
        The manifest, and the types that became others.

    Raises:
        SaveError: the system refuses to write, or a number does not fit the type that it gets.
        UnsupportedError: a type that the format does not have.
    """
    kinds = {name: _kind(name, tensor) for name, tensor in tensors.items()}
    entries = [
        {"name": name, "shape": list(tensor.shape), "dtype": kinds[name]}
        for name, tensor in tensors.items()
    ]
    total = sum(t.size * DTYPES[kinds[name]].itemsize for name, t in tensors.items())
    count = max(1, -(-total // SHARD))
    paths = [f"group1-shard{i + 1}of{count}.bin" for i in range(count)]
    blocks = (_encoded(name, t, DTYPES[kinds[name]]) for name, t in tensors.items())
    try:
        _write_shards([join(folder, path) for path in paths], blocks)
    except OSError as error:
        raise SaveError(f"{folder} cannot be written: {error}", file=folder) from error
    changed = [
        f"{name}: {tensor.dtype.name} as {kinds[name]}"
        for name, tensor in tensors.items()
        if tensor.dtype.name != kinds[name]
    ]
    return [{"paths": paths, "weights": entries}], changed


def _kind(name: str, tensor: LazyTensor) -> str:
    kind = tensor.dtype.name
    kind = WIDER.get(kind) or NARROWER.get(kind) or kind
    if kind not in DTYPES:
        raise UnsupportedError(
            f"tensor {name!r} is {kind}, which TensorFlow.js does not have",
            feature=f"{kind} in TensorFlow.js' weights",
            record=name,
        )
    return kind


def _encoded(name: str, tensor: LazyTensor, dtype: np.dtype[Any]) -> NDArray[np.uint8]:
    values = np.ascontiguousarray(tensor.read())
    if values.dtype == np.int64 and not np.array_equal(values.astype(np.int32), values):
        raise SaveError(
            f"tensor {name!r} holds integers of more than 32 bits, which TensorFlow.js lacks",
            instead="cast it to int32, where its values fit",
        )
    stored = values.astype(dtype.newbyteorder("<"), copy=False)
    return stored.reshape(-1).view(np.uint8)


def _write_shards(paths: Sequence[str], blocks: Iterable[NDArray[np.uint8]]) -> None:
    """Cut blocks of bytes into files of `SHARD` bytes each, the last one of the rest."""
    rest: Iterator[NDArray[np.uint8]] = iter(blocks)
    block = np.empty(0, np.uint8)
    for path in paths:
        with create(path) as file:
            free = SHARD
            while free:
                if not block.size:
                    following = next(rest, None)
                    if following is None:
                        return
                    block = following
                file.write(block[:free].data)
                written = min(free, block.size)
                free, block = free - written, block[written:]
