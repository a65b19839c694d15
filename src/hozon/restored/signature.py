"""The Python signature of a saved function: positions, defaults, ``self``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hozon.errors import MismatchError


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """Argument names and defaults of a ``tf.function``, from its saved ``FullArgSpec``."""

    arguments: tuple[str, ...] = ()
    defaults: Mapping[str, Any] | None = None
    varargs: str | None = None
    varkw: str | None = None
    keyword_only: tuple[str, ...] = ()

    @classmethod
    def from_saved(cls, fullargspec: Any, is_method: bool) -> FunctionSpec:
        """From the decoded ``FunctionSpec.fullargspec`` (a named tuple like inspect's)."""
        values = dict(getattr(fullargspec, "fields", {}))
        names = tuple(values.get("args") or ())
        defaults = dict(zip(reversed(names), reversed(values.get("defaults") or ()), strict=False))
        defaults.update(values.get("kwonlydefaults") or {})
        if is_method and names:
            names = names[1:]
        return cls(
            names, defaults, values.get("varargs"), values.get("varkw"),
            tuple(values.get("kwonlyargs") or ()),
        )  # fmt: skip

    def canonicalize(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Keyword arguments moved to their positions and defaults filled in.

        Raises MismatchError for too many, missing or unknown arguments.
        """
        if not self.arguments and self.varargs:
            return args, dict(kwargs)
        if len(args) > len(self.arguments) and self.varargs is None:
            raise MismatchError(
                f"takes {len(self.arguments)} arguments ({', '.join(self.arguments)}), "
                f"{len(args)} are given"
            )
        rest = dict(kwargs)
        ordered = list(args)
        defaults = self.defaults or {}
        for name in self.arguments[len(args) :]:
            if name in rest:
                ordered.append(rest.pop(name))
            elif name in defaults:
                ordered.append(defaults[name])
            else:
                raise MismatchError(f"argument {name!r} is missing")
        return tuple(ordered), self._keywords(rest, defaults)

    def _keywords(self, rest: dict[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
        for name in self.keyword_only:
            if name not in rest and name in defaults:
                rest[name] = defaults[name]
        unknown = sorted(set(rest) - set(self.keyword_only))
        if unknown and self.varkw is None:
            raise MismatchError(f"unknown argument {unknown[0]!r}")
        return rest
