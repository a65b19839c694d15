"""Modules below hozon.keras give their names as Keras' own do."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from hozon.keras.namespace import Namespace


def test_all_public_names_at_once(monkeypatch: Any) -> None:
    module = ModuleType("keras.some")
    vars(module).update(Dense=1, Lookup=2, _private=3)
    monkeypatch.setitem(__import__("sys").modules, "some_names", Namespace(module, Lookup=4))
    names: dict[str, Any] = {}
    exec("from some_names import *", names)  # allowed in no function
    assert (names["Dense"], names["Lookup"]) == (1, 4)
    assert "_private" not in names
