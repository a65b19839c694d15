"""Which file and record some bytes came from, so that every complaint can say so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hozon.errors import FormatError, UnsupportedError


@dataclass(frozen=True, slots=True)
class Location:
    """A record of a file.

    Attributes:
        file: path or URL of the file.
        record: name of the record inside it, None for the file as a whole.
        offset: byte offset in the file at which the record starts.
    """

    file: str
    record: str | None = None
    offset: int = 0

    def at(self, record: str, offset: int | None = None) -> Location:
        """The location of a record of the same file."""
        return replace(self, record=record, offset=self.offset if offset is None else offset)

    def damaged(
        self, message: str, *, at: int | None = None, expected: object = None, found: object = None
    ) -> FormatError:
        """The error to raise for damage `at` that many bytes into the record."""
        return FormatError(
            message,
            file=self.file,
            record=self.record,
            offset=None if at is None else self.offset + at,
            expected=expected,
            found=found,
        )

    def unsupported(
        self, message: str, *, feature: str, instead: str | None = None
    ) -> UnsupportedError:
        """The error to raise for something sound that this version cannot read."""
        return UnsupportedError(
            message,
            feature=feature,
            file=self.file,
            record=self.record,
            instead=instead,
        )
