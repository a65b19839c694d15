"""The Python signature of a saved function: positions, defaults, ``self``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hozon.errors import FormatError, MismatchError


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
        names = _sequence(values, "args")
        defaults = dict(zip(reversed(names), reversed(_sequence(values, "defaults")), strict=False))
        by_keyword = values.get("kwonlydefaults")
        defaults.update(by_keyword if isinstance(by_keyword, Mapping) else {})
        if is_method and names:
            names = names[1:]
        return cls(
            names,
            defaults,
            values.get("varargs"),
            values.get("varkw"),
            _sequence(values, "kwonlyargs"),
        )

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
        twice = [name for name in self.arguments[: len(args)] if name in kwargs]
        if twice and self.varkw is None:
            raise MismatchError(f"argument {twice[0]!r} is given twice")
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
            if name not in rest and name not in defaults:
                raise MismatchError(f"argument {name!r} is missing")
            rest.setdefault(name, defaults.get(name))
        unknown = sorted(set(rest) - set(self.keyword_only))
        if unknown and self.varkw is None:
            raise MismatchError(f"unknown argument {unknown[0]!r}")
        return rest


def _sequence(fields: Mapping[str, Any], name: str) -> tuple[Any, ...]:
    """A field that holds several items; None stands for none of them."""
    items = fields.get(name)
    if items is None:
        return ()
    if not isinstance(items, (list, tuple)):
        raise FormatError(
            f"the field {name!r} of a function's signature is no list", record="fullargspec"
        )
    return tuple(items)
