"""safetensors files: a length, a JSON header, then the tensors' bytes.

The layout is that of github.com/huggingface/safetensors: eight bytes of length, little-endian; a
JSON object of names to ``{"dtype", "shape", "data_offsets"}`` and ``"__metadata__"``, texts by
name; the bytes, little-endian, C order, without gaps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hozon.errors import FormatError, SaveError, UnsupportedError
from hozon.formats.jsondoc import parse_object
from hozon.limits import LIMITS
from hozon.raw.own_checksum import BLANK, SAFETENSORS_HEAD, behind, fill_own
from hozon.raw.stores import create
from hozon.stored.dtypes import dtype_of_safetensors
from hozon.stored.extents import Extents, span_of
from hozon.stored.lazy import LazyTensor, elements

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hozon.raw.sources import Source

LENGTH = 8
METADATA = "__metadata__"
#: Offsets of tensors are multiples of this, by blanks after the header.
ALIGNMENT = 8


def is_safetensors(source: Source) -> bool:
    """Whether a file begins as a safetensors file does."""
    if source.size < LENGTH + 2:
        return False
    head = source.view(0, LENGTH + 1).tobytes()
    length = int.from_bytes(head[:LENGTH], "little")
    return head[LENGTH:] == b"{" and length <= min(source.size - LENGTH, LIMITS.header_bytes)


def read_header(source: Source) -> tuple[dict[str, LazyTensor], dict[str, str]]:
    """The tensors of a file by name, mapped from it, and its metadata.

    Raises:
        FormatError: it is no safetensors file, or its header contradicts the file.
        UnsupportedError: a tensor has a type that is not known.
    """
    if not is_safetensors(source):
        raise FormatError(f"{source.name} is not a safetensors file", file=source.name)
    length = int.from_bytes(source.view(0, LENGTH).tobytes(), "little")
    text = source.view(LENGTH, length).tobytes()
    header = dict(parse_object(text, file=source.name, record="header", unique=True))
    metadata = header.pop(METADATA, {})
    data = _Data(source, LENGTH + length)
    tensors = {name: data.tensor(name, entry) for name, entry in header.items()}
    _check_cover(tensors, source, LENGTH + length)
    texts = metadata.items() if isinstance(metadata, dict) else ()
    return tensors, {str(k): str(v) for k, v in texts}


class _Data:
    """The bytes after the header."""

    def __init__(self, source: Source, start: int) -> None:
        self._source = source
        self._start = start

    def tensor(self, name: str, entry: Any) -> LazyTensor:
        """A tensor as the header states it."""
        try:
            kind, shape = str(entry["dtype"]), tuple(int(n) for n in entry["shape"])
            begin, end = (int(n) for n in entry["data_offsets"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._bad(name, f"its entry is incomplete: {error}") from error
        dtype = dtype_of_safetensors(kind)
        count = 1
        for size in shape:
            count *= size
        fits = 0 <= begin <= end <= self._source.size - self._start
        if len(shape) > LIMITS.rank or min(shape, default=0) < 0 or not fits:
            raise self._bad(name, "its shape or place is impossible")
        if end - begin != count * dtype.itemsize:
            raise self._bad(name, f"{end - begin} bytes hold no {dtype.name}{list(shape)}")
        return LazyTensor(name, shape, dtype, end - begin, self, (begin, end))

    def _bad(self, name: str, why: str) -> FormatError:
        return FormatError(f"tensor {name!r}: {why}", file=self._source.name, record=name)

    def read_tensor(self, tensor: LazyTensor, verify: bool) -> NDArray[Any]:  # noqa: ARG002
        """The whole tensor, a view of the file."""
        begin, end = tensor.record
        return self._values(tensor, begin, end - begin, tensor.shape)

    def _values(
        self, tensor: LazyTensor, begin: int, nbytes: int, shape: tuple[int, ...]
    ) -> NDArray[Any]:
        data = self._source.view(self._start + begin, nbytes)
        array = elements(data, tensor.dtype.numpy, shape).astype(tensor.dtype.numpy, copy=False)
        array.flags.writeable = False
        return array

    def read_extents(
        self,
        tensor: LazyTensor,
        extents: Extents,
        verify: bool,  # noqa: ARG002
    ) -> NDArray[Any]:
        """A part of a tensor; of a mapped file a view."""
        span = span_of(extents, tensor.shape, tensor.dtype.itemsize)
        begin = tensor.record[0] + span.offset
        part: NDArray[Any] = self._values(tensor, begin, span.nbytes, span.shape)[span.index]
        return part


def _check_cover(tensors: Mapping[str, LazyTensor], source: Source, start: int) -> None:
    """The tensors lie one after the other, without gaps or overlaps, to the end of the file."""
    end = 0
    for tensor in sorted(tensors.values(), key=lambda t: tuple(t.record)):
        if tensor.record[0] != end:
            raise FormatError(
                f"tensor {tensor.name!r} overlaps another or leaves a gap",
                file=source.name,
                record=tensor.name,
            )
        end = tensor.record[1]
    if start + end != source.size:
        raise FormatError(
            f"{source.name} is cut short or too long",
            file=source.name,
            expected=start + end,
            found=source.size,
        )


def write_safetensors(
    path: str, tensors: Mapping[str, LazyTensor], metadata: Mapping[str, str]
) -> None:
    """Write a file, one tensor after the other; the caller puts it in its place.

    The first entry of its metadata is a checksum of the whole file.

    Raises:
        SaveError: the system refuses to write.
        UnsupportedError: a type that the format does not have.
    """
    header: dict[str, Any] = {}
    place = 0
    for name, tensor in tensors.items():
        if tensor.dtype.safetensors is None:
            raise UnsupportedError(
                f"tensor {name!r} is {tensor.dtype.name}, which safetensors does not have",
                feature=f"{tensor.dtype.name} in safetensors",
                record=name,
            )
        size = tensor.size * tensor.dtype.itemsize
        header[name] = {
            "dtype": tensor.dtype.safetensors,
            "shape": list(tensor.shape),
            "data_offsets": [place, place + size],
        }
        place += size
    told = json.dumps(dict(metadata), separators=(",", ":")).encode().removeprefix(b"{")
    rest = json.dumps(header, separators=(",", ":")).encode().removeprefix(b"{")
    text = SAFETENSORS_HEAD + BLANK + b'"' + behind(told) + behind(rest)
    text += b" " * (-len(text) % ALIGNMENT)
    try:
        with create(path) as file:
            file.write(len(text).to_bytes(LENGTH, "little") + text)
            for tensor in tensors.values():
                array = np.ascontiguousarray(tensor.read())
                stored = array.astype(array.dtype.newbyteorder("<"), copy=False)
                file.write(stored.reshape(-1).view(np.uint8).data)  # bfloat16 has no buffer
            fill_own(file, path)
    except OSError as error:
        raise SaveError(f"{path} cannot be written: {error}", file=path) from error
