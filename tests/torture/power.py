"""A power cut at any moment of a save: what may be on the disk then, and whether it can be read.

The calls of a save to the file system are recorded as they are made: before each, the names and
the contents below the folder. Of all that, the disk keeps what was synced: the content that a file
had at its last fsync, and changes of names in a folder up to its last fsync. What was not synced
may be there or not, in any order: of names none, all, those up to a moment, a single one or all but
one; of contents all, nothing, or zeros in their place.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import keras

import hozon
from tests.torture.injector import run
from tests.torture.saves import Content, Save

#: Which file or folder a name in a folder is of. They have numbers of our own: those of the system
#: are given again to others.
Names = dict[tuple[int, str], int]
ROOT = 0


class Unsynced(Enum):
    """What is left of content that was written and not synced."""

    WRITTEN = "all of it"
    EMPTY = "nothing"
    ZEROS = "zeros"


@dataclass
class Change:
    """Names that one call changed together: what each is of after it, None where it is gone."""

    names: dict[tuple[int, str], int | None]
    synced: bool = False


@dataclass
class Disk:
    """What the disk holds for sure, what it may hold, and what the running system sees."""

    folder: Path
    first: Names = field(default_factory=dict)
    now: Names = field(default_factory=dict)
    contents: dict[int, bytes | None] = field(default_factory=dict)
    synced: dict[int, bytes] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """A folder all of which is on the disk."""
        disk = cls(folder)
        disk.see()
        disk.first, disk.changes = disk.now, []
        disk.synced = {key: data for key, data in disk.contents.items() if data is not None}
        return disk

    def see(self) -> None:
        """Note what has changed below the folder; what lost its name may have it after a cut."""
        names: Names = {}
        numbers = {os.stat(self.folder).st_ino: ROOT}
        waiting = [self.folder]
        while waiting:
            parent = waiting.pop()
            holder = numbers[os.stat(parent).st_ino]
            for entry in os.scandir(parent):
                inode = entry.inode()
                number = numbers.setdefault(inode, self.numbers.get(inode, len(self.contents) + 1))
                names[holder, entry.name] = number
                inside = entry.is_dir(follow_symlinks=False)
                self.contents[number] = None if inside else Path(entry.path).read_bytes()
                waiting += [Path(entry.path)] if inside else []
        keys = {*names, *self.now}
        changed = {key: names.get(key) for key in keys if names.get(key) != self.now.get(key)}
        if changed:
            self.changes.append(Change(changed))
        self.now, self.numbers = names, numbers

    def sync(self, inode: int) -> None:
        """A file or folder was synced."""
        number = self.numbers[inode]
        data = self.contents.get(number)
        if data is not None:
            self.synced[number] = data
        for change in self.changes:
            change.synced |= any(folder == number for folder, _ in change.names)

    def after_a_cut(self) -> Iterator[dict[str, bytes | None]]:
        """The trees that may be found: content by path, None for a folder."""
        open_ = [i for i, change in enumerate(self.changes) if not change.synced]
        chosen = {(), tuple(open_)}
        chosen |= {tuple(open_[:count]) for count in range(len(open_))}
        chosen |= {(one,) for one in open_} | {tuple(set(open_) - {one}) for one in open_}
        for kept in chosen:
            names = dict(self.first)
            for i, change in enumerate(self.changes):
                if change.synced or i in kept:
                    for key, inode in change.names.items():
                        if inode is None:
                            names.pop(key, None)
                        else:
                            names[key] = inode
            for left in Unsynced:
                yield dict(self._tree(names, ROOT, "", left))

    def _tree(
        self, names: Names, folder: int, path: str, left: Unsynced
    ) -> Iterator[tuple[str, bytes | None]]:
        for (parent, name), inode in names.items():
            if parent != folder:
                continue
            place = f"{path}{name}"
            if self.contents[inode] is None:
                yield place, None
                yield from self._tree(names, inode, f"{place}/", left)
            else:
                yield place, self._content(inode, left)

    def _content(self, inode: int, left: Unsynced) -> bytes:
        now = self.contents[inode]
        assert now is not None
        if left is Unsynced.WRITTEN:
            return now
        kept = self.synced.get(inode)
        if kept is not None:
            return kept
        return b"" if left is Unsynced.EMPTY else bytes(len(now))


@dataclass
class Cut:
    """How many different trees a save's cuts may leave, and what is wrong with some."""

    save: str
    calls: int
    trees: int = 0
    wrong: list[str] = field(default_factory=list)


class PowerCuts:
    """One way to save, version 2 over version 1, and the power cut before each of its calls."""

    def __init__(self, save: Save, folder: Path, models: list[keras.Model]) -> None:
        self.save = save
        self._folder = folder
        self._models = models
        self._contents: list[Content] = []
        for version, each in enumerate(models[:2]):
            place = folder / f"clean-{version}"
            place.mkdir(parents=True)
            save(each, place)
            self._contents.append(save.content(place))

    def run(self) -> Cut:
        """Save once and look at each tree that a cut may leave; at the end only the new will do."""
        place = self._folder / "saved"
        shutil.copytree(self._folder / "clean-0", place)
        disk, trees = Disk.of(place), dict[frozenset[tuple[str, bytes | None]], str]()
        calls: list[str] = []

        def gather(moment: str) -> None:
            for tree in disk.after_a_cut():
                trees.setdefault(frozenset(tree.items()), moment)

        def see(name: str, descriptor: str) -> None:
            disk.see()
            gather(f"before call {len(calls)}, {name}")
            calls.append(name)
            if name in ("fsync", "fdatasync"):
                found = os.stat(descriptor)
                assert stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
                disk.sync(found.st_ino)

        def work() -> int:
            self.save(self._models[1], place)
            return 0

        ended = run(work, place, see=see)
        assert ended.status == 0, f"{self.save.name} ended with {ended.status}"
        disk.see()
        cut = Cut(self.save.name, len(calls))
        last = {frozenset(tree.items()) for tree in disk.after_a_cut()}
        for tree in {*trees, *last}:
            cut.trees += 1
            wrong = self._wrong(dict(tree), only_new=tree in last)
            if wrong:
                cut.wrong.append(f"{trees.get(tree, 'at the end')}: {wrong}")
        return cut

    def _wrong(self, tree: dict[str, bytes | None], *, only_new: bool) -> str:
        place = self._folder / "cut"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for path in sorted(tree, key=lambda path: path.count("/")):
            data = tree[path]
            if data is None:
                (place / path).mkdir()
            else:
                (place / path).write_bytes(data)
        try:
            found = self.save.content(place)
        except (hozon.HozonError, AssertionError) as error:
            return f"it left what cannot be read: {error}"
        if found == self._contents[1] or (found == self._contents[0] and not only_new):
            return self._next(place)
        return "it left the old" if found == self._contents[0] else "it left a mixture"

    def _next(self, place: Path) -> str:
        """What is wrong with saving once more over what a cut left."""
        try:
            self.save(self._models[1], place)
            found = self.save.content(place)
        except (hozon.HozonError, AssertionError) as error:
            return f"the next save failed: {error}"
        return "" if found == self._contents[1] else "the next save failed"


Report = Callable[[str], None]


def cut_all(saves: list[Save], folder: Path, models: list[keras.Model], tell: Report) -> int:
    """Cut the power of each save; how many trees were wrong."""
    wrong = 0
    for save in saves:
        cut = PowerCuts(save, folder / f"power-{save.name}", models).run()
        wrong += len(cut.wrong)
        tell(f"{cut.save}: {cut.trees} trees after {cut.calls} calls, {len(cut.wrong)} wrong")
        for line in cut.wrong[:20]:
            tell(f"    {line}")
    return wrong
