"""The text file ``checkpoint`` beside checkpoints: which is the latest, which are kept.

A CheckpointState message in text form (tensorflow/python/training/checkpoint_state.proto), paths
relative to the file's folder where they lie inside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hozon.arguments import checked, path_to_read, text_or_none
from hozon.containers.checkpoint.read import STATE_FILE, read_state
from hozon.errors import SaveError
from hozon.formats.bundle import is_bundle
from hozon.raw.commit import replacing_file
from hozon.raw.own_checksum import with_comment
from hozon.raw.staging import check_replaceable, in_place
from hozon.raw.stores import (
    absolute,
    exists,
    is_absolute,
    is_file,
    is_inside,
    join,
    parent_and_name,
    place,
    relative,
    write_bytes,
)

_FIELD = re.compile(r'^\s*(\w+)\s*:\s*("(?:[^"\\]|\\.)*"|[^\s#]+)', re.MULTILINE)
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", re.DOTALL)
_SIMPLE = {"n": b"\n", "t": b"\t", "r": b"\r", "a": b"\a", "b": b"\b", "f": b"\f", "v": b"\v"}


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """What the state file says; times are seconds since the epoch, one for each kept path."""

    model_checkpoint_path: str
    all_model_checkpoint_paths: tuple[str, ...] = ()
    all_model_checkpoint_timestamps: tuple[float, ...] = ()
    last_preserved_timestamp: float | None = None


@checked(checkpoint_dir=path_to_read, latest_filename=text_or_none)
def get_checkpoint_state(
    checkpoint_dir: str | os.PathLike[str], latest_filename: str | None = None
) -> CheckpointState | None:
    """The state of a folder of checkpoints, its paths made absolute or relative to here.

    Returns None where there is no state file.
    """
    folder = place(checkpoint_dir)
    file = join(folder, latest_filename or STATE_FILE)
    state = parse_state(read_state(file)) if is_file(file) else None
    if state is None:
        return None
    return CheckpointState(
        _joined(folder, state.model_checkpoint_path),
        tuple(_joined(folder, path) for path in state.all_model_checkpoint_paths),
        state.all_model_checkpoint_timestamps,
        state.last_preserved_timestamp,
    )


@checked(checkpoint_dir=path_to_read, latest_filename=text_or_none)
def latest_checkpoint(
    checkpoint_dir: str | os.PathLike[str], latest_filename: str | None = None
) -> str | None:
    """The prefix of the latest checkpoint in a folder; None without one that exists.

    Where the state file names a path outside of the folder, as after the folder was moved, the
    checkpoint of the same name inside is meant.
    """
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None:
        return None
    folder, named = place(checkpoint_dir), state.model_checkpoint_path
    path = named if is_inside(named, folder) else join(folder, parent_and_name(named)[1])
    return path if is_bundle(path) else None


def check_state_file(folder: str) -> None:
    """Raise SaveError if the state file of a folder cannot be replaced: before a save begins."""
    file = join(folder, STATE_FILE)
    if exists(file):
        check_replaceable(absolute(file))


def update_checkpoint_state(
    folder: str, state: CheckpointState, *, durable: bool | None = None
) -> None:
    """Write the state file, replacing an older one in one step.

    `durable` waits for the disk; None, where there is an older one, which must not be lost.

    Raises SaveError when it cannot be written; the checkpoint that it names is there then.
    """
    written = CheckpointState(
        relative(folder, state.model_checkpoint_path),
        tuple(relative(folder, path) for path in state.all_model_checkpoint_paths),
        state.all_model_checkpoint_timestamps,
        state.last_preserved_timestamp,
    )
    try:
        with replacing_file(join(folder, STATE_FILE), durable=durable) as fresh:
            write_bytes(fresh, with_comment(format_state(written).encode()))
    except SaveError as error:
        latest = state.model_checkpoint_path
        raise in_place(latest, "its folder does not name it as the latest", error) from error


def format_state(state: CheckpointState) -> str:
    """The text of a state, as TensorFlow writes it; the latest is among all paths."""
    paths: Sequence[str] = state.all_model_checkpoint_paths
    if state.model_checkpoint_path not in paths:
        paths = (*paths, state.model_checkpoint_path)
    lines = [f"model_checkpoint_path: {_quoted(state.model_checkpoint_path)}"]
    lines += [f"all_model_checkpoint_paths: {_quoted(path)}" for path in paths]
    lines += [
        f"all_model_checkpoint_timestamps: {time!r}"
        for time in state.all_model_checkpoint_timestamps
    ]
    if state.last_preserved_timestamp is not None:
        lines.append(f"last_preserved_timestamp: {state.last_preserved_timestamp!r}")
    return "\n".join(lines) + "\n"


def parse_state(text: str) -> CheckpointState | None:
    """The state in a text; None without a latest path. Unknown fields are passed over."""
    fields: dict[str, list[str]] = {}
    for name, value in _FIELD.findall(text):
        fields.setdefault(name, []).append(value)
    latest = fields.get("model_checkpoint_path")
    if not latest:
        return None
    preserved = _numbers(fields.get("last_preserved_timestamp", []))
    return CheckpointState(
        _unquoted(latest[-1]),
        tuple(map(_unquoted, fields.get("all_model_checkpoint_paths", []))),
        _numbers(fields.get("all_model_checkpoint_timestamps", [])),
        preserved[-1] if preserved else None,
    )


def _numbers(values: Sequence[str]) -> tuple[float, ...]:
    found = []
    for value in values:
        try:
            found.append(float(value))
        except ValueError:
            continue
    return tuple(found)


def _joined(folder: str, path: str) -> str:
    return path if is_absolute(path) else join(folder, path)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    plain = (
        c if 32 <= ord(c) < 127 else "".join(f"\\{b:03o}" for b in c.encode()) for c in escaped
    )
    return f'"{"".join(plain)}"'


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    pieces = []
    last = 0
    body = value[1:-1]
    for match in _ESCAPE.finditer(body):
        pieces += [body[last : match.start()].encode(), _unescaped(match[1])]
        last = match.end()
    return b"".join((*pieces, body[last:].encode())).decode(errors="replace")


def _unescaped(code: str) -> bytes:
    if code[0] in "01234567":
        return bytes([int(code, 8) & 255])
    if code[0] == "x" and len(code) > 1:
        return bytes([int(code[1:], 16)])
    return _SIMPLE.get(code, code.encode())
