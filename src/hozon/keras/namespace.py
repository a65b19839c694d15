"""Modules of Keras with some of their names replaced, importable below ``hozon.keras``."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from hozon.keras.removed import missing

#: Below these are Keras' private modules.
PRIVATE = ("keras.src", "keras._")


class Namespace(ModuleType):
    """Gives what is replaced, else what the module has."""

    def __init__(self, module: ModuleType, **replaced: Any) -> None:
        super().__init__(f"hozon.{module.__name__}", module.__doc__)
        self.__dict__.update(replaced)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":  # for import *
            return [public for public in dir(self) if not public.startswith("_")]
        module = self.__dict__["_module"]
        try:
            return getattr(module, name)
        except AttributeError as error:
            raise missing(module.__name__, name) or error from None

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *dir(self.__dict__["_module"])})

    def __repr__(self) -> str:
        return f"<hozon's {self.__dict__['_module'].__name__}>"


def register(*namespaces: Namespace) -> None:
    """Make ``from hozon.keras.layers import Dense`` work for each public module of Keras."""
    for name, module in [*sys.modules.items()]:
        if name.startswith("keras.") and not name.startswith(PRIVATE):
            sys.modules[f"hozon.{name}"] = module
    for namespace in namespaces:
        sys.modules[namespace.__name__] = namespace


def is_registered(name: str) -> bool:
    """Whether a name of ``sys.modules`` stands for a module of Keras below ``hozon.keras``."""
    return name.startswith("hozon.keras.") and name.removeprefix("hozon.") in sys.modules
