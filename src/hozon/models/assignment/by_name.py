"""The matcher of names: those of layers and variables, or what the caller says they are."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hozon.errors import MismatchError
from hozon.models.assignment.assignment import Assignment, variables_of
from hozon.objects.tracking import Leaf
from hozon.stored.lazy import LazyTensor

#: What a caller says of names: patterns, or a function from a stored name to the model's.
Rename = Mapping[str, str | None] | Callable[[str], str | None] | None
SHOWN = 10
#: Places in a file that count layers, whose names of objects may be sorted by letters.
COUNTED = re.compile(r"(^|/)(layer_with_weights-\d|layers/)")


@dataclass(frozen=True, slots=True)
class LiveName:
    """A live value, the names that it goes by, and the one in reports.

    `places` say where it stands, which only a caller's mapping may speak of.
    """

    leaf: Leaf
    names: tuple[str, ...]
    label: str
    places: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return self.names[0] if self.names else self.label


@dataclass(frozen=True, slots=True)
class StoredName:
    """A stored value, the names that it goes by, the file's own, and where it stands."""

    tensor: LazyTensor
    names: tuple[str, ...]
    own: str
    places: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return next(iter((*self.names, *self.places)), self.own)


@dataclass(slots=True)
class Claim:
    """A stored value, what it is called in the model, and the pattern that said so.

    Attributes:
        entry: the value.
        names: what it is called; none where it is to be left out.
        pattern: of the caller's mapping; "" where the names are those of the file.
    """

    entry: StoredName
    names: tuple[str, ...]
    pattern: str = ""


#: The pattern of names that a function has given.
FUNCTION = "rename"


def _claims(
    stored: Sequence[StoredName], rename: Rename, assignment: Assignment, file: str
) -> list[Claim]:
    """What stored values are called in the model; those to be left out have no names.

    Raises MismatchError for patterns that no stored name matches.
    """
    made = [(entry, _claim(entry, rename)) for entry in stored]
    met = {claim.pattern for _, claim in made}
    lacking = [p for p in (rename if isinstance(rename, Mapping) else ()) if p not in met]
    if lacking:
        raise MismatchError(
            "rename= names what the file does not hold",
            mismatches=[
                *(f"no stored name matches {pattern!r}" for pattern in lacking),
                listed("the file holds", [entry.title for entry in stored]),
            ],
            file=file,
        )
    for entry, claim in made:
        if claim.pattern and not claim.names:
            assignment.leave(f"{entry.own}: left out by rename=", entry.own)
    return [claim for _, claim in made]


def _claim(entry: StoredName, rename: Rename) -> Claim:
    if isinstance(rename, Mapping):
        names = (*entry.names, *entry.places)
        for pattern, target in rename.items():
            found = _renamed(pattern, target, names)
            if found:
                return Claim(entry, tuple(name for name in found if name is not None), pattern)
    elif rename is not None:
        given = rename(entry.title)
        if given != entry.title:  # a place that it leaves as it is, is no name
            return Claim(entry, () if given is None else (given,), FUNCTION)
    return Claim(entry, entry.names)


def _renamed(pattern: str, target: str | None, names: Sequence[str]) -> list[str | None]:
    """The new names of those that a pattern fits, whole or by what they begin with."""
    if "*" in pattern:
        wanted = re.compile("(.*)".join(map(re.escape, pattern.split("*"))))
        found = [match for name in names if (match := wanted.fullmatch(name))]
        return [None if target is None else _filled(target, match.groups()) for match in found]
    below = [name[len(pattern) :] for name in names if f"{name}/".startswith(f"{pattern}/")]
    return [None if target is None else target + rest for rest in below]


def _filled(target: str, stars: Sequence[str]) -> str:
    """A name with what the stars of its pattern stood for."""
    found = iter(stars)
    return re.sub(r"\*", lambda _: next(found, ""), target)


def pair_by_names(
    live: Sequence[LiveName],
    stored: Sequence[StoredName],
    assignment: Assignment,
    file: str,
    *,
    rename: Rename = None,
    partial: bool = False,
    skip_mismatch: bool = False,
) -> None:
    """Pair values of the same names; scopes around a name may be missing on one side.

    Args:
        live: the values of the program.
        stored: those of the file.
        assignment: what takes up the pairs and what is left over.
        file: for messages.
        rename: what stored values are called in the program.
        partial: whether what only one side has is left as it is; else all of the program's values
            must be found.
        skip_mismatch: whether values of other shapes are left out.

    Raises:
        MismatchError: nothing matches, a pattern matches nothing on either side, two stored values
            go to one variable, a variable is not found, or shapes differ.
    """
    claims, places = _claims(stored, rename, assignment, file), places_of(live)
    left = [claim.entry for claim in claims if claim.pattern and not claim.names]
    claims = [claim for claim in claims if claim.names or not claim.pattern]
    taken = _taken(claims, places, assignment, file)
    if live and not taken:
        titles = [entry.title for entry in stored]
        fits = suggestion(live, stored)
        raise nothing_matches(titles, [item.title for item in live], file, (), fits)
    _require_found(claims, taken, live, file)
    excused = {id(places.whole_name((*entry.names, *entry.places))) for entry in left}
    lacking = [item.label for item in live if id(item) not in {*taken, *excused}]
    if lacking and not partial:
        raise MismatchError(
            "variables have no stored value of their name; by_name=True leaves them as they are",
            mismatches=[
                *(f"no stored value for {label}" for label in lacking[:SHOWN]),
                listed("the file holds", [entry.title for entry in stored]),
            ],
            file=file,
        )
    _pair(live, taken, assignment)
    differing = [pair for pair in assignment.pairs if pair.difference is not None]
    if differing and not skip_mismatch:
        raise MismatchError(
            "file and model do not match",
            mismatches=[str(pair.difference) for pair in differing],
            file=file,
        )
    for pair in differing:
        assignment.drop(pair)


def _pair(live: Sequence[LiveName], taken: Mapping[int, Claim], assignment: Assignment) -> None:
    for item in live:
        if id(item) in taken:
            entry = taken[id(item)].entry
            assignment.pair(item.leaf, entry.tensor, item.label, entry.own)
        else:
            assignment.miss(item.label, *variables_of(item.leaf))


def _require_found(
    claims: Sequence[Claim], taken: Mapping[int, Claim], live: Sequence[LiveName], file: str
) -> None:
    """Raise MismatchError for patterns that give no name of the program."""
    met = {claim.pattern for claim in taken.values()}
    lacking = {claim.pattern: claim for claim in claims if claim.pattern not in (*met, "")}
    if lacking:
        raise MismatchError(
            "rename= gives names that the program does not have",
            mismatches=[
                *(f"{p!r} makes {claim.names[0]!r} of a name" for p, claim in lacking.items()),
                listed("the program wants", [item.title for item in live]),
            ],
            file=file,
        )


def _taken(
    claims: Sequence[Claim], places: Places, assignment: Assignment, file: str
) -> dict[int, Claim]:
    """The stored value for each live one, by identity; what is taken by none is surplus.

    Whole names go first; then what agrees without enclosing scopes, where just one stored value
    does.
    """
    whole: dict[int, list[Claim]] = {}
    ends: dict[int, list[Claim]] = {}
    for claim in claims:
        if (found := places.whole_name(claim.names)) is not None:
            whole.setdefault(id(found), []).append(claim)
        elif (found := places.end_of_name(claim.names)) is not None:
            ends.setdefault(id(found), []).append(claim)
        else:
            assignment.surplus(claim.entry.own)
    taken: dict[int, Claim] = {}
    for item in places.live:
        sure, likely = whole.get(id(item), []), ends.get(id(item), [])
        if len(sure) > 1 or any(claim.pattern for claim in likely):
            _require_one(item, [*sure, *likely], file)
        if sure or len(likely) == 1:
            taken[id(item)] = (sure or likely)[0]
        rest = likely if sure or len(likely) > 1 else []
        assignment.surplus(*(claim.entry.own for claim in rest))
    return taken


def _require_one(item: LiveName, claims: Sequence[Claim], file: str) -> None:
    """Raise MismatchError where more than one stored value goes to a variable."""
    if len(claims) > 1:
        raise MismatchError(
            f"{len(claims)} stored values go to {item.label}",
            mismatches=[f"{claim.entry.own}, as {claim.names[0]}" for claim in claims],
            file=file,
        )


@dataclass(frozen=True, slots=True)
class Places:
    """Live values by their whole names, and by the ends of these, at least two parts long."""

    live: Sequence[LiveName]
    whole: dict[str, list[LiveName]]
    ends: dict[str, list[LiveName]]

    def whole_name(self, names: Sequence[str]) -> LiveName | None:
        """The one live value of a name."""
        return next((self.whole[n][0] for n in names if len(self.whole.get(n, ())) == 1), None)

    def end_of_name(self, names: Sequence[str]) -> LiveName | None:
        """The one live value whose name ends as a name does; scopes may differ."""
        every = (end for name in names for end in ends(name))
        return next((self.ends[end][0] for end in every if len(self.ends.get(end, ())) == 1), None)


def places_of(live: Sequence[LiveName]) -> Places:
    """Where values are found by name."""
    places = Places(live, {}, {})
    for item in live:
        for name in dict.fromkeys((*item.names, *item.places)):
            places.whole.setdefault(name, []).append(item)
        for end in {end for name in item.names for end in ends(name)}:
            places.ends.setdefault(end, []).append(item)
    return places


def ends(name: str) -> list[str]:
    """A name, and what is left of it without enclosing scopes: layer and variable at least."""
    parts = name.split("/")
    return ["/".join(parts[start:]) for start in range(max(len(parts) - 1, 1))]


def listed(what: str, names: Sequence[str]) -> str:
    """Names in one line."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{what}: {', '.join(names[:SHOWN]) or 'nothing'}{more}"


def suggestion(live: Sequence[LiveName], stored: Sequence[StoredName]) -> list[str]:
    """A mapping to paste, where the shapes of the layers tell in order which is which."""
    ours = _by_shapes((item.title, item.leaf.shape) for item in live)
    ordered = sorted(stored, key=_counted) if any(map(_counted, stored)) else stored
    theirs = _by_shapes((item.title, tuple(item.tensor.shape)) for item in ordered)
    if any(len(theirs.get(shapes, ())) != len(owners) for shapes, owners in ours.items()):
        return []
    pairs = (zip(theirs[shapes], owners, strict=True) for shapes, owners in ours.items())
    renamed = {other: owner for each in pairs for other, owner in each if other != owner}
    return [f"by shapes and order this fits: rename={renamed!r}"] if renamed else []


def _counted(item: StoredName) -> list[tuple[str, int]]:
    """Of a place that counts layers, the order in which ``dense_2`` comes before ``dense_10``."""
    words = re.findall(r"(\D+|^)(\d*)", item.own) if COUNTED.search(item.own) else ()
    return [(word, int(digits or 0)) for word, digits in words]


def _by_shapes(named: Iterable[tuple[str, Any]]) -> dict[str, list[str]]:
    """The layers that have variables of the same shapes, in whatever order a form lists these."""
    held: dict[str, list[str]] = {}
    for title, shape in named:
        held.setdefault(title.rpartition("/")[0], []).append(repr(shape))
    found: dict[str, list[str]] = {}
    for owner, shapes in held.items():
        found.setdefault(" ".join(sorted(shapes)), []).append(owner)
    return found


def nothing_matches(
    stored: Sequence[str],
    wanted: Sequence[str],
    file: str,
    differences: Sequence[str] = (),
    suggested: Sequence[str] = (),
) -> MismatchError:
    """The error for a file of which nothing matches: what it holds, what is wanted.

    `differences` are lines about what has the same name, and does not fit; `suggested` a mapping
    to give, where one is known.
    """
    near = [
        f"nearest: {name} (wanted) and {found[0]} (in the file)"
        for name in wanted[:SHOWN]
        if not suggested
        and (found := difflib.get_close_matches(name, stored, 1, 0.4))
        and found[0] != name
    ]
    return MismatchError(
        "nothing in the file matches the program",
        mismatches=[
            listed("the file holds", stored),
            listed("the program wants", wanted),
            *near,
            *differences[:SHOWN],
            *suggested,
        ],
        file=file,
    )
