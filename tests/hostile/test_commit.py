"""A save that is killed at any point leaves the old or the new, and nothing that stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hozon.errors import SaveError
from hozon.formats.bundle import open_bundle, write_bundle
from hozon.raw.commit import replacing_directory
from hozon.raw.staging import publishing

SCRIPT = Path(__file__).with_name("killing.py")
DIED = 77
NAMES = {
    "file": ["target"],
    "folder": ["target"],
    "bundle": ["target.data-00000-of-00001", "target.index"],
}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("file", []),
        ("file", ["durable"]),
        ("folder", []),
        ("folder", ["no-exchange"]),
        ("bundle", []),
        ("bundle", ["durable"]),
        ("bundle", ["no-links"]),
    ],
)
def test_killed_at_each_system_call(kind: str, options: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, kind, tmp_path, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    for existed in (0, 1):
        rows = [row for row in results if row[0] == existed]
        states = [row[3] for row in rows]
        assert len(rows) > 10
        assert [row[2] for row in rows] == [DIED] * (len(rows) - 1) + [0], done.stderr
        old = 1 if existed else None
        gap = kind == "folder" and "no-exchange" in options
        assert set(states) <= ({old, 2, None} if gap else {old, 2}), states
        assert states[0] == old
        assert states[-1] == 2
        assert len([1 for a, b in zip(states, states[1:], strict=False) if a != b]) <= 1 + gap
        for *_, last, left in rows:
            assert last == 3
            assert left == NAMES[kind] or "no-links" in options
            assert len(left) == len(NAMES[kind])


FULL = """
import resource, signal, sys
import numpy as np
from hozon.errors import SaveError
from hozon.formats.bundle import write_bundle
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5 << 20, 5 << 20))
try:
    write_bundle(sys.argv[1], {"a": np.ones(10), "w": np.ones(1 << 20)})
except SaveError as error:
    print(error)
"""


def test_a_disk_that_gets_full_halfway(tmp_path: Path) -> None:
    """A limit of the file size stands for the full disk."""
    write_bundle(tmp_path / "c", {"w": np.zeros(3)})
    before = {f.name: f.read_bytes() for f in tmp_path.iterdir()}
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "c"], capture_output=True, text=True, check=True
    )
    assert "cannot be saved: File too large" in done.stdout
    assert {f.name: f.read_bytes() for f in tmp_path.iterdir()} == before


SAVING = """
import sys, time
import numpy as np
from hozon.formats.bundle import write_bundle
version, start = 0, time.monotonic()
print("ready", flush=True)
while time.monotonic() < start + 60:
    version += 1
    write_bundle(sys.argv[1], {f"v{i}": np.full(1000, version) for i in range(200)})
"""


@contextmanager
def saving(prefix: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that saves to `prefix` again and again, until it is killed at the end."""
    process = subprocess.Popen([sys.executable, "-c", SAVING, prefix], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def versions(prefix: Path) -> set[int]:
    """The numbers that all arrays of a checkpoint hold."""
    arrays = open_bundle(prefix).read_all().values()
    return {int(number) for array in arrays for number in np.unique(array)}


def test_killed_at_any_time(tmp_path: Path) -> None:
    """SIGKILL, which also comes between two bytes of one write."""
    rng = np.random.default_rng(0)
    for _ in range(8):
        with saving(tmp_path / "c"):
            # Some saves take place first; the moment of the last one is left to chance.
            time.sleep(0.1 + rng.random() * 0.05)
        assert len(versions(tmp_path / "c")) == 1
    write_bundle(tmp_path / "c", {"w": np.ones(1)})
    assert sorted(os.listdir(tmp_path)) == ["c.data-00000-of-00001", "c.index"]


def test_reading_while_another_process_saves(tmp_path: Path) -> None:
    """Each reading finds one checkpoint whole, also when it is replaced before the last tensor."""
    write_bundle(tmp_path / "c", {"v0": np.full(1000, 0)})
    seen = set()
    with saving(tmp_path / "c"):
        for _ in range(300):
            (found,) = versions(tmp_path / "c")
            seen.add(found)
    assert len(seen) > 3


def test_a_checkpoint_that_is_removed_while_it_is_open(tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", {"w": np.arange(3)})
    bundle = open_bundle(tmp_path / "c")
    write_bundle(tmp_path / "c", {"w": np.ones(5)})
    assert bundle["w"].read().tolist() == [0, 1, 2]
    for file in tmp_path.iterdir():
        file.unlink()
    assert bundle["w"].read().tolist() == [0, 1, 2]


def test_two_processes_that_save_to_one_prefix(tmp_path: Path) -> None:
    """What is left is one of them whole."""
    with saving(tmp_path / "c"), saving(tmp_path / "c"):
        time.sleep(0.5)
    assert len(versions(tmp_path / "c")) == 1


def test_names_are_given_in_turn(tmp_path: Path) -> None:
    """A save waits with its renames while another one is in the middle of its own."""
    write_bundle(tmp_path / "c", {"w": np.zeros(2)})
    second = threading.Thread(target=write_bundle, args=(tmp_path / "c", {"w": np.ones(2)}))
    with publishing(str(tmp_path / "c")):
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert open_bundle(tmp_path / "c")["w"].read().tolist() == [0, 0]
    second.join()
    assert open_bundle(tmp_path / "c")["w"].read().tolist() == [1, 1]


def test_a_file_in_the_place_of_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "c.index").mkdir()
    with pytest.raises(SaveError, match="a folder"):
        write_bundle(tmp_path / "c", {"w": np.ones(1)})
    assert os.listdir(tmp_path) == ["c.index"]


def test_links_in_a_replaced_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "x").write_text("mine")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "link").symlink_to(tmp_path / "precious")
    with replacing_directory(tmp_path / "d"):
        pass
    assert (tmp_path / "precious" / "x").read_text() == "mine"


def test_file_handles_are_closed(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(3):
        write_bundle(tmp_path / "c", {"w": np.ones(10)})
    assert not before or len(os.listdir("/proc/self/fd")) == before
