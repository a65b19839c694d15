"""The garbage collector around loading."""

from __future__ import annotations

import gc
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import ModuleType

import pytest

from hozon.raw.collection import FEW, collection_paused, gc_paused_for_imports


class Knot:
    """An object that refers to itself."""

    def __init__(self) -> None:
        self.myself = self


@pytest.mark.usefixtures("nothing_frozen")
@pytest.mark.parametrize("modules", [0, FEW + 1])
def test_what_imports_made_is_old_and_can_still_be_collected(
    modules: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gc.collect()
    with gc_paused_for_imports():
        assert not gc.isenabled()
        knot = Knot()
        for number in range(modules):
            monkeypatch.setitem(sys.modules, f"new{number}", ModuleType("new"))
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    old = any(item is knot for item in gc.get_objects(generation=2))
    assert old is bool(modules)
    seen = weakref.ref(knot)
    del knot
    gc.collect()
    assert seen() is None


def test_who_paused_or_froze_before_keeps_it_so() -> None:
    gc.disable()
    try:
        with gc_paused_for_imports():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
    gc.freeze()
    try:
        with gc_paused_for_imports():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_an_error_inside_starts_collecting_again() -> None:
    with pytest.raises(ValueError, match="inside"), gc_paused_for_imports():
        raise ValueError("inside")
    assert gc.isenabled()


def test_threads_that_overlap_never_keep_it_still_for_good() -> None:
    second_in, first_out = Event(), Event()

    def second() -> bool:
        with collection_paused() as paused:
            second_in.set()
            first_out.wait(10)
        return paused

    with ThreadPoolExecutor(1) as pool:
        with collection_paused() as paused:
            other = pool.submit(second)
            second_in.wait(10)
        assert gc.isenabled()
        first_out.set()
        assert (paused, other.result()) == (True, False)
    assert gc.isenabled()
