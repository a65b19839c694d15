"""What is at a far place is asked once in a call, and anew in the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import hozon
from hozon.raw.stores import exists, is_directory, looking, names, read_bytes, size, write_bytes


class Counting(MemoryFileSystem):  # type: ignore[misc]
    """An object store in memory that counts what it is asked; it keeps listings, as others do."""

    protocol = "counting"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    asked: ClassVar[Counter[str]] = Counter()
    kept: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("counting://")))

    def info(self, path: str, **options: Any) -> Any:
        self.asked["info"] += 1
        return super().info(path, **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        if path not in self.kept:
            self.asked["ls"] += 1
            self.kept[path] = super().ls(path, detail=True, **options)
        return self.kept[path] if detail else [entry["name"] for entry in self.kept[path]]

    def cat_file(self, path: str, *args: Any, **options: Any) -> Any:
        self.asked["get"] += 1
        return super().cat_file(path, *args, **options)

    def invalidate_cache(self, path: str | None = None) -> None:
        self.kept.clear()


@pytest.fixture
def asked() -> Iterator[Counter[str]]:
    fsspec.register_implementation("counting", Counting, clobber=True)
    Counting.store.clear()
    Counting.kept.clear()
    Counting.asked.clear()
    return Counting.asked


def test_a_folder_answers_for_what_it_holds(asked: Counter[str]) -> None:
    write_bytes("counting://b/f/one", b"12345")
    asked.clear()
    with looking():
        assert is_directory("counting://b/f")
        assert not exists("counting://b/f/two")
        assert size("counting://b/f/one") == 5
        assert not exists("counting://b/f/two/three")
        assert names("counting://b/f/") == ["one"]
        assert read_bytes("counting://b/f/one") == read_bytes("counting://b/f/one") == b"12345"
    assert asked == {"info": 1, "ls": 1, "get": 1}


def test_what_is_written_is_seen(asked: Counter[str]) -> None:
    with looking():
        assert not exists("counting://b/x")
        write_bytes("counting://b/x", b"1")
        assert size("counting://b/x") == 1
        write_bytes("counting://b/x", b"12")
        assert read_bytes("counting://b/x") == b"12"


def test_what_others_wrote_is_seen_by_the_next_call(asked: Counter[str]) -> None:
    write_bytes("counting://b/f/one", b"1")
    assert names("counting://b/f") == ["one"]
    Counting().pipe_file("/b/f/two", b"2")
    assert names("counting://b/f") == ["one", "two"]


@pytest.mark.parametrize(("name", "most"), [("m", 8), ("m.keras", 3), ("m.h5", 3)])
def test_requests_of_a_look(name: str, most: int, asked: Counter[str]) -> None:
    import keras

    hozon.save_model(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), f"counting://b/{name}"
    )
    asked.clear()
    hozon.inspect(f"counting://b/{name}")
    assert asked.total() <= most, asked


def test_requests_of_a_checkpoint(asked: Counter[str]) -> None:
    values = {f"v{i}": np.full(100, i, "f4") for i in range(1000)}
    hozon.train.Checkpoint(**values).write("counting://b/c")
    asked.clear()
    read = hozon.train.Checkpoint(**{name: value * 0 for name, value in values.items()})
    read.read("counting://b/c").assert_consumed()
    np.testing.assert_array_equal(read.v999, values["v999"])
    assert asked.total() <= 40, asked
    asked.clear()
    stored = hozon.tensors("counting://b/c")
    np.testing.assert_array_equal(stored["v7/.ATTRIBUTES/VARIABLE_VALUE"], values["v7"])
    assert asked.total() <= 8, asked
