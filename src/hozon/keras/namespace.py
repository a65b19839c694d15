"""A module with some of its names replaced."""

from __future__ import annotations

from types import ModuleType
from typing import Any


class Namespace:
    """Gives what is replaced, else what the module has."""

    def __init__(self, module: ModuleType, **replaced: Any) -> None:
        self.__dict__.update(replaced)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_module"], name)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *dir(self.__dict__["_module"])})

    def __repr__(self) -> str:
        return f"<hozon's {self.__dict__['_module'].__name__}>"
