"""Attributes as plain Python values."""

from __future__ import annotations

from typing import Any

import h5py  # noqa: TID251
import numpy as np

from hozon.errors import FormatError, UnsafeError, UnsupportedError
from hozon.formats.hdf5.layout import EXPANSION_FLOOR
from hozon.limits import LIMITS

Identifier = Any


def has_attribute(owner: Identifier, name: str) -> bool:
    """Whether an object has an attribute."""
    return bool(h5py.h5a.exists(owner, name.encode()))


def attribute_names(owner: Identifier, file: str) -> list[str]:
    """Names of an object's attributes, sorted."""
    count = h5py.h5a.get_num_attrs(owner)
    if count > LIMITS.members:
        raise FormatError("an object has too many attributes", file=file, found=count)
    names = [_text(h5py.h5a.open(owner, index=i).name) for i in range(count)]
    if not all(isinstance(name, str) for name in names):
        raise FormatError("the name of an attribute is no UTF-8", file=file)
    return sorted(names)


def read_attribute(owner: Identifier, name: str, file: str, file_bytes: int) -> Any:
    """An attribute: text as str, or bytes where it is no UTF-8; numbers; lists of them.

    Raises:
        FormatError: there is none of that name, or it declares more than the file can hold.
        UnsafeError: it refers to other objects.
        UnsupportedError: its type has no counterpart.
    """
    if not has_attribute(owner, name):
        raise FormatError(f"{file} has no attribute {name!r}", file=file, record=name)
    attribute = h5py.h5a.open(owner, name.encode())
    kind = attribute.get_type()
    check_type(kind, name, file)
    if is_null(attribute):
        return None
    _check_size(attribute, kind, name, file, file_bytes)
    array = np.empty(attribute.shape, dtype=_memory_dtype(attribute, name, file))
    attribute.read(array)
    return plain(array)


def _memory_dtype(attribute: Identifier, name: str, file: str) -> np.dtype[Any]:
    try:
        found: np.dtype[Any] = np.dtype(attribute.dtype)
    except TypeError as error:
        raise UnsupportedError(
            f"attribute {name!r} has a type that NumPy does not", file=file, record=name
        ) from error
    return found


def check_type(kind: Identifier, name: str, file: str) -> None:
    """Refuse references to objects and types made of other types, strings excepted.

    Raises:
        UnsafeError: a reference.
        UnsupportedError: another type.
    """
    if kind.get_class() == h5py.h5t.REFERENCE:
        raise UnsafeError(
            f"{name!r} refers to other objects", refused="an HDF5 reference", file=file, record=name
        )
    text = kind.get_class() == h5py.h5t.STRING
    if not text and kind.get_class() not in _PLAIN and kind.dtype.kind != "c":
        raise UnsupportedError(
            f"{name!r} has a type that no model file uses",
            feature="compound, array and sequence types of HDF5",
            file=file,
            record=name,
        )


_PLAIN = frozenset(
    {h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.OPAQUE, h5py.h5t.ENUM, h5py.h5t.BITFIELD}
)


def is_null(holder: Identifier) -> bool:
    """Whether an attribute or dataset has a type but no value."""
    return bool(holder.get_space().get_simple_extent_type() == h5py.h5s.NULL)


def is_variable_text(kind: Identifier) -> bool:
    """Whether a type is strings of variable length, each stored elsewhere in the file."""
    return kind.get_class() == h5py.h5t.STRING and bool(kind.is_variable_str())


def check_text_count(count: int, name: str, file: str, file_bytes: int) -> None:
    """Refuse variable strings so many that, all the same long one, they would fill the memory."""
    allowed = max(1 << 30, LIMITS.expansion_ratio * file_bytes)
    if count > 1 and count * file_bytes > allowed:
        raise FormatError(
            f"{name!r} holds more strings than its file can",
            file=file,
            record=name,
            expected=f"at most {allowed // max(1, file_bytes)}",
            found=count,
        )


def _check_size(
    attribute: Identifier, kind: Identifier, name: str, file: str, file_bytes: int
) -> None:
    count = int(np.prod(attribute.shape, dtype=object))
    if is_variable_text(kind):
        check_text_count(count, name, file, file_bytes)
    declared = count * kind.get_size()
    if declared > min(LIMITS.header_bytes, max(file_bytes, EXPANSION_FLOOR)):
        raise FormatError(
            f"attribute {name!r} declares more bytes than its file has",
            file=file,
            record=name,
            expected=f"at most {file_bytes} bytes",
            found=f"{declared} bytes",
        )


def plain(array: Any) -> Any:
    """An array as Python values; text is str where it is UTF-8."""
    if array.ndim == 0:
        return _item(array[()])
    return [plain(item) if isinstance(item, np.ndarray) else _item(item) for item in array]


def _item(value: Any) -> Any:
    if isinstance(value, bytes):
        return _text(value)
    return value.item() if isinstance(value, np.generic) else value


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
