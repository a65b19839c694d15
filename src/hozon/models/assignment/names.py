"""Pairing by names: of layers and variables, or by what the caller says they are called."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hozon.errors import MismatchError
from hozon.models.assignment.assignment import Assignment, variables_of
from hozon.objects.tracking import Leaf
from hozon.stored.lazy import LazyTensor

#: What a caller says of names: patterns, or a function from a stored name to the model's.
Rename = Mapping[str, str | None] | Callable[[str], str | None] | None
SHOWN = 10


@dataclass(frozen=True, slots=True)
class LiveName:
    """A live value, the names that it goes by, and the one in reports.

    `places` say where it stands, which only a caller's mapping may speak of.
    """

    leaf: Leaf
    names: tuple[str, ...]
    label: str
    places: tuple[str, ...] = ()


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
class Renamer:
    """A caller's mapping of names, and which of its patterns have met a name."""

    rename: Rename
    met: set[str] = field(default_factory=set)

    def __call__(self, entry: StoredName) -> tuple[str, ...] | None:
        """What a stored value is called in the model; None for one that is to be left out."""
        names = (*entry.names, *entry.places)
        if self.rename is None:
            return entry.names
        if not isinstance(self.rename, Mapping):
            given = self.rename(entry.title)
            return None if given is None else self._told(given, entry)
        for pattern, target in self.rename.items():
            found = [new for name in names if (new := _matched(pattern, target, name)) != name]
            if found:
                self.met.add(pattern)
                return None if target is None else tuple(name for name in found if name is not None)
        return entry.names

    @staticmethod
    def _told(given: str, entry: StoredName) -> tuple[str, ...]:
        """What a function says; a place that it leaves as it is, is no name."""
        return entry.names if given == entry.title else (given,)

    def require_met(self, stored: Iterable[StoredName], file: str) -> None:
        """Raise MismatchError for patterns that no stored name has matched."""
        patterns = self.rename if isinstance(self.rename, Mapping) else {}
        lacking = [pattern for pattern in patterns if pattern not in self.met]
        if lacking:
            held = [entry.title for entry in stored]
            raise MismatchError(
                "rename= names what the file does not hold",
                mismatches=[
                    *(f"no stored name matches {pattern!r}" for pattern in lacking),
                    listed("the file holds", held),
                ],
                file=file,
            )


def _matched(pattern: str, target: str | None, name: str) -> str | None:
    """The new name where a pattern fits a name or what it begins with; else the name itself."""
    if "*" in pattern:
        found = re.fullmatch("(.*)".join(map(re.escape, pattern.split("*"))), name)
        if found is None:
            return name
        stars = iter(found.groups())
        return None if target is None else re.sub(r"\*", lambda _: next(stars, ""), target)
    if name != pattern and not name.startswith(f"{pattern}/"):
        return name
    return None if target is None else target + name[len(pattern) :]


def pair_by_names(
    live: Sequence[LiveName],
    stored: Sequence[StoredName],
    rename: Rename,
    assignment: Assignment,
    file: str,
) -> None:
    """Pair values of the same names; scopes around a name may be missing on one side.

    Raises:
        MismatchError: a mapping matches nothing, or gives two stored values to one variable.
    """
    renamer, places = Renamer(rename), places_of(live)
    called = [(entry, renamer(entry)) for entry in stored]
    renamer.require_met(stored, file)
    taken: dict[int, StoredName] = {}
    rest: list[tuple[StoredName, tuple[str, ...]]] = []
    for entry, names in called:
        if names is None:
            assignment.leave(f"{entry.own}: left out by rename=", entry.own)
        elif (found := places.whole_name(names)) is None:
            rest.append((entry, names))
        elif id(found) in taken:
            raise MismatchError(
                f"two stored values go to {found.label}",
                mismatches=[taken[id(found)].own, entry.own],
                file=file,
            )
        else:
            taken[id(found)] = entry
    taken |= _by_ends(rest, places, taken, assignment)
    for item in live:
        if id(item) in taken:
            entry = taken[id(item)]
            assignment.pair(item.leaf, entry.tensor, item.label, entry.own)
        else:
            assignment.miss(item.label, *variables_of(item.leaf))


def _by_ends(
    rest: Sequence[tuple[StoredName, tuple[str, ...]]],
    places: Places,
    taken: Mapping[int, StoredName],
    assignment: Assignment,
) -> dict[int, StoredName]:
    """What agrees without enclosing scopes, where just one stored value does."""
    claims: dict[int, list[StoredName]] = {}
    for entry, names in rest:
        found = places.end_of_name(names)
        if found is None or id(found) in taken:
            assignment.surplus(entry.own)
        else:
            claims.setdefault(id(found), []).append(entry)
    for entries in claims.values():
        if len(entries) > 1:
            assignment.surplus(*(entry.own for entry in entries))
    return {key: entries[0] for key, entries in claims.items() if len(entries) == 1}


@dataclass(frozen=True, slots=True)
class Places:
    """Live values by their whole names, and by the ends of these, at least two parts long."""

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
    places = Places({}, {})
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


def nothing_matches(stored: Sequence[str], wanted: Sequence[str], file: str) -> MismatchError:
    """The error for a file of which nothing matches: what it holds, what is wanted."""
    near = [
        f"nearest: {name} (wanted) and {found[0]} (in the file)"
        for name in wanted[:SHOWN]
        if (found := difflib.get_close_matches(name, stored, 1, 0.4))
    ]
    return MismatchError(
        "nothing in the file matches the model",
        mismatches=[
            listed("the file holds", stored),
            listed("the model wants", wanted),
            *near,
        ],
        file=file,
    )


def names_of(path: str, objects: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the objects on the way to one, by the paths of attributes that lead there.

    One without a name, as a seed generator in a layer, goes by its attributes below the last name.
    """
    parts = path.split("/") if path else []
    ways = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    named = [i for i, way in enumerate(ways) if way in objects]
    if not named:
        return ()
    return (*(objects[ways[i]].replace("/", "_") for i in named), *parts[named[-1] + 1 :])
