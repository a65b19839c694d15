"""Writing: groups, attributes and tensors, each tensor's bytes straight from where they are.

No times are stored, so the same calls give the same bytes. HDF5 writes through a Python file: its
own driver drops errors that the system gives when a file is closed, or dies of them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO

import h5py  # noqa: TID251
import numpy as np

from hozon.errors import SaveError
from hozon.formats.hdf5.layout import ATTRIBUTE_BYTES, DTYPE_ATTRIBUTE
from hozon.formats.hdf5.stream import WriteStream
from hozon.raw.own_checksum import BLANK, TRAILER, fill_own
from hozon.raw.stores import create
from hozon.stored.dtypes import dtype_of_numpy
from hozon.stored.streams import array_of, is_string, string_items

__all__ = ["GroupWriter", "write_hdf5"]


@contextmanager
def write_hdf5(path: str, into: BinaryIO | None = None) -> Iterator[GroupWriter]:
    """A new file, for as long as the body runs; the caller puts it in its place.

    Behind what HDF5 writes stands a checksum of it.

    Args:
        path: of the file.
        into: an open file that is written instead; `path` is then only its name.

    Raises:
        SaveError: the system refuses to write.
    """
    try:
        with ExitStack() as stack:
            target = into or stack.enter_context(create(path))
            stream = WriteStream(target)
            with _errors_of(stream), h5py.File(stream, "w", track_order=False) as file:
                yield GroupWriter(file, path)
            if into is None:
                target.seek(0, io.SEEK_END)
                target.write(TRAILER + BLANK)
                fill_own(target, path)
    except OSError as error:
        if isinstance(error, SaveError):
            raise
        raise SaveError(f"{path} cannot be written: {error}", file=path) from error


@contextmanager
def _errors_of(stream: WriteStream) -> Iterator[None]:
    """Raise what the system told the stream, however HDF5 passes it on."""
    try:
        yield
        stream.flush()
    except RuntimeError as error:  # h5py's word for a close that did not succeed
        raise (stream.error or error) from error
    if stream.error is not None:
        raise stream.error


class GroupWriter:
    """One group of a file that is being written."""

    def __init__(self, group: Any, path: str) -> None:
        self._group = group
        self._path = path

    def group(self, path: str) -> GroupWriter:
        """The group at a path of names joined by "/"; it is made where it is missing.

        Raises:
            SaveError: HDF5 holds no such name.
        """
        self._require_text(path)
        return GroupWriter(self._group.require_group(path), self._path)

    def attribute(self, name: str, value: Any) -> None:
        """Text of any length, a number, or an array.

        Raises:
            SaveError: an array is longer than HDF5 allows an attribute, see `names_attribute`; or
                HDF5 holds no such text.
        """
        if isinstance(value, str):
            self._require_text(value)
        try:
            self._group.attrs[name] = value
        except (RuntimeError, OSError) as error:
            raise SaveError(
                f"attribute {name!r} cannot be written: {error}", file=self._path
            ) from error

    def _require_text(self, text: str | bytes) -> None:
        if 0 in (text.encode() if isinstance(text, str) else text):
            raise SaveError(
                f"{text!r:.80} has a NUL in it, which no text in an HDF5 file may have",
                file=self._path,
                instead="another name or text, or a SavedModel",
            )

    def names_attribute(self, name: str, values: Sequence[str]) -> None:
        """A list of names as Keras stores it: split where it is longer than HDF5 allows.

        Raises:
            SaveError: one name alone is longer, or HDF5 holds no such text.
        """
        for value in values:
            self._require_text(value)
        encoded = [value.encode() for value in values]
        longest = max((len(value) for value in encoded), default=1)
        if longest > ATTRIBUTE_BYTES:
            raise SaveError(f"a name in {name!r} is longer than HDF5 allows", file=self._path)
        fit = max(1, ATTRIBUTE_BYTES // max(1, longest))
        array = np.array(encoded) if encoded else np.empty((0,), "S1")
        if len(encoded) <= fit:
            self.attribute(name, array)
            return
        for number, start in enumerate(range(0, len(encoded), fit)):
            self.attribute(f"{name}{number}", array[start : start + fit])

    def tensor(self, path: str, value: Any) -> None:
        """A tensor at a path of names joined by "/".

        Args:
            path: below this group; groups on the way are made.
            value: an array of NumPy or JAX, a number, or a stored tensor.

        Raises:
            SaveError: there is something at that place already, or HDF5 holds no such text.
        """
        self._require_text(path)
        if path in self._group:
            raise SaveError(f"{path!r} would be written twice", file=self._path)
        array, dtype = array_of(value)
        if is_string(dtype):
            texts = np.empty(array.shape, object)
            texts.reshape(-1)[:] = string_items(array)
            for text in texts.reshape(-1):
                self._require_text(text)
            self._group.create_dataset(path, data=texts, dtype=h5py.string_dtype("ascii"))
            return
        opaque = _is_opaque(array.dtype)
        stored = np.dtype(f"V{array.dtype.itemsize}") if opaque else array.dtype
        dataset = self._group.create_dataset(path, shape=array.shape, dtype=stored)
        if opaque:
            dataset.attrs[DTYPE_ATTRIBUTE] = dtype.name
        if array.size:
            data = np.ascontiguousarray(array).reshape(array.shape)
            data = data.view(stored) if opaque else data
            dataset.id.write(h5py.h5s.ALL, h5py.h5s.ALL, data)


def _is_opaque(dtype: np.dtype[Any]) -> bool:
    """Whether HDF5 has no name for the type: bfloat16, 8-bit floats and others of ml_dtypes."""
    return (
        dtype.kind == "V"
        or type(dtype).__module__.startswith("ml_dtypes")
        or (dtype_of_numpy(dtype).name not in _HDF5_TYPES)
    )


_HDF5_TYPES = frozenset(
    {
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bool",
        "complex64",
        "complex128",
    }
)
