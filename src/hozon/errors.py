"""Every exception that Hozon raises on purpose.

Each one says which file and which record, what was expected and what was found, and, where there
is one, the way around. The facts are attributes too, so that a program needs no text matching.
Each also derives from the built-in exception that a caller would have caught without Hozon.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from errno import ENOENT
from html import escape
from typing import Any

#: Of what `to_dict` of errors and reports gives; it grows where a name changes its meaning or goes.
SCHEMA_VERSION = 1
#: What every error has anyway.
_OWN = frozenset({"message", "filename", "strerror"})


def _plain(value: object) -> Any:
    """A fact as JSON has it."""
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)


class HozonError(Exception):
    """Above every error of this package.

    Attributes:
        message: what went wrong, without the location that `str(error)` adds.
    """

    def __init__(self, message: str, *_: object, **__: object) -> None:
        super().__init__(message)
        self.message = message

    def details(self) -> tuple[tuple[str, object], ...]:
        """The named facts that `str(error)` lists after the message; absent ones are None."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """The error as plain JSON values: its type, its message, and its facts by name."""
        facts = {name: value for name, value in vars(self).items() if name not in _OWN}
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "error",
            "type": type(self).__name__,
            "message": self.message,
            "text": str(self),
            **{name: _plain(value) for name, value in facts.items() if value is not None},
        }

    def _repr_html_(self) -> str:
        """The message and its facts as a table, for notebooks."""
        facts = ((name, value) for name, value in self.details() if value is not None)
        rows = "".join(
            f"<tr><th style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(str(value))}</td></tr>"
            for name, value in facts
        )
        title = f"{type(self).__name__}: {self.message}"
        return f"<table><caption>{escape(title)}</caption>{rows}</table>"

    def __str__(self) -> str:
        facts = [(name, str(value)) for name, value in self.details() if value is not None]
        told = [f"{name}: {value}" for name, value in facts if value not in self.message]
        return self.message if not told else f"{self.message} ({', '.join(told)})"


class ArgumentError(HozonError, ValueError, TypeError):
    """A call is given what it does not take. Nothing was read or written.

    Attributes:
        argument: name of the argument.
        accepted: what it takes, in words.
    """

    def __init__(self, message: str, *, argument: str = "", accepted: str = "") -> None:
        super().__init__(message)
        self.argument = argument
        self.accepted = accepted


class FormatError(HozonError, ValueError):
    """A file is damaged, cut short, or not of the format it is read as.

    Attributes:
        file: path of the file, or None where the bytes had no path.
        record: name of the record, tensor, key or field inside it.
        offset: byte offset in the file of what is wrong.
        expected: what the format demands there.
        found: what is there.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | os.PathLike[str] | None = None,
        record: str | None = None,
        offset: int | None = None,
        expected: object = None,
        found: object = None,
    ) -> None:
        super().__init__(message)
        self.file = None if file is None else os.fspath(file)
        self.record = record
        self.offset = offset
        self.expected = expected
        self.found = found

    def details(self) -> tuple[tuple[str, object], ...]:
        """File, record, offset, expected and found."""
        return (
            ("file", self.file),
            ("record", None if self.record is None else repr(self.record)),
            ("offset", self.offset),
            ("expected", self.expected),
            ("found", self.found),
        )


class UnsupportedError(HozonError, NotImplementedError):
    """A known thing that this version cannot do.

    Attributes:
        feature: the op, layer, dtype or feature.
        file: path of the file that needs it, if a file does.
        record: name of the record in it.
        instead: the way around.
    """

    def __init__(
        self,
        message: str,
        *,
        feature: str | None = None,
        file: str | os.PathLike[str] | None = None,
        record: str | None = None,
        instead: str | None = None,
    ) -> None:
        super().__init__(message)
        self.feature = feature
        self.file = None if file is None else os.fspath(file)
        self.record = record
        self.instead = instead

    def details(self) -> tuple[tuple[str, object], ...]:
        """Feature, file, record and the way around."""
        return (
            ("feature", self.feature),
            ("file", self.file),
            ("record", None if self.record is None else repr(self.record)),
            ("instead", self.instead),
        )


class UnknownFormatError(ArgumentError, UnsupportedError):
    """A `format`, a dialect, or what the end of a path means, is none that the call writes.

    Attributes:
        argument: ``"format"``, ``"dialect"`` or the name of the path's argument.
        accepted: what may stand there, in words.
    """

    def __init__(
        self,
        message: str,
        *,
        argument: str = "",
        accepted: str = "",
        file: str | os.PathLike[str] | None = None,
        instead: str | None = None,
    ) -> None:
        UnsupportedError.__init__(
            self, message, feature=f"this {argument}", file=file, instead=instead
        )
        self.argument = argument
        self.accepted = accepted

    def details(self) -> tuple[tuple[str, object], ...]:
        """The way around; the message says the rest."""
        return (("instead", self.instead),)


class MissingBackendError(UnsupportedError, ImportError):
    """Keras is to run on a backend that is not installed.

    Attributes:
        backend: its name.
    """

    def __init__(self, message: str, *, backend: str) -> None:
        UnsupportedError.__init__(self, message)
        self.backend = backend


class MissingFileError(FormatError, FileNotFoundError):
    """There is nothing at a path."""

    def __init__(self, message: str, *, file: str | os.PathLike[str]) -> None:
        super().__init__(message, file=file)
        self.errno = ENOENT
        self.strerror = os.strerror(ENOENT)
        self.filename = self.file


class ForeignFileError(FormatError, UnsupportedError):
    """What is at a path is none of the forms that Hozon knows.

    Attributes:
        found: what it is instead.
        instead: what to give.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | os.PathLike[str],
        found: str | None = None,
        instead: str | None = None,
    ) -> None:
        FormatError.__init__(self, message, file=file, found=found)
        self.feature = None
        self.instead = instead

    def details(self) -> tuple[tuple[str, object], ...]:
        """File, what was found, and what to give."""
        return (("file", self.file), ("found", self.found), ("instead", self.instead))


class UnsafeError(HozonError, PermissionError):
    """Something a file asks for is refused for safety.

    Attributes:
        refused: what was refused.
        file: path of the file that asks for it.
        record: name of the record in it.
        allow: how the caller can allow it, or None where nothing allows it.
    """

    def __init__(
        self,
        message: str,
        *,
        refused: str | None = None,
        file: str | os.PathLike[str] | None = None,
        record: str | None = None,
        allow: str | None = None,
    ) -> None:
        super().__init__(message)
        self.refused = refused
        self.file = None if file is None else os.fspath(file)
        self.record = record
        self.allow = allow

    def details(self) -> tuple[tuple[str, object], ...]:
        """What was refused, where, and how to allow it."""
        return (
            ("refused", self.refused),
            ("file", self.file),
            ("record", None if self.record is None else repr(self.record)),
            ("to allow it", self.allow),
        )


class SaveError(HozonError, OSError):
    """A path cannot be written.

    What was there before is unchanged, unless the message says that the new is in place, and what
    went wrong after that.

    Attributes:
        file: the path that was to be saved.
        errno: the system's error number, such as `errno.ENOSPC`.
        instead: the way around.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | os.PathLike[str] | None = None,
        errno: int | None = None,
        instead: str | None = None,
    ) -> None:
        super().__init__(message)
        self.file = None if file is None else os.fspath(file)
        self.errno = errno
        self.filename = self.file
        self.strerror = None if errno is None else os.strerror(errno)
        self.instead = instead

    def details(self) -> tuple[tuple[str, object], ...]:
        """The path and the way around."""
        return (("file", self.file), ("instead", self.instead))


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """What to say after a name that is unknown: the nearest; "" where nothing is near."""
    near = get_close_matches(str(name), [*known], 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


class MismatchError(HozonError, ValueError):
    """A file and what it is loaded into disagree.

    Attributes:
        mismatches: one line for each disagreement.
        file: path of the file.
    """

    def __init__(
        self,
        message: str,
        *,
        mismatches: Sequence[str] = (),
        file: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.mismatches = tuple(mismatches)
        self.file = None if file is None else os.fspath(file)

    def details(self) -> tuple[tuple[str, object], ...]:
        """The file; the disagreements follow on lines of their own."""
        return (("file", self.file),)

    def __str__(self) -> str:
        return "\n  ".join((super().__str__(), *self.mismatches))


class InternalError(AssertionError):
    """A fault of Hozon itself: what cannot happen did. Please report it with its message.

    No `HozonError`, so that nothing that handles bad files takes it for one.
    """


class MissingSignatureError(MismatchError, KeyError):
    """A model has no signature of a name."""

    def __init__(self, name: object, names: Sequence[str], file: str | None = None) -> None:
        what, has = file or "the model", ", ".join(names) or "none"
        super().__init__(
            f"{what} has no signature {name!r}{did_you_mean(name, names)}; it has: {has}"
        )


class MissingObjectError(HozonError, ValueError, LookupError):
    """Classes or functions that the caller must supply.

    Attributes:
        names: the registered names that the file uses.
        custom_objects: for each name, the expression to pass for it.
        file: path of the file.
    """

    def __init__(
        self,
        message: str,
        *,
        names: Sequence[str] = (),
        custom_objects: Mapping[str, str] | None = None,
        file: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(message)
        self.names = tuple(names)
        self.custom_objects = dict(custom_objects or dict.fromkeys(self.names, "..."))
        self.file = None if file is None else os.fspath(file)

    def argument(self) -> str:
        """The exact argument to pass: ``custom_objects={'Name': ...}``."""
        entries = ", ".join(f"{name!r}: {value}" for name, value in self.custom_objects.items())
        return f"custom_objects={{{entries}}}"

    def details(self) -> tuple[tuple[str, object], ...]:
        """The missing names, the file, and what to pass."""
        return (
            ("missing", ", ".join(self.names) or None),
            ("file", self.file),
            ("pass", self.argument() if self.custom_objects else None),
        )
