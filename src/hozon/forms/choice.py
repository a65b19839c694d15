"""Which form is meant: by `format`, by the end of a path, or by nothing of either.

Every call that writes asks here, so that each refuses the same things in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Protocol, TypeVar

from hozon.containers.foreign import describe_foreign
from hozon.errors import ForeignFileError, UnknownFormatError
from hozon.raw.sniff import SUFFIXES

#: What the ends of other forms of Hozon mean, longest first.
OWN: Mapping[str, str] = {
    ".weights.h5": "weights of Keras 3",
    ".weights.json": "weights of Keras 3 in several files",
    ".safetensors": "weights",
    ".keras": "a whole model",
}
KNOWN = (
    "give the directory that holds a saved_model.pb, a file of Keras (.h5, .keras, .weights.h5, "
    ".weights.json), a .safetensors file, or a TensorFlow checkpoint, by the prefix before .index "
    "or by its folder"
)


class Named(Protocol):
    """A form, as far as it is chosen by name."""

    @property
    def name(self) -> str:
        """What `format` calls it."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Ends of paths that mean it."""


F = TypeVar("F", bound=Named)


def choose(
    what: str,
    forms: Sequence[F],
    path: str,
    name: str | None,
    aliases: Mapping[str, str],
) -> F:
    """The form to write; without a name and a suffix that means something, the first one.

    Args:
        what: what is to be written, in words.
        forms: the forms that hold it.
        path: where to.
        name: the argument `format`.
        aliases: other names of forms.

    Raises:
        UnknownFormatError: the name is none of these, or the suffix means another kind of file.
    """
    if name is not None:
        found = next((form for form in forms if form.name == aliases.get(name, name)), None)
        if found is None:
            raise unknown_name(what, [*(form.name for form in forms), *aliases], name)
        return found
    text = path.lower()
    ends = {suffix: form for form in forms for suffix in form.suffixes if text.endswith(suffix)}
    meant = next((suffix for suffix in OWN if text.endswith(suffix)), None)
    longest = max(ends, key=len) if ends else None
    if longest is not None and (meant is None or len(meant) <= len(longest)):
        return ends[longest]
    suffix = meant if meant is not None else "." + text.rpartition("/")[2].rpartition(".")[2]
    told = OWN.get(suffix) or (SUFFIXES.get(suffix) if text.endswith(suffix) else None)
    if told is not None:
        raise _other_kind(what, forms, path, suffix, told)
    return forms[0]


def unknown_file(path: str) -> ForeignFileError:
    """The error to raise for a path that is of no form; MissingFileError for nothing at all."""
    return ForeignFileError(
        f"{path} is of no form that is known: {describe_foreign(path)}", file=path, instead=KNOWN
    )


def unknown_name(what: str, names: Sequence[str], name: str) -> UnknownFormatError:
    """The error to raise for a `format` that is none."""
    known = ", ".join(map(repr, names))
    near = get_close_matches(name, names, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return UnknownFormatError(
        f"format={name!r:.80}: Hozon writes {what} as {known}{meant}",
        argument="format",
        accepted=known,
    )


def _other_kind(
    what: str, forms: Sequence[Named], path: str, suffix: str, told: str
) -> UnknownFormatError:
    ends = ", ".join(suffix for form in forms for suffix in form.suffixes)
    return UnknownFormatError(
        f"path={path!r}: {suffix} means {told}; Hozon writes {what} to paths that end in {ends}, "
        "or in no suffix",
        argument="path",
        accepted=ends,
        file=path,
        instead="another suffix, or format= to write it under this name",
    )
