"""`checked`, which is around every public call; what it asks is in tests/contract."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from hozon import arguments as check
from hozon.errors import ArgumentError


@check.checked(path=check.path_to_read, deep=check.flag)
def look(path: str, *more: int, deep: bool = False, **rest: Any) -> tuple[Any, ...]:
    """What it was given."""
    return path, more, deep, rest


class Thing:
    @check.checked(size=check.whole_or_none)
    def __init__(self, size: int | None = None) -> None:
        self.size = size

    @check.checked(name=check.text)
    def called(self, name: str) -> str:
        return name


def test_what_is_fine_passes_through() -> None:
    assert look("a") == ("a", (), False, {})
    assert look("a", 1, 2, deep=np.True_, other=3) == ("a", (1, 2), True, {"other": 3})
    assert look(path="a", deep=1)[2] is True
    assert Thing().size is None
    assert Thing(2).called("x") == "x"
    assert Thing(size=2).called(name="x") == "x"


def test_a_call_keeps_its_name_and_signature() -> None:
    assert (look.__name__, look.__doc__) == ("look", "What it was given.")
    assert list(inspect.signature(look).parameters) == ["path", "more", "deep", "rest"]


@pytest.mark.parametrize(
    ("call", "text", "argument"),
    [
        (lambda: look(3), "path=3: give a path or URL", "path"),
        (lambda: look("a", deep="x"), "deep='x': give True or False", "deep"),
        (lambda: look(), r"look\(\): missing a required argument: 'path'", ""),
        (lambda: Thing(siz=2), "Thing.* takes no argument 'siz'; did you mean 'size'", "siz"),
        (lambda: Thing(1, 2), r"Thing\(\): too many positional arguments", ""),
        (lambda: Thing(True), "size=True: give a whole number above 0, or None", "size"),
        (lambda: Thing().called(nam="x"), r"called\(\) takes no argument 'nam'", "nam"),
        (lambda: Thing().called(b"x"), "name=b'x': give a text", "name"),
    ],
)
def test_what_is_wrong_is_named(call: Any, text: str, argument: str) -> None:
    with pytest.raises(ArgumentError, match=text) as caught:
        call()
    assert caught.value.argument == argument
    assert len(str(caught.value)) < 300


def test_long_values_are_cut() -> None:
    with pytest.raises(ArgumentError) as caught:
        look("a", deep="x" * 10_000)
    assert len(str(caught.value)) < 200
