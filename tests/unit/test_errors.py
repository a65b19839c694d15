from __future__ import annotations

from pathlib import Path

import pytest

from hozon import errors


def test_where_and_what() -> None:
    error = errors.FormatError(
        "the checksum is wrong", file=Path("a.index"), record="w", offset=0, expected=1, found=2
    )
    assert str(error) == (
        "the checksum is wrong (file: a.index, record: 'w', offset: 0, expected: 1, found: 2)"
    )
    assert (error.file, error.record, error.offset, error.expected, error.found) == (
        "a.index",
        "w",
        0,
        1,
        2,
    )


def test_what_the_message_says_is_not_repeated() -> None:
    assert str(errors.FormatError("a.index is missing", file="a.index")) == "a.index is missing"


@pytest.mark.parametrize(
    ("error", "builtin", "text"),
    [
        (errors.HozonError("x"), Exception, "x"),
        (errors.FormatError("x"), ValueError, "x"),
        (
            errors.UnsupportedError("x", feature="op Foo", instead="do that"),
            NotImplementedError,
            "x (feature: op Foo, instead: do that)",
        ),
        (
            errors.UnsafeError("x", refused="a lambda", allow="safe_mode=False"),
            PermissionError,
            "x (refused: a lambda, to allow it: safe_mode=False)",
        ),
        (
            errors.MismatchError("x", mismatches=["a: 1 and 2", "b: 3 and 4"]),
            ValueError,
            "x\n  a: 1 and 2\n  b: 3 and 4",
        ),
        (
            errors.MissingObjectError("x", names=["My"]),
            LookupError,
            "x (missing: My, pass: custom_objects={'My': ...})",
        ),
        (
            errors.SaveError("x", file="a/b", errno=28, instead="do that"),
            OSError,
            "x (file: a/b, instead: do that)",
        ),
    ],
)
def test_each_is_also_a_builtin(
    error: errors.HozonError, builtin: type[Exception], text: str
) -> None:
    assert isinstance(error, errors.HozonError)
    assert isinstance(error, builtin)
    assert str(error) == text
