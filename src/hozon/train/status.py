"""What a restore did, and the questions that TensorFlow's status objects answer about it."""

from __future__ import annotations

from typing import Protocol, Self

from hozon.errors import MismatchError
from hozon.models.report import LoadReport


class UnmatchedError(MismatchError, AssertionError):
    """A status object's assertion does not hold; TensorFlow raises an AssertionError here."""


class Outcome(Protocol):
    """What a status object asks: the report, up to date with what was created since."""

    @property
    def file(self) -> str:
        """The checkpoint's prefix."""
        ...

    def report(self) -> LoadReport:
        """What became of every live value and every stored one."""
        ...


class LoadStatus(LoadReport):
    """The outcome of restoring a checkpoint; later deferred restorations count.

    A `LoadReport` whose lists are up to date whenever they are looked at.
    """

    def __init__(self, outcome: Outcome) -> None:
        # Not the parent's: here the lists of the account are properties.
        self.objects, self.converted = [], []
        self._outcome = outcome

    @property
    def matched(self) -> list[str]:  # type: ignore[override]
        """Variables of the program that got a stored value."""
        return self._outcome.report().matched

    @property
    def missing(self) -> list[str]:  # type: ignore[override]
        """Variables of the program without a stored value."""
        return self._outcome.report().missing

    @property
    def unexpected(self) -> list[str]:  # type: ignore[override]
        """Stored values that no variable took (yet)."""
        return self._outcome.report().unexpected

    @property
    def deferred(self) -> list[str]:  # type: ignore[override]
        """Stored values that wait for variables which do not exist yet."""
        return self._outcome.report().deferred

    @property
    def mismatched(self) -> list[str]:  # type: ignore[override]
        """Pairs that disagree in shape."""
        return self._outcome.report().mismatched

    @property
    def lost(self) -> list[str]:  # type: ignore[override]
        """What goes on in another way than in the program that wrote the file."""
        return self._outcome.report().lost

    @property
    def kept(self) -> list[str]:  # type: ignore[override]
        """Variables that checkpoints hold no value for, with the reason."""
        return self._outcome.report().kept

    @property
    def left_out(self) -> list[str]:  # type: ignore[override]
        """Stored values that nothing here needs, with the reason."""
        return self._outcome.report().left_out

    def assert_consumed(self) -> Self:
        """Raise unless every stored value was taken and every variable got one."""
        now = self._outcome.report()
        return self._assert(now, [*now.unexpected, *now.deferred])

    def assert_existing_objects_matched(self) -> Self:
        """Raise unless every variable that exists got a value; the file may hold more."""
        return self._assert(self._outcome.report(), [])

    def assert_nontrivial_match(self) -> Self:
        """Raise if nothing matched."""
        if not self.matched:
            raise UnmatchedError("nothing in the checkpoint matches", file=self._outcome.file)
        return self

    def expect_partial(self) -> Self:
        """Say that a partial match is fine."""
        return self

    def initialize_or_restore(self, session: object = None) -> None:
        """Nothing to do: values are assigned when the checkpoint is restored."""

    def run_restore_ops(self, session: object = None) -> None:
        """Nothing to do; see `initialize_or_restore`."""

    def _assert(self, now: LoadReport, unexpected: list[str]) -> Self:
        problems = [
            *(f"no stored value for {name}" for name in now.missing),
            *(f"nothing takes the stored {name}" for name in unexpected),
            *now.mismatched,
        ]
        if problems:
            raise UnmatchedError(
                "checkpoint and program do not match", mismatches=problems, file=self._outcome.file
            )
        return self


class InitializationOnlyStatus(LoadStatus):
    """What `restore(None)` returns: there is no checkpoint, and nothing was changed."""

    def __init__(self) -> None:
        super().__init__(_Nothing())

    def assert_consumed(self) -> Self:
        """Always raises: there was no checkpoint."""
        raise UnmatchedError("no checkpoint was given, so nothing was restored")

    assert_existing_objects_matched = assert_consumed
    assert_nontrivial_match = assert_consumed


class _Nothing:
    file = ""

    def report(self) -> LoadReport:
        return LoadReport()
