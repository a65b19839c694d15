"""What was checked of an artifact, what no checksum covers, and what is damaged, as it is found.

The readers of each form fill an `Audit` record by record; one damaged record does not end it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hozon.errors import FormatError, HozonError, UnsupportedError

__all__ = ["Audit", "Damage"]


@dataclass(frozen=True, slots=True)
class Damage:
    """One damaged record.

    Attributes:
        problem: what is wrong with it.
        file: the file that holds it.
        record: its name in the file, "" for the file as a whole.
        offset: where in the file, if it is known.
        expected: what should be there, "" where that is no single thing.
        found: what is there.
    """

    problem: str
    file: str = ""
    record: str = ""
    offset: int | None = None
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        place = ", ".join(text for text in (self.file, self.record) if text)
        at = "" if self.offset is None else f" at byte {self.offset}"
        facts = [f"expected {self.expected}"] if self.expected else []
        facts += [f"found {self.found}"] if self.found else []
        told = f" ({', '.join(facts)})" if facts else ""
        return f"{place}{at}: {self.problem}{told}"


@dataclass(slots=True)
class Audit:
    """What has been found so far.

    Attributes:
        nbytes: bytes of all files together.
        covered: bytes that a checksum covers, which was compared.
        uncovered: bytes that none covers, by what they are.
        checked: how many of each kind of thing were looked at.
        damage: the damaged records, in the order in which they were found.
        unchecked: what could not be looked at, and why.
    """

    nbytes: int = 0
    covered: int = 0
    uncovered: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    damage: list[Damage] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def checking(self, what: str, record: str = "", file: str = "") -> Checking:
        """Count one thing; what its reader raises about it is noted, and the audit goes on."""
        self.checked[what] += 1
        return Checking(self, record, file)

    def cover(self, nbytes: int) -> None:
        """Bytes whose checksum was compared."""
        self.covered += nbytes

    def count(self, what: str, nbytes: int, *, covered: bool) -> None:
        """Bytes whose checksum was compared if they are covered, or that have none."""
        if covered:
            self.cover(nbytes)
        else:
            self.leave(what, nbytes)

    def leave(self, what: str, nbytes: int) -> None:
        """Bytes that no checksum covers."""
        if nbytes > 0:
            self.uncovered[what] += nbytes

    def damaged(
        self, problem: str, *, file: str = "", record: str = "", expected: str = "", found: str = ""
    ) -> None:
        """Note a damaged record that no reader raised an error about."""
        self.damage.append(Damage(problem, file, record, None, expected, found))

    def note(self, error: HozonError | FileNotFoundError, record: str, file: str) -> None:
        """Note what a reader said of a record."""
        if isinstance(error, UnsupportedError) and not isinstance(error, FormatError):
            self.unchecked.append(str(error))
            return

        def fact(name: str) -> str:
            value = getattr(error, name, None)
            return "" if value is None else str(value)

        made = Damage(
            getattr(error, "message", str(error)),
            fact("file") or file,
            fact("record") or record,
            getattr(error, "offset", None),
            fact("expected"),
            fact("found"),
        )
        if made not in self.damage:
            self.damage.append(made)


class Checking:
    """One thing that is being checked; see `Audit.checking`."""

    __slots__ = ("_audit", "_file", "_record")

    def __init__(self, audit: Audit, record: str, file: str) -> None:
        self._audit, self._record, self._file = audit, record, file

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Note what was raised, if it is about the file."""
        if not isinstance(error, (HozonError, FileNotFoundError)):
            return False
        self._audit.note(error, self._record, self._file)
        return True
