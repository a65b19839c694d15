"""Every checksum, cross reference and shape of an artifact, without Keras or JAX."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from hozon.arguments import checked, path_to_read
from hozon.audit import Audit, Damage
from hozon.errors import ForeignFileError, FormatError, MissingFileError
from hozon.forms import form_of
from hozon.raw.stores import is_directory, place
from hozon.reports import Report, size_text

__all__ = ["Damage", "VerifyReport", "verify"]

SHOWN = 20


@dataclass(frozen=True, slots=True, repr=False)
class VerifyReport(Report):
    """What was checked of an artifact, and what is damaged.

    Attributes:
        path: the artifact.
        format: its form; "unknown" where it is too damaged to tell.
        ok: whether nothing is damaged.
        nbytes: bytes of all its files together.
        covered: bytes that a checksum covers, which was compared.
        uncovered: bytes that none covers, by what they are: no check can find a flipped bit there.
        checked: how many of each kind of thing were checked.
        damage: the damaged records, each with its file, place and what was expected.
        unchecked: what could not be checked, and why.
    """

    kind: ClassVar[str] = "verify"

    path: str
    format: str
    ok: bool
    nbytes: int = 0
    covered: int = 0
    uncovered: Mapping[str, int] = field(default_factory=dict)
    checked: Mapping[str, int] = field(default_factory=dict)
    damage: tuple[Damage, ...] = ()
    unchecked: tuple[str, ...] = ()

    def assert_ok(self) -> VerifyReport:
        """Raise FormatError for the first damaged record; else return the report."""
        if self.damage:
            first = self.damage[0]
            raise FormatError(
                first.problem,
                file=first.file or self.path,
                record=first.record or None,
                offset=first.offset,
                expected=first.expected or None,
                found=first.found or None,
            )
        return self

    def __str__(self) -> str:
        return self.text()

    def text(self, most: int = SHOWN) -> str:
        """What was found, at most so many damaged records."""
        state = "sound" if self.ok else f"damaged in {len(self.damage)} places"
        lines = [f"{self.path}: {self.format}, {state}"]
        lines += [f"damaged: {item}" for item in self.damage[:most]]
        more = len(self.damage) - most
        lines += [f"damaged: ... and {more} more"] if more > 0 else []
        lines.append("checked: " + ", ".join(f"{n:,} {what}" for what, n in self.checked.items()))
        share = f" of {size_text(self.nbytes)}"
        lines.append(f"covered by checksums: {size_text(self.covered)}{share}")
        left = ", ".join(f"{size_text(n)} ({what})" for what, n in self.uncovered.items())
        lines += [f"covered by none: {left}"] if left else []
        lines += [f"not checked: {item}" for item in self.unchecked]
        return "\n".join(lines)


@checked(path=path_to_read)
def verify(path: str | os.PathLike[str]) -> VerifyReport:
    """Check an artifact: every checksum, what refers to what, and every shape.

    Nothing is built or run. Memory holds one record, and a few megabytes of a large tensor.

    Args:
        path: any artifact: a SavedModel directory, a file of Keras or of safetensors, or the
            prefix, index file or folder of a checkpoint; a path or URL.

    Returns:
        What was checked, how many bytes no checksum covers, and what is damaged, by record.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: it is none of these.

    Example:
        >>> report = hozon.verify("my_model")
        >>> report.ok, report.uncovered
        >>> report.assert_ok()
    """
    where = place(path)
    audit, label = Audit(), "unknown"
    try:
        form = form_of(where)
    except (ForeignFileError, MissingFileError):
        raise
    except FormatError as error:
        if is_directory(where):
            raise
        audit.checked["files"] += 1
        audit.note(error, "", where)
    else:
        label = form.label
        with audit.checking("artifacts", file=where):
            form.audit(where, audit)
    return VerifyReport(
        path=where,
        format=label,
        ok=not audit.damage,
        nbytes=audit.nbytes,
        covered=audit.covered,
        uncovered=dict(audit.uncovered),
        checked=dict(audit.checked),
        damage=tuple(audit.damage),
        unchecked=tuple(audit.unchecked),
    )
