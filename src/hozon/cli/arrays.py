"""Arrays from files, for models, and into files: a reader and a writer for each suffix.

Files of numbers as text, ``.json`` and ``.csv``, do not say their types: they are read as lists,
which become arrays of the types that the model takes.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hozon.errors import ArgumentError, FormatError, MismatchError
from hozon.formats.jsondoc import parse_json
from hozon.prediction import ONLY
from hozon.raw.stores import (
    is_file,
    join,
    make_folders,
    parent_and_name,
    place,
    read_bytes,
    require_writable,
    write_bytes,
)

#: Standard input or output.
STANDARD = "-"
#: Characters of an output's name that are not used in the name of its file.
UNUSABLE = re.compile(r"[^\w.#-]|^\.+")
ZIP = b"PK\x03\x04"

Read = Callable[[bytes, str], Any]


# Reading


def read_inputs(arguments: Sequence[str]) -> dict[str, Any]:
    """The inputs of ``--input NAME=FILE`` and ``--input FILE``, by name.

    A file without a name holds several by their names, ``.npz``, ``.json`` and ``.csv`` with a
    line of names, or the only input of the model.

    Raises:
        ArgumentError: one is given twice, or is of no known kind.
        MismatchError: there is no such file.
        FormatError: a file does not hold what its suffix says.
    """
    found: dict[str, Any] = {}
    for argument in arguments:
        for name, value in _inputs(argument):
            if name in found:
                raise ArgumentError(
                    f"--input {argument}: {name or 'the only input'} is given twice",
                    argument="--input",
                    accepted="each input once",
                )
            found[name] = value
    return found


def _inputs(argument: str) -> Iterator[tuple[str, Any]]:
    name, named, file = argument.rpartition("=")
    if (named and not name) or not file:
        raise ArgumentError(
            f"--input takes NAME=FILE or FILE, not {argument!r}",
            argument="--input",
            accepted="NAME=FILE or FILE",
        )
    data, end = _content(file)
    value = READERS[end](data, file)
    if not isinstance(value, dict):
        yield name or ONLY, value
    elif name:
        if name not in value and len(value) > 1:
            raise MismatchError(f"{file} has no {name!r}; it has: {', '.join(value)}", file=file)
        yield name, value[name] if name in value else next(iter(value.values()))
    else:
        yield from value.items()


def _content(file: str) -> tuple[bytes, str]:
    """The bytes of a file or of standard input, and the suffix of what they are."""
    if file == STANDARD:
        data = sys.stdin.buffer.read()
        npy = data.startswith(np.lib.format.MAGIC_PREFIX)
        return data, ".npy" if npy else ".npz" if data.startswith(ZIP) else ".json"
    path = place(file)
    if not is_file(path):
        raise MismatchError(f"{file} does not exist; --input takes NAME=FILE or FILE", file=file)
    end = next((end for end in READERS if path.lower().endswith(end)), None)
    if end is None:
        raise ArgumentError(
            f"{file} is of no known kind",
            argument="--input",
            accepted=f"a file that ends in {', '.join(READERS)}, or - for standard input",
        )
    return read_bytes(path), end


def _npy(data: bytes, file: str) -> Any:
    """The array of an ``.npy`` file; pickled objects are refused."""
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise FormatError(
            f"{file} is no NumPy file of numbers or text: {error}", file=file
        ) from None


def _npz(data: bytes, file: str) -> dict[str, Any]:
    from hozon.formats.archive import Archive
    from hozon.raw.sources import MemorySource

    archive = Archive(MemorySource(file, data))
    return {
        name.removesuffix(".npy"): _npy(archive.read(name), f"{file}:{name}")
        for name in archive.members
    }


def _json(data: bytes, file: str) -> Any:
    value = parse_json(data, file=file, record="JSON")
    if isinstance(value, dict):
        return {name: item if isinstance(item, list) else [item] for name, item in value.items()}
    return value if isinstance(value, list) else [value]


def _csv(data: bytes, file: str) -> Any:
    """Columns by the names in the first line; all rows where it has none."""
    try:
        rows = [row for row in csv.reader(io.StringIO(data.decode("utf-8-sig"))) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"{file} is no text of values and commas: {error}", file=file) from None
    if not rows or len({len(row) for row in rows}) > 1:
        raise FormatError(f"{file} has no rows, or rows of several lengths", file=file)
    values = [[_value(cell) for cell in row] for row in rows]
    titled = len(rows) > 1 and all(isinstance(cell, str) for cell in values[0])
    if not titled or all(isinstance(cell, str) for row in values for cell in row):
        return values
    return {name: [row[i] for row in values[1:]] for i, name in enumerate(rows[0])}


def _value(cell: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def _lines(data: bytes, file: str) -> Any:  # noqa: ARG001
    """The lines of a text file as a vector of bytes objects."""
    texts = data.splitlines()
    lines = np.empty(len(texts), object)
    lines[:] = texts
    return lines


#: Readers by suffix.
READERS: Mapping[str, Read] = {
    ".npy": _npy,
    ".npz": _npz,
    ".csv": _csv,
    ".json": _json,
    ".txt": _lines,
}


# Writing


def write_outputs(outputs: Mapping[str, Any], target: str) -> list[str]:
    """Write outputs into one file, by its suffix, or as ``NAME.npy`` into a folder.

    Strings become fixed-width bytes in NumPy's files, floats that NumPy does not have (bfloat16)
    float32; what a name may not have in a file becomes ``_``.

    Returns:
        The files; none for standard output.

    Raises:
        MismatchError: two outputs would be written to the same file, or do not fit into one table.
    """
    if target == STANDARD:
        print(as_json(outputs))
        return []
    where = require_writable(target)
    end = next((end for end in WRITERS if where.lower().endswith(end)), None)
    if end is None:
        return _into_folder(outputs, where)
    data = WRITERS[end](outputs)
    make_folders(parent_and_name(where)[0])
    write_bytes(where, data)
    return [where]


def _into_folder(outputs: Mapping[str, Any], folder: str) -> list[str]:
    files = {name: join(folder, f"{UNUSABLE.sub('_', name)}.npy") for name in outputs}
    if len(set(files.values())) != len(files):
        raise MismatchError(f"outputs share a file name: {', '.join(outputs)}")
    make_folders(folder)
    for name, array in outputs.items():
        write_bytes(files[name], _as_npy(array))
    return list(files.values())


def _storable(array: Any) -> Any:
    """An array as a dtype that ``.npy`` files hold."""
    if array.dtype == object:
        return array.astype(bytes)
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def _as_npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, _storable(array), allow_pickle=False)
    return buffer.getvalue()


def _to_npz(outputs: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{name: _storable(array) for name, array in outputs.items()})
    return buffer.getvalue()


def as_json(outputs: Mapping[str, Any]) -> str:
    """Outputs as one JSON object of nested lists, by name."""
    return json.dumps({name: _plain(array.tolist()) for name, array in outputs.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _to_csv(outputs: Mapping[str, Any]) -> bytes:
    """A row for each sample, a column for each value, called after the output."""
    rows = {len(array) if array.ndim else 1 for array in outputs.values()}
    if len(rows) > 1 or any(array.ndim > 2 for array in outputs.values()):
        shapes = [f"{name}: {array.shape}" for name, array in outputs.items()]
        raise MismatchError("these outputs are no table", mismatches=shapes)
    tables = {name: array.reshape(next(iter(rows)), -1).tolist() for name, array in outputs.items()}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        name if len(table[0]) == 1 else f"{name}.{i}"
        for name, table in tables.items()
        for i in range(len(table[0]) if table else 0)
    )
    for parts in zip(*tables.values(), strict=True):
        writer.writerow(_plain(value) for part in parts for value in part)
    return text.getvalue().encode()


#: Writers by suffix.
WRITERS: Mapping[str, Callable[[Mapping[str, Any]], bytes]] = {
    ".npz": _to_npz,
    ".json": lambda outputs: as_json(outputs).encode(),
    ".csv": _to_csv,
}
