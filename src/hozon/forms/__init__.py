"""The saved forms: one ordered list, and who is meant.

`FORMS` is the only place that says which forms exist; a form is one small file beside this one.
What a file is, is told by what is in it, never by its suffix; a suffix only chooses what to write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING

from hozon.containers.foreign import describe_foreign
from hozon.errors import ForeignFileError, UnknownFormatError, UnsupportedError
from hozon.forms.background import in_background, in_turn
from hozon.forms.checkpoint import CheckpointForm
from hozon.forms.config_json import ConfigJsonForm
from hozon.forms.form import BuildOptions, Form, Holds, LoadOptions, SaveOptions
from hozon.forms.h5 import H5Form
from hozon.forms.h5_weights import H5WeightsForm
from hozon.forms.keras_zip import KerasZipForm
from hozon.forms.orbax import OrbaxForm, OrbaxWeightsForm
from hozon.forms.safetensors import SafetensorsForm
from hozon.forms.savedmodel import SavedModelForm
from hozon.forms.sharded import SafetensorsSetForm, ShardedForm
from hozon.forms.tfjs import TfjsForm
from hozon.forms.weights_h5 import WeightsH5Form
from hozon.raw.sniff import SUFFIXES, suffix_of
from hozon.raw.stores import is_file
from hozon.raw.team import team
from hozon.reports import SaveReport

if TYPE_CHECKING:
    import keras

__all__ = [
    "FORMS",
    "BuildOptions",
    "Form",
    "LoadOptions",
    "SaveOptions",
    "by_suffix",
    "check_options",
    "claiming",
    "form_named",
    "form_of",
    "form_to_write",
    "model_form",
    "names",
    "other_kind",
    "require_directory",
    "save",
    "that_hold",
    "unknown_format",
]

#: All forms, in the order in which they are asked whether a path is theirs.
FORMS: list[Form] = [
    SavedModelForm(),
    H5Form(),
    KerasZipForm(),
    TfjsForm(),
    CheckpointForm(),
    OrbaxForm(),
    OrbaxWeightsForm(),
    H5WeightsForm(),
    WeightsH5Form(),
    ShardedForm(),
    SafetensorsSetForm(),
    SafetensorsForm(),
    ConfigJsonForm(),
]


def that_hold(what: Holds) -> list[Form]:
    """The forms that hold a model, weights or an architecture."""
    return [form for form in FORMS if form.holds == what]


def names(what: Holds) -> Mapping[str, Form]:
    """What `format` may be where a model, or weights, are written."""
    writers = (form for form in that_hold(what) if form.written)
    return {name: form for form in writers for name in (*form.aliases, form.format)}


# What is there


def form_of(path: str) -> Form:
    """The form of what is at a path.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: there is something in no known format: what it is.
        FormatError: it is damaged.
    """
    found = next(claiming(path), None)
    if found is None:
        raise ForeignFileError(
            f"{path} is in no known format: {describe_foreign(path)}",
            file=path,
            instead="give the directory that holds a saved_model.pb, a TensorFlow checkpoint by "
            f"the prefix before .index or by its folder, or a file of {_suffixes(FORMS)}",
        )
    return found


def claiming(path: str) -> Iterator[Form]:
    """The forms that a path is of, which should be one; those of files are asked about files."""
    file = is_file(path)
    return (form for form in FORMS if (file or form.of_folders()) and form.detect(path))


def model_form(path: str) -> Form:
    """The form of the model at a path; as `form_of`.

    Raises:
        UnsupportedError: there are weights without a model, or the other way round.
    """
    form = form_of(path)
    if form.holds != "a model":
        raise form.no_model(path)
    return form


# What is meant


def form_to_write(what: Holds, path: str, format: str | None) -> Form:
    """The form to write: by its name, or by the end of the path.

    Without either it is the form that has no suffix: a SavedModel, a checkpoint.

    Raises:
        UnknownFormatError: the name is none, or the suffix means another kind of file.
    """
    if format is not None:
        return form_named(format, names(what), what)
    meant, suffix = by_suffix(path, that_hold(what))
    if meant is not None:
        return meant
    if suffix is not None:
        raise other_kind(what, path, suffix)
    return next(form for form in that_hold(what) if not form.suffixes)


def form_named(format: str, known: Mapping[str, Form], what: str) -> Form:
    """The form of a name.

    Raises:
        UnknownFormatError: it is none of the known ones.
    """
    if format not in known:
        raise unknown_format("format", format, list(known), what)
    return known[format]


def by_suffix(path: str, forms: Sequence[Form]) -> tuple[Form | None, str | None]:
    """What the end of a path means: one of some forms, or the suffix of another kind of file."""
    text = path.lower()
    ends = [(end, form) for form in FORMS for end in form.suffixes if text.endswith(end)]
    longest = max((len(end) for end, _ in ends), default=0)
    for end, form in ends:
        if form in forms and len(end) == longest:
            return form, end
    if ends:
        return None, max((end for end, _ in ends), key=len)
    return None, suffix_of(path)


def unknown_format(
    argument: str, value: str, known: Sequence[str], what: str
) -> UnknownFormatError:
    """The error to raise for a format that is none of the known ones."""
    listed = ", ".join(map(repr, known))
    near = get_close_matches(str(value).lower(), known, 1)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return UnknownFormatError(
        f"{argument}={value!r:.80} is not one of {listed}, as which Hozon writes {what}{meant}",
        argument=argument,
        accepted=listed,
    )


def other_kind(what: Holds, path: str, suffix: str) -> UnknownFormatError:
    """The error to raise for a path whose end means another kind of file."""
    own = next((form.holds for form in FORMS if suffix in form.suffixes), None)
    ends = _suffixes(that_hold(what))
    return UnknownFormatError(
        f"path={path!r}: {suffix} means {own or SUFFIXES[suffix]}; Hozon writes {what} to paths "
        f"that end in {ends}, or in no suffix",
        argument="path",
        accepted=ends,
        file=path,
        instead="another suffix, or format= to write it under this name",
    )


def require_directory(path: str) -> None:
    """Raise UnknownFormatError where the end of a path means a file, and a directory is written."""
    _, suffix = by_suffix(path, [])
    if suffix is not None:
        own = next((form.holds for form in FORMS if suffix in form.suffixes), None)
        raise UnknownFormatError(
            f"path={path!r}: {suffix} means {own or SUFFIXES[suffix]}; a SavedModel is a directory",
            argument="path",
            accepted="a path without a suffix",
            file=path,
            instead="a path without this suffix",
        )


def _suffixes(forms: Sequence[Form]) -> str:
    return ", ".join(dict.fromkeys(end for form in forms for end in form.suffixes))


# Saving


def save(form: Form, model: keras.Layer, path: str, options: SaveOptions) -> SaveReport:
    """Write a model or its weights; in the background, unless `options` say to block.

    Raises:
        UnsupportedError: the form has no place for what the options ask for.
    """
    check_options(form, options)
    if not options.blocking and team() is not None:
        raise UnsupportedError(
            "several processes save together while all of them wait",
            feature="blocking=False in several processes",
            file=path,
            instead="blocking=True",
        )
    prepare = partial(form.prepare, model, path, options)
    return in_turn(prepare) if options.blocking else in_background(path, form.format, prepare)


def check_options(form: Form, options: SaveOptions) -> None:
    """Refuse what a form has no place for; before anything costs time."""
    if options.dialect is not None and options.dialect not in form.dialects:
        has = " and ".join(form.dialects) or "no configs, hence no dialect"
        raise UnsupportedError(
            f"{form.label} has {has}",
            feature=f"dialect={options.dialect!r} in {form.label}",
            instead="leave dialect out",
        )
    if (options.signatures or options.native_ops_only) and not form.functions:
        raise UnsupportedError(
            f"{form.label} holds no functions, so neither signatures nor native_ops_only say "
            "anything here",
            feature=f"signatures in {form.label}",
            instead="format='savedmodel'",
        )
    if options.card and not form.cards:
        raise UnsupportedError(
            f"{form.label} is a file; a card stands in the folder of a model",
            feature=f"card=True in {form.label}",
            instead="format='savedmodel', or hozon.report(path, 'README.md')",
        )
