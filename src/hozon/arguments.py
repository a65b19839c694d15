"""What every public call asks of its arguments: one check for each kind, with one wording.

`checked` puts the checks around a call, so that a wrong argument is refused before anything is
touched, at every door in the same words. A check gets the argument's name and value and gives back
the value to go on with, or raises `ArgumentError`.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from hozon.errors import ArgumentError, UnknownFormatError
from hozon.raw.sniff import SUFFIXES, suffix_of
from hozon.raw.stores import (
    file_system,
    in_archive,
    is_remote,
    looking,
    place,
    require_writable,
)

__all__ = [
    "checked",
    "count_or_none",
    "dialect",
    "flag",
    "flag_or_none",
    "mapping_or_none",
    "objects_or_none",
    "path_or_none",
    "path_to_read",
    "path_to_write",
    "prefix_to_write",
    "progress",
    "renaming",
    "require_known",
    "tags",
    "text",
    "text_or_none",
    "whole_or_none",
    "wrong",
]

P = ParamSpec("P")
R = TypeVar("R")
Check = Callable[[str, Any], Any]

DIALECTS = ("keras2", "keras3")
#: Values that are neither classes nor functions, nor made by any.
PLAIN = (int, float, str, bytes, list, tuple, dict, type(None))
#: What is nearly a URL: `pathlib` takes one of its slashes.
_ALMOST = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]+:/")

#: Libraries with models of their own, and how these come here.
LIBRARIES = {
    "tf_keras": "saves it itself, for hozon.load_model to read",
    "tensorflow": "saves it itself, for hozon.load_model to read",
    "torch": "saves weights as safetensors, for hozon.load_weights to read",
    "flax": "has trees of arrays, for hozon.saved_model.save",
    "equinox": "has trees of arrays, for hozon.saved_model.save",
}


def wrong(name: str, value: object, accepted: str) -> ArgumentError:
    """The error to raise for an argument: what it is, and what to give."""
    return ArgumentError(
        f"{name}={value!r:.80}: give {accepted}{_of_library(value)}",
        argument=name,
        accepted=accepted,
    )


def _of_library(value: object) -> str:
    """What to do with a model of another library, "" for what is none."""
    rooms = {kind.__module__.partition(".")[0] for kind in type(value).__mro__}
    known = [name for name in LIBRARIES if name in rooms]
    return f". This is one of {known[0]}, which {LIBRARIES[known[0]]}" if known else ""


def checked(**checks: Check) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that checks arguments by name; unknown ones are refused with the nearest name.

    Example:
        >>> @checked(path=path_to_read, compile=flag)
        ... def load(path, *, compile=True): ...
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = _bound(function, signature, args, kwargs)
            with looking():
                for name, value in bound.arguments.items():
                    if name in checks:
                        bound.arguments[name] = checks[name](name, value)
                return function(*bound.args, **bound.kwargs)

        return call

    return decorate


def require_known(function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Raise ArgumentError for arguments that a function of another library does not take."""
    _bound(function, inspect.signature(function), args, kwargs)


def _bound(
    function: Callable[..., Any],
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> inspect.BoundArguments:
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise _not_bound(function, signature, kwargs, error) from None


#: What arguments of Keras 2 are called.
FORMERLY = {"period": "save_freq", "lr": "learning_rate"}


def _not_bound(
    function: Callable[..., Any],
    signature: inspect.Signature,
    given: Mapping[str, Any],
    error: TypeError,
) -> ArgumentError:
    call = function.__qualname__.removesuffix(".__init__")
    names = [name for name in signature.parameters if name != "self"]
    unknown = next((name for name in given if name not in names), None)
    if unknown is None:
        return ArgumentError(f"{call}(): {error}", accepted=", ".join(names))
    near = get_close_matches(unknown, names, 1)
    today = FORMERLY.get(unknown)
    meant = f"; did you mean {near[0]!r}?" if near else "."
    meant = f"; it is {today!r} today." if today in names else meant
    return ArgumentError(
        f"{call}() takes no argument {unknown!r}{meant} It takes {', '.join(names)}",
        argument=unknown,
        accepted=", ".join(names),
    )


# Paths


def path_to_read(name: str, value: Any) -> str:
    """A path or URL as text; ``~`` is the user's home, an archive is the model in it."""
    return in_archive(_path(name, value))


def _path(name: str, value: Any) -> str:
    accepted = "a path or URL, as str or os.PathLike"
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else value
    if not isinstance(text, str) or not text or "\0" in text:
        raise wrong(name, value, accepted)
    where = place(text)
    if is_remote(where):
        file_system(where)
    elif _ALMOST.match(where):
        raise wrong(name, value, "a URL as str with two slashes, scheme://; or ./ before a name")
    return where


def path_to_write(name: str, value: Any) -> str:
    """A path or URL as text.

    Raises:
        UnsupportedError: it is a URL under which nothing can be put.
    """
    text = require_writable(value) if isinstance(value, str) else value
    return _path(name, text)


def prefix_to_write(name: str, value: Any) -> str:
    """The prefix of a checkpoint's files.

    Raises:
        UnknownFormatError: its end means another kind of file.
    """
    path = path_to_write(name, value)
    suffix = suffix_of(path)
    if suffix is not None:
        raise UnknownFormatError(
            f"{name}={path!r}: {suffix} means {SUFFIXES[suffix]}; a checkpoint is several files of "
            "one prefix",
            argument=name,
            accepted="a prefix that does not end in a suffix",
            file=path,
            instead="a prefix without this suffix",
        )
    return path


def path_or_none(name: str, value: Any) -> str | None:
    """A path or URL as text, or None."""
    return None if value is None else path_to_read(name, value)


# Values


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if _is_flag(value):
        return bool(value)
    raise wrong(name, value, "True or False")


def renaming(name: str, value: Any) -> Any:
    """A mapping of names, a function of a name, or None."""
    pairs = isinstance(value, Mapping) and all(
        isinstance(old, str) and (new is None or isinstance(new, str)) for old, new in value.items()
    )
    if value is None or pairs or callable(value):
        return value
    raise wrong(name, value, "a dictionary of names, or a function from a name to a name or None")


def flag_or_none(name: str, value: Any) -> bool | None:
    """True, False, or None for what is usual."""
    if value is None or _is_flag(value):
        return None if value is None else bool(value)
    raise wrong(name, value, "True, False or None")


def _is_flag(value: Any) -> bool:
    return type(value).__name__ in ("bool", "bool_") or (type(value) is int and value in (0, 1))


def progress(name: str, value: Any) -> Any:
    """What watches a long call; see `hozon.stored.meter`."""
    if value is None or callable(value):
        return value
    if _is_flag(value):
        return bool(value)
    raise wrong(name, value, "True, False, or a function of the bytes done and the bytes in all")


def text(name: str, value: Any) -> str:
    """A text."""
    if isinstance(value, str) and value:
        return value
    raise wrong(name, value, "a text")


def text_or_none(name: str, value: Any) -> str | None:
    """A text, or None."""
    if value is None or (isinstance(value, str) and value):
        return value
    raise wrong(name, value, "a text, or None")


def dialect(name: str, value: Any) -> str | None:
    """``"keras2"``, ``"keras3"`` or None."""
    if value is None or (isinstance(value, str) and value in DIALECTS):
        return value
    raise wrong(name, value, "'keras2', 'keras3', or None for what the format has")


def count_or_none(name: str, value: Any) -> Any:
    """A number above 0, or None."""
    number = not isinstance(value, bool) and isinstance(value, (int, float))
    if value is None or (number and value > 0):
        return value
    raise wrong(name, value, "a number above 0, or None")


def whole_or_none(name: str, value: Any) -> int | None:
    """A whole number above 0, or None."""
    if value is None or (not isinstance(value, bool) and isinstance(value, int) and value > 0):
        return value
    raise wrong(name, value, "a whole number above 0, or None")


def objects_or_none(name: str, value: Any) -> Any:
    """Classes and functions by name, or None."""
    named = isinstance(value, Mapping) and all(
        isinstance(key, str) and not isinstance(item, PLAIN) for key, item in value.items()
    )
    if value is None or named:
        return value
    raise wrong(name, value, "a dictionary of classes and functions by name, {'MyLayer': MyLayer}")


def mapping_or_none(name: str, value: Any) -> Any:
    """Something by name, or None."""
    if value is None or (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        return value
    raise wrong(name, value, "a dictionary by name")


def tags(name: str, value: Any) -> Any:
    """The tags of a meta graph: a text or several."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        found = list(value)
        if all(isinstance(tag, str) for tag in found):
            return found
    raise wrong(name, value, "a tag, a list of tags, or None")
