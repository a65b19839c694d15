"""What a load is going to do: plain data, made by matchers before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hozon.models.report import LoadReport
from hozon.models.tracking.leaves import KerasLeaf, TwoLeaves
from hozon.objects.tracking import Leaf
from hozon.stored.lazy import LazyTensor

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class Pair:
    """A live value and what is stored for it.

    Attributes:
        leaf: what takes the value, most often a variable.
        tensor: the value.
        label: its name in reports.
        stored: the file's names of the tensors that the value is made of.
    """

    leaf: Leaf
    tensor: LazyTensor
    label: str
    stored: tuple[str, ...]

    @property
    def difference(self) -> str | None:
        """How the two disagree; None where they do not."""
        shape = self.leaf.shape
        if shape is not None and tuple(shape) != tuple(self.tensor.shape):
            return f"{self.label} has shape {tuple(shape)}, the file holds {self.tensor.shape}"
        if self.leaf.dtype.fixed != self.tensor.dtype.fixed:
            return f"{self.label} is {self.leaf.dtype}, the file holds {self.tensor.dtype}"
        return None


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that is stored for one object, which takes it by code of its own.

    Attributes:
        take: the object's ``load_own_variables``.
        tensors: by the names that the object gave them.
        label: the object's name in reports.
        stored: the file's names of the tensors.
        variables: those of the object.
    """

    take: Callable[[Mapping[str, Any]], None]
    tensors: Mapping[str, LazyTensor]
    label: str
    stored: tuple[str, ...]
    variables: tuple[Any, ...]


@dataclass(slots=True)
class Assignment:
    """Which stored value goes where, and what is left on either side, each with a reason.

    Attributes:
        pairs: values with what takes them.
        bundles: objects that take all of theirs at once.
        given: pairs that have been applied.
        report: the names of all this, as the caller sees them.
        variables: the live variables that are accounted for, by identity.
        tensors: the file's tensors that are accounted for, by their names.
        then: what follows once all values are given.
    """

    pairs: list[Pair] = field(default_factory=list)
    bundles: list[Bundle] = field(default_factory=list)
    given: list[Pair] = field(default_factory=list)
    report: LoadReport = field(default_factory=LoadReport)
    variables: set[int] = field(default_factory=set)
    tensors: set[str] = field(default_factory=set)
    then: list[Callable[[], None]] = field(default_factory=list)

    def pair(self, leaf: Leaf, tensor: LazyTensor, label: str, *stored: str) -> None:
        """A value goes to a leaf; `stored` names its tensors where it is not one of the file's."""
        pair = Pair(leaf, tensor, label, stored or (tensor.name,))
        self.pairs.append(pair)
        self.variables.update(id(variable) for variable in variables_of(leaf))
        self.tensors.update(pair.stored)

    def bundle(self, bundle: Bundle) -> None:
        """An object takes what is stored for it."""
        self.bundles.append(bundle)
        self.variables.update(map(id, bundle.variables))
        self.tensors.update(bundle.stored)

    def drop(self, pair: Pair) -> None:
        """A pair that does not fit is left as it is, on both sides."""
        self.pairs = [other for other in self.pairs if other is not pair]
        self.report.mismatched.append(str(pair.difference))
        self.report.missing.append(pair.label)
        self.report.unexpected.extend(pair.stored)

    def took(self, label: str, leaf: Leaf, *stored: str) -> None:
        """A live value that has its stored one from an earlier assignment."""
        self.report.matched.append(label)
        self.variables.update(map(id, variables_of(leaf)))
        self.tensors.update(stored)

    def miss(self, label: str, *variables: Any) -> None:
        """A value that the file should hold, and does not; the variables behind it."""
        self.report.missing.append(label)
        self.variables.update(map(id, variables))

    def surplus(self, *stored: str, label: str = "") -> None:
        """Tensors that no variable takes; by one label, or each by its name."""
        self.report.unexpected.extend([label] if label else stored)
        self.tensors.update(stored)

    def disagree(
        self, line: str, variables: Iterable[keras.Variable] = (), stored: Iterable[str] = ()
    ) -> None:
        """Variables and tensors that belong together and do not fit."""
        self.report.mismatched.append(line)
        self.variables.update(map(id, variables))
        self.tensors.update(stored)

    def keep(self, line: str, *variables: Any) -> None:
        """Variables that keep the values they have, as this file is not meant to hold any."""
        self.report.kept.append(line)
        self.variables.update(map(id, variables))

    def leave(self, line: str, *stored: str) -> None:
        """Tensors that are left in the file, as nothing of theirs exists here, nor should."""
        self.report.left_out.append(line)
        self.tensors.update(stored)

    def lose(
        self, line: str, variables: Iterable[keras.Variable] = (), stored: Iterable[str] = ()
    ) -> None:
        """State that does not come back."""
        self.report.lost.append(line)
        self.variables.update(map(id, variables))
        self.tensors.update(stored)

    def defer(self, label: str, *stored: str) -> None:
        """Values that wait for a variable which does not exist yet."""
        self.report.deferred.append(label)
        self.tensors.update(stored)


def variables_of(leaf: Leaf) -> tuple[Any, ...]:
    """The Keras variables behind a leaf."""
    if isinstance(leaf, TwoLeaves):
        return (leaf.first.variable, leaf.second.variable)
    return (leaf.variable,) if isinstance(leaf, KerasLeaf) else ()
