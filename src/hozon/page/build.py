"""Making the page: what is gathered, through the templates beside this file."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from hozon.arguments import checked, path_or_none, path_to_read, path_to_write
from hozon.config.upgrade import short_name
from hozon.containers.card import card
from hozon.forms import form_of
from hozon.page.changes import Changes, compare
from hozon.page.facts import MOST_ROWS, Facts, by_count, gather
from hozon.page.pictures import Pictures
from hozon.page.statistics import BINS
from hozon.page.words import WORDS
from hozon.raw.commit import replacing_file
from hozon.raw.stores import parent_and_name, place, write_bytes
from hozon.reports import plain, size_text

__all__ = ["report"]

TEMPLATES = ("page.html", "artifact.html", "diff.html")
SCRIPTS = ("picture.js", "page.js")
BAR_HEIGHT = 20
CARD_ENDS = (".md", ".markdown")
#: Words that the script puts on the page.
SAID_BY_SCRIPT = (
    "added_mark", "bins_drawn", "changed_mark", "copied", "deviation", "from", "in_the_list",
    "mean", "parameters", "pick", "removed_mark", "to", "too_many",
)  # fmt: skip


def _output(name: str, value: Any) -> str | None:
    return None if value is None else path_to_write(name, value)


@checked(path=path_to_read, output=_output, other=path_or_none)
def report(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    other: str | os.PathLike[str] | None = None,
) -> str:
    """One HTML page of an artifact, or of the difference of two, that needs nothing beside it.

    Architecture, tensors with statistics and histograms, signatures and how to call them, warnings
    and checks; foldable, sortable, by keyboard, light and dark, in English and Japanese. Nothing of
    it is loaded from elsewhere, and nothing of the artifact is run. Neither Keras nor JAX is
    started.

    Args:
        path: any artifact, a path or URL.
        output: where to write the page; None writes none. To a path that ends in ``.md`` a model
            card is written instead, as the Hugging Face Hub shows it.
        other: a second artifact: the page tells how it differs from the first.

    Returns:
        The page.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: it is no artifact.
        FormatError: it is so damaged that nothing can be told of it.
        SaveError: the page cannot be written.

    Example:
        >>> page = hozon.report("my_model", "my_model.html")
        >>> page = hozon.report("before.keras", "changes.html", other="after.keras")
        >>> card = hozon.report("my_model", "my_model/README.md")
    """
    where = place(path)
    if other is not None:
        page = _difference(where, place(other))
    elif output is not None and place(output).endswith(CARD_ENDS):
        page = card(form_of(where).look(where), where)
    else:
        page = _page(where)
    if output is not None:
        with replacing_file(output) as fresh:
            write_bytes(fresh, page.encode())
    return page


def _page(where: str) -> str:
    facts = gather(where)
    ops = by_count(facts.look.info.ops)
    title = parent_and_name(where.rstrip("/"))[1]
    return _rendered(title, _sections(facts), facts.pictures, facts=facts, ops=ops)


def _difference(a: str, b: str) -> str:
    found = compare(a, b)
    title = " / ".join(parent_and_name(where.rstrip("/"))[1] for where in (a, b))
    return _rendered(title, _sections_of(found), found.pictures, changes=found)


def _sections(facts: Facts) -> list[str]:
    there: Mapping[str, Any] = {
        "overview": True,
        "warnings": facts.warnings,
        "picture": facts.pictures.pictures,
        "architecture": facts.look.model or facts.layers,
        "calls": facts.calls,
        "tensors": facts.tensors,
        "functions": facts.look.info.ops,
        "checks": True,
    }
    return [name for name, held in there.items() if held]


def _sections_of(changes: Changes) -> list[str]:
    there: Mapping[str, Any] = {
        "difference": True,
        "picture": changes.pictures.pictures,
        "architecture": changes.layers,
        "tensors": changes.tensors,
    }
    return [name for name, held in there.items() if held]


def _rendered(title: str, sections: Sequence[str], pictures: Pictures, **facts: Any) -> str:
    from markupsafe import Markup

    import hozon

    style, script = _text("page.css"), "".join(map(_text, SCRIPTS))
    said = {key: WORDS[key] for key in SAID_BY_SCRIPT}
    page: str = _template().render(
        title=title,
        sections=sections,
        words=WORDS,
        version=hozon.__version__,
        most=MOST_ROWS,
        style=Markup(style),  # noqa: S704 - files of this package
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
        data={"words": said, **pictures.to_dict()},
        **{"changes": None, "facts": None, **facts},
    )
    return page


@cache
def _template() -> Any:
    """Everything of a file is escaped; an unknown name in a template is an error."""
    import jinja2  # which takes a while to import

    made = jinja2.Environment(
        loader=jinja2.DictLoader({name: _text(name) for name in TEMPLATES}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "figure": _figure,
        "value": _value,
        "bytes": size_text,
        "bars": _bars,
        "json": lambda value: json.dumps(plain(value), indent=1, ensure_ascii=False),
        "compiled": _compiled,
    }
    return made.get_template("page.html")


@cache
def _text(name: str) -> str:
    return files("hozon.page").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _value(value: float) -> str:
    """A number as a script reads it."""
    return str(value).replace("inf", "Infinity")


def _bars(counts: Sequence[int]) -> str:
    """Bars of a histogram as the path of an SVG."""
    most = max(counts, default=0) or 1
    first = 0 if len(counts) > 1 else BINS // 2  # all values are one
    return "".join(
        f"M{number} {BAR_HEIGHT}v-{count * BAR_HEIGHT / most:.3g}h1V{BAR_HEIGHT}z"
        for number, count in enumerate(counts, first)
        if count
    )


def _compiled(training: Mapping[str, Any]) -> str:
    """The optimizer of a training config by its name."""
    optimizer = training.get("optimizer_config") or training.get("optimizer")
    named = optimizer.get("class_name") if isinstance(optimizer, Mapping) else optimizer
    return short_name(str(named))
