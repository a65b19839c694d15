from __future__ import annotations

import json
from pathlib import Path

import pytest

import hozon
from hozon import errors
from hozon.errors import HozonError


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


MADE: list[HozonError] = [
    hozon.FormatError("bad", file="f", record="r", offset=3, expected=1, found=b"x"),
    hozon.UnsupportedError("no", feature="op", instead="other"),
    hozon.MismatchError("differ", mismatches=["a", "b"], file="f"),
    hozon.MissingObjectError("give", names=["N"], file="f"),
    hozon.MissingFileError("none", file="f"),
    hozon.SaveError("full", file="f", errno=28),
    hozon.ArgumentError("x=<b>", argument="x", accepted="a number"),
    hozon.UnsafeError("refused", refused="code", allow="never"),
]


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_errors_are_plain_json_and_tables(error: HozonError) -> None:
    told = error.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert (told["schema_version"], told["kind"], told["type"]) == (
        1,
        "error",
        type(error).__name__,
    )
    assert told["text"] == str(error)
    for name in ("file", "record", "mismatches", "names", "argument", "refused"):
        value = vars(error).get(name)
        assert told.get(name) == (list(value) if isinstance(value, tuple) else value), name
    assert error._repr_html_().startswith("<table><caption>")
    assert "<b>" not in error._repr_html_()
