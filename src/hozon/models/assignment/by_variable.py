"""The matcher of files that name values by the paths of variables: Orbax, as Keras writes it.

A variable's path is the names of the scopes that it was made in, ``encoder/dense/kernel``, most
often those of the layers around it: all of them, or only the inner ones, as with layers that were
built before the model around them was. So a stored path is an end of the names that lead to the
variable, or it is the live path itself. What that does not tell apart is told by what is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import keras

from hozon.errors import MismatchError
from hozon.keras_private.layers import variables_of
from hozon.keras_private.paths import saveables
from hozon.models.assignment.assignment import Assignment
from hozon.models.assignment.by_name import (
    LiveName,
    Rename,
    StoredName,
    listed,
    nothing_matches,
    pair_by_names,
)
from hozon.models.assignment.object_names import object_names, object_paths
from hozon.models.assignment.seeds import STATE, pair_seeds, uncounted
from hozon.models.tracking.leaves import KerasLeaf
from hozon.record import ModelRecord, names_of

COUNTED = "names of layers that Keras counted up differ: they are taken in their order"


@dataclass(frozen=True, slots=True)
class Named:
    """A live variable, its own path, and the names of the objects that lead to it.

    The first `told` of these are the file's, the others the model's own.
    """

    variable: keras.Variable
    path: str
    chain: tuple[str, ...]
    told: int

    def ends(self) -> Iterator[str]:
        """What it may be called in a file: at least by its object's name and its own."""
        parts = (*self.chain, self.path.rpartition("/")[2])
        yield from ("/".join(parts[start:]) for start in range(max(len(parts) - 1, 1)))
        yield self.path


def by_variable(
    model: keras.Model,
    record: ModelRecord,
    metrics: str,
    *,
    by_name: bool = False,
    rename: Rename = None,
    skip_mismatch: bool = False,
) -> tuple[Assignment, dict[int, str]]:
    """What goes where, by the paths of variables.

    Args:
        model: a built model or layer.
        record: with naming ``"variables"``.
        metrics: what begins the names of groups that are metrics'.
        by_name: only the names count, and what one side lacks is left as it is.
        rename: what stored values are called in the model.
        skip_mismatch: values of other shapes are left out.

    Returns:
        The assignment, and what the file calls each of the model's variables, by identity.

    Raises:
        MismatchError: names do not tell variables apart, or a caller's names do not fit.
    """
    assignment = Assignment()
    stored: dict[str, StoredName] = {}
    seeds: list[StoredName] = []
    for group in record.state:
        for name, tensor in group.tensors.items():
            own = f"{group.name}/{name}"
            if group.name.partition("/")[0] == metrics:
                assignment.leave(f"{own}: metrics begin anew", own)
            elif name == STATE:
                seeds.append(StoredName(tensor, (own,), own))
            else:
                path = own.lstrip("/")
                stored[path] = StoredName(tensor, (path,), own)
    told = _told(model, record)
    live = list(_live(model, told, _root_name(model, record)))
    pair_seeds(model, seeds, told, assignment)
    if rename is not None or by_name:
        _by_given_names(live, stored, assignment, record.path, by_name, rename, skip_mismatch)
    else:
        _by_ends(live, stored, assignment, record.path)
    names = {
        id(pair.leaf.variable): pair.stored[0].lstrip("/")
        for pair in assignment.pairs
        if isinstance(pair.leaf, KerasLeaf)
    }
    return assignment, names


def _told(model: keras.Model, record: ModelRecord) -> dict[str, str]:
    """The file's names of the model's layers, by path; none where it is of another model."""
    objects, told = dict(saveables(model)), object_names(record)
    strange = [path for path in told if path not in objects and "/input_layer" not in path]
    return {} if strange else {path: name for path, name in told.items() if path in objects}


def _live(model: keras.Model, told: Mapping[str, str], root: str) -> Iterator[Named]:
    """The variables of a model, each once; its layers are called as in the file.

    One that a layer has besides the layer that made it, stands where it was met last.
    """
    objects = {**dict(object_paths(model)), **told}
    found: dict[int, Named] = {}
    for path, target in saveables(model):
        if not isinstance(target, keras.Layer):
            continue
        parts = path.split("/") if path else []
        known = sum("/".join(parts[: i + 1]) in told for i in range(len(parts))) + bool(told)
        for variable in variables_of(target):
            chain = (root, *names_of(path, objects))
            found[id(variable)] = Named(variable, str(variable.path), chain, known)
    yield from found.values()


def _root_name(model: keras.Model, record: ModelRecord) -> str:
    config = (record.config or {}).get("config")
    told = config.get("name") if isinstance(config, Mapping) else None
    return str(told or model.name)


def _by_given_names(
    live: Sequence[Named],
    stored: Mapping[str, StoredName],
    assignment: Assignment,
    file: str,
    by_name: bool,
    rename: Rename,
    skip_mismatch: bool,
) -> None:
    called = [
        LiveName(KerasLeaf(n.variable), tuple(dict.fromkeys((n.path, *n.ends()))), n.path)
        for n in live
    ]
    pair_by_names(
        called,
        list(stored.values()),
        assignment,
        file,
        rename=rename,
        partial=by_name,
        skip_mismatch=skip_mismatch,
    )


def _by_ends(
    live: Sequence[Named], stored: Mapping[str, StoredName], assignment: Assignment, file: str
) -> None:
    exact = _exactly(live, stored)
    found, unclear = _paired(live, stored) if exact is None else (exact, [])
    if live and stored and not _is_whole(found, live, stored):
        for again in (_counted_by_parent, _counted_anew):
            made = again(live, stored)
            other = {} if made is None else _paired(*made)[0]
            if _is_whole(other, live, stored):
                found, unclear = other, []
                assignment.report.converted.append(COUNTED)
                break
    if unclear:
        raise MismatchError("names do not tell variables apart", mismatches=unclear, file=file)
    if live and stored and not found:
        raise nothing_matches(list(stored), [named.path for named in live], file)
    taken = {id(entry) for entry in found.values()}
    for named in live:
        entry = found.get(id(named.variable))
        if entry is None:
            assignment.miss(named.path, named.variable)
        else:
            assignment.pair(KerasLeaf(named.variable), entry.tensor, named.path, entry.own)
    assignment.surplus(*(e.own for e in stored.values() if id(e) not in taken))


def _is_whole(
    found: Mapping[int, StoredName], live: Sequence[Named], stored: Mapping[str, StoredName]
) -> bool:
    return len(found) == len(live) == len(stored)


def _exactly(
    live: Sequence[Named], stored: Mapping[str, StoredName]
) -> dict[int, StoredName] | None:
    """Stored values by variable, where each is called just as one variable is."""
    by_path = {named.path: named for named in live}
    if len(by_path) < len(live) or by_path.keys() != stored.keys():
        return None
    return {id(by_path[path].variable): entry for path, entry in stored.items()}


def _paired(
    live: Sequence[Named], stored: Mapping[str, StoredName]
) -> tuple[dict[int, StoredName], list[str]]:
    """Stored values by variable: what has one counterpart first, then what has one left.

    Besides, a line for each that names leave open.
    """
    may: dict[str, set[int]] = {path: set() for path in stored}
    for number, named in enumerate(live):
        for end in named.ends():
            if end in may:
                may[end].add(number)
    can: dict[int, set[str]] = {}
    for path, numbers in may.items():
        for number in numbers:
            can.setdefault(number, set()).add(path)
    found: dict[int, StoredName] = {}
    ready = [path for path, numbers in may.items() if len(numbers) == 1]
    while ready:
        path = ready.pop()
        if path not in may or len(may[path]) != 1:
            continue
        (number,) = may.pop(path)
        found[id(live[number].variable)] = stored[path]
        for other in can.pop(number) - {path}:
            may[other].discard(number)
            ready.append(other)
    unclear = [
        listed(f"{path} may be", [live[number].path for number in sorted(numbers)])
        for path, numbers in may.items()
        if numbers
    ]
    return found, unclear


def _counted_by_parent(
    live: Sequence[Named], stored: Mapping[str, StoredName]
) -> tuple[list[Named], dict[str, StoredName]] | None:
    """Both sides with the names that the file's config does not tell counted in each parent.

    What a layer of the user's class holds is made by its code, in the same order each time, but
    Keras counts its names with those of all other layers.
    """
    above = {named.chain[named.told - 1] for named in live if 0 < named.told < len(named.chain)}
    free = all(named.told == 0 for named in live)
    chains = {(*n.chain, n.path.rpartition("/")[2]): n.told for n in live}
    paths = {parts: _first_free(parts, above, free) for parts in map(_parts, stored)}
    ours, theirs = _ranked(chains), _ranked(paths)
    renamed = [
        replace(named, path="/".join(chain), chain=chain[:-1])
        for named in live
        for chain in [ours[(*named.chain, named.path.rpartition("/")[2])]]
    ]
    made = {"/".join(theirs[_parts(path)]): entry for path, entry in stored.items()}
    return (renamed, made) if len(made) == len(stored) else None


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _first_free(parts: tuple[str, ...], above: set[str], free: bool) -> int:
    """Where in a stored path the names begin that no config tells."""
    inside = (i + 1 for i, part in enumerate(parts[:-1]) if part in above)
    return 0 if free else next(inside, len(parts))


def _ranked(paths: Mapping[tuple[str, ...], int]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Paths whose names, from a place on, have their rank among their siblings for a number."""
    siblings: dict[tuple[tuple[str, ...], str], set[str]] = {}
    for parts, first in paths.items():
        for i in range(first, len(parts) - 1):
            siblings.setdefault((parts[:i], uncounted(parts[i])[0]), set()).add(parts[i])
    ranks = {
        (parent, name): f"{base}#{rank}"
        for (parent, base), names in siblings.items()
        for rank, name in enumerate(sorted(names, key=uncounted))
    }
    return {
        parts: tuple(
            ranks[parts[:i], part] if first <= i < len(parts) - 1 else part
            for i, part in enumerate(parts)
        )
        for parts, first in paths.items()
    }


def _counted_anew(
    live: Sequence[Named], stored: Mapping[str, StoredName]
) -> tuple[Sequence[Named], dict[str, StoredName]] | None:
    """Stored values by other names: those that Keras counted up are counted as in the model.

    None where the two have not the same names but for the numbers, as many of each.
    """
    there, here = _counted(stored), _counted(named.path for named in live)
    if there.keys() != here.keys() or any(len(there[k]) != len(here[k]) for k in there):
        return None
    names = {old: new for base in there for old, new in zip(there[base], here[base], strict=True)}
    made = {
        "/".join((*(names[part] for part in path.split("/")[:-1]), path.rpartition("/")[2])): entry
        for path, entry in stored.items()
    }
    return (live, made) if len(made) == len(stored) else None


def _counted(paths: Iterable[str]) -> dict[str, list[str]]:
    """The names of scopes by what they are without a number, in the order of the numbers."""
    names = {part for path in paths for part in path.split("/")[:-1]}
    found: dict[str, list[str]] = {}
    for name in sorted(names, key=uncounted):
        found.setdefault(uncounted(name)[0], []).append(name)
    return found
