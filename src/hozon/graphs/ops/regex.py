"""Regular expressions: RE2's, as in TensorFlow, linear in time, so no pattern can hang."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2

from hozon.errors import MismatchError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value
from hozon.kernels.strings import each, item

REGEX = OpTable("regex")

#: What RE2 skips over after an empty match: one UTF-8 character, or a byte that starts none.
CHARACTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|.",
    re.DOTALL,
)


def _pattern(node: NodeView, pattern: bytes) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise MismatchError(f"node {node.name!r}: {pattern!r} is no RE2 pattern: {error}") from None


@dataclass(frozen=True)
class Rewrite:
    """A replacement, cut into literal text and numbers of groups.

    `sound`: False when it ends early, at a backslash before neither a digit nor a backslash.
    """

    parts: tuple[bytes | int, ...]
    sound: bool

    def fits(self, groups: int) -> bool:
        """Whether a pattern with so many groups has all that are named."""
        return all(isinstance(part, bytes) or part <= groups for part in self.parts)

    def expand(self, match: Any) -> bytes:
        """What takes the place of a match; a group that took no part is empty."""
        return b"".join(p if isinstance(p, bytes) else match.group(p) or b"" for p in self.parts)


def parse_rewrite(text: bytes) -> Rewrite:
    """RE2's rewrite strings (re2.h, ``RE2::Rewrite``)."""
    parts: list[bytes | int] = []
    pieces = re.split(rb"\\(.?)", text, flags=re.DOTALL)
    for literal, escaped in zip(pieces[0::2], [*pieces[1::2], None], strict=True):
        parts.append(literal)
        if escaped is None:
            break
        if escaped == b"\\":
            parts.append(escaped)
        elif escaped.isdigit():
            parts.append(int(escaped))
        else:
            return Rewrite(tuple(parts), sound=False)
    return Rewrite(tuple(parts), sound=True)


def _replacer(pattern: Any, replacement: bytes, everywhere: bool) -> Callable[[bytes], bytes]:
    """What replaces in one string; a rewrite that names a missing group changes nothing."""
    rewrite = parse_rewrite(replacement)
    if not rewrite.fits(pattern.groups) or not (everywhere or rewrite.sound):
        return lambda text: text
    if everywhere:
        return lambda text: _replace_all(pattern, rewrite, text)
    return lambda text: _replace_first(pattern, rewrite, text)


def _replace_first(pattern: Any, rewrite: Rewrite, text: bytes) -> bytes:
    match = pattern.search(text)
    if match is None:
        return text
    return text[: match.start()] + rewrite.expand(match) + text[match.end() :]


def _replace_all(pattern: Any, rewrite: Rewrite, text: bytes) -> bytes:
    """Every match; an empty one right after another match does not count (``GlobalReplace``)."""
    pieces: list[bytes] = []
    position, last_end = 0, -1
    while position <= len(text):
        match = pattern.search(text, position)
        if match is None:
            break
        start, end = match.span()
        pieces.append(text[position:start])
        if start == end == last_end:
            character = CHARACTER.match(text, end)
            if character is None:
                return b"".join(pieces)
            pieces.append(character.group())
            position = character.end()
            continue
        pieces.append(rewrite.expand(match))
        position = last_end = end
    return b"".join([*pieces, text[position:]])


@REGEX.op("StaticRegexReplace", host=True)
def static_regex_replace(node: NodeView) -> Kernel:
    everywhere = bool(node.attr("replace_global"))
    replace = _replacer(_pattern(node, node.attr("pattern")), node.attr("rewrite"), everywhere)
    return lambda x: each(replace, x)


@REGEX.op("RegexReplace", host=True)
def regex_replace(node: NodeView) -> Kernel:
    everywhere = bool(node.attr("replace_global"))

    def kernel(x: Value, pattern: Value, rewrite: Value) -> Value:
        return each(_replacer(_pattern(node, item(pattern)), item(rewrite), everywhere), x)

    return kernel


@REGEX.op("StaticRegexFullMatch", host=True)
def static_regex_full_match(node: NodeView) -> Kernel:
    pattern = _pattern(node, node.attr("pattern"))
    return lambda x: each(lambda s: pattern.fullmatch(s) is not None, x, bool)


@REGEX.op("RegexFullMatch", host=True)
def regex_full_match(node: NodeView) -> Kernel:
    def kernel(x: Value, pattern: Value) -> Value:
        compiled = _pattern(node, item(pattern))
        return each(lambda s: compiled.fullmatch(s) is not None, x, bool)

    return kernel
