"""Files and folders that are replaced whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hozon.errors import HozonError, SaveError
from hozon.raw import commit, kernel
from hozon.raw import staging as staging_module
from hozon.raw.commit import replacing_directory, replacing_file
from hozon.raw.staging import staging

DURABLE = [None, True, False]


@pytest.fixture(params=["exchange", "two steps"])
def swapping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the kernel's exchange of two paths, and without."""
    if request.param == "two steps":
        monkeypatch.setattr(commit, "exchange", lambda first, second: False)
    return str(request.param)


def hidden(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".")]


def leftover(folder: Path, name: str) -> Path:
    """What a crashed save of `name` left."""
    left = folder / f".{name}.hozon-0badc0de"
    left.mkdir()
    (left / "new").mkdir()
    (left / "new" / "half").write_text("half")
    return left


@pytest.mark.parametrize("durable", DURABLE)
def test_a_file_is_made_then_replaced(tmp_path: Path, durable: bool | None) -> None:
    for text in ("one", "two", "three"):
        with replacing_file(tmp_path / "f", durable=durable) as path:
            before = (tmp_path / "f").read_text() if text != "one" else None
            Path(path).write_text(text)
            assert (tmp_path / "f").exists() == (before is not None)
        assert (tmp_path / "f").read_text() == text
        assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("durable", DURABLE)
def test_a_folder_is_made_then_replaced(
    tmp_path: Path, swapping: str, durable: bool | None
) -> None:
    for text in ("one", "two", "three"):
        with replacing_directory(tmp_path / "d", durable=durable) as path:
            assert os.listdir(path) == []
            Path(path, "inner").mkdir()
            Path(path, "inner", text).write_text(text)
        assert [str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*")] == [
            "d",
            "d/inner",
            f"d/inner/{text}",
        ]


class FailedError(Exception):
    pass


def fail_in_file(path: Path, error: Exception) -> None:
    """Write half of a file, then fail."""
    with replacing_file(path) as staged:
        Path(staged).write_text("half")
        raise error


def fail_in_folder(path: Path, *, found: str | None = None) -> None:
    """Write half of a folder, then fail; meanwhile the old one holds `x` with this text."""
    with replacing_directory(path) as staged:
        assert found is None or (path / "x").read_text() == found
        Path(staged, "x").write_text("half")
        raise FailedError


@pytest.mark.parametrize("exists", [True, False])
def test_a_failing_body_changes_nothing(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "f").write_text("old")
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "x").write_text("old")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(FailedError):
        fail_in_file(tmp_path / "f", FailedError())
    with pytest.raises(FailedError):
        fail_in_folder(tmp_path / "d")
    assert sorted(tmp_path.rglob("*")) == before
    assert all(f.read_text() == "old" for f in before if f.is_file())


def test_an_empty_folder_is_replaced(tmp_path: Path, swapping: str) -> None:
    (tmp_path / "d").mkdir()
    with replacing_directory(tmp_path / "d", recognize=lambda path: False) as path:
        Path(path, "x").write_text("new")
    assert os.listdir(tmp_path / "d") == ["x"]


def test_a_folder_of_something_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "thesis.txt").write_text("years")
    with (
        pytest.raises(SaveError, match="something else") as caught,
        replacing_directory(tmp_path / "d", recognize=lambda path: "model" in os.listdir(path)),
    ):
        raise AssertionError
    assert caught.value.errno == errno.ENOTEMPTY
    assert (tmp_path / "d" / "thesis.txt").exists()
    (tmp_path / "d" / "model").touch()
    with replacing_directory(tmp_path / "d", recognize=lambda path: "model" in os.listdir(path)):
        pass
    assert os.listdir(tmp_path / "d") == []


def test_what_is_not_of_the_artifact_is_kept(tmp_path: Path, swapping: str) -> None:
    target = tmp_path / "d"
    (target / ".git" / "objects").mkdir(parents=True)
    (target / "model").write_text("old")
    (target / "stale").write_text("old")
    (target / "README.md").write_text("mine")
    (target / ".git" / "objects" / "x").write_text("object")
    (target / ".git" / "HEAD").symlink_to("objects/x")
    (target / ".git").chmod(0o750)
    with replacing_directory(target, owns={"model", "stale"}.__contains__) as path:
        Path(path, "model").write_text("new")
    assert sorted(os.listdir(target)) == [".git", "README.md", "model"]
    assert (target / "model").read_text() == "new"
    assert (target / "README.md").read_text() == "mine"
    assert (target / ".git" / "HEAD").is_symlink()
    assert (target / ".git" / "HEAD").read_text() == "object"
    assert stat.S_IMODE((target / ".git").stat().st_mode) == 0o750
    assert os.listdir(tmp_path) == ["d"]


def test_where_files_have_one_name_alone_what_is_kept_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_name(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no second names here")

    monkeypatch.setattr(os, "link", one_name)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "README.md").write_text("mine")
    with replacing_directory(tmp_path / "d", owns=lambda name: name == "model") as path:
        Path(path, "model").touch()
    assert (tmp_path / "d" / "README.md").read_text() == "mine"


def refused(caught: pytest.ExceptionInfo[SaveError], path: Path, number: int) -> None:
    error = caught.value
    assert isinstance(error, HozonError)
    assert isinstance(error, OSError)
    assert (error.errno, error.file) == (number, str(path))
    assert str(path) in str(error)


def test_a_folder_where_a_file_is_wanted_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "f").write_text("old")
    with pytest.raises(SaveError, match="a folder") as caught, replacing_file(tmp_path / "d"):
        raise AssertionError
    refused(caught, tmp_path / "d", errno.EISDIR)
    with pytest.raises(SaveError, match="no folder") as caught, replacing_directory(tmp_path / "f"):
        raise AssertionError
    refused(caught, tmp_path / "f", errno.ENOTDIR)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SaveError, match="no file"), replacing_file(tmp_path / "pipe"):
        raise AssertionError
    assert hidden(tmp_path) == []


def test_a_missing_folder_around_it(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "f"
    with pytest.raises(SaveError, match="no folder") as caught, replacing_file(deep):
        raise AssertionError
    refused(caught, deep, errno.ENOENT)
    (tmp_path / "f").write_text("old")
    with pytest.raises(SaveError) as caught, replacing_directory(tmp_path / "f" / "d"):
        raise AssertionError
    refused(caught, tmp_path / "f" / "d", errno.ENOTDIR)


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(path: str, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(os, "mkdir", forbidden)
    with (
        pytest.raises(SaveError, match="Permission denied") as caught,
        replacing_file(tmp_path / "f"),
    ):
        raise AssertionError
    refused(caught, tmp_path / "f", errno.EACCES)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SaveError) as caught, replacing_directory(tmp_path / "d"):
        raise AssertionError
    refused(caught, tmp_path / "d", errno.EACCES)
    tmp_path.chmod(0o700)


def test_a_write_protected_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SaveError, match="write-protected"), replacing_file(tmp_path / "f"):
        raise AssertionError


def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(SaveError, match="No space left") as caught:
        fail_in_file(tmp_path / "f", full)
    refused(caught, tmp_path / "f", errno.ENOSPC)
    assert (tmp_path / "f").read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_errors_of_other_files_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, replacing_file(tmp_path / "f"):
        (tmp_path / "elsewhere" / "source").read_text()
    assert not isinstance(caught.value, HozonError)


def test_permissions_are_kept(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("old")
    (tmp_path / "f").chmod(0o600)
    (tmp_path / "d").mkdir(0o750)
    with replacing_file(tmp_path / "f") as path:
        Path(path).write_text("new")
    with replacing_directory(tmp_path / "d"):
        pass
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o750


def test_a_link_leads_to_what_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "f").write_text("old")
    (tmp_path / "near").symlink_to(tmp_path / "far" / "f")
    with replacing_file(tmp_path / "near") as path:
        Path(path).write_text("new")
    assert (tmp_path / "near").is_symlink()
    assert (tmp_path / "far" / "f").read_text() == "new"
    assert hidden(tmp_path) == hidden(tmp_path / "far") == []


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with replacing_file("f") as path:
        Path(path).write_text("new")
    with replacing_directory("d/") as path:
        Path(path, "x").touch()
    assert (tmp_path / "f").read_text() == "new"
    assert (tmp_path / "d" / "x").exists()


def test_long_names(tmp_path: Path) -> None:
    name = "ü" * 120
    with replacing_file(tmp_path / name) as path:
        Path(path).write_text("new")
    assert (tmp_path / name).read_text() == "new"


def test_leftovers_of_a_crash_are_swept(tmp_path: Path) -> None:
    """Also those of other names, such as an earlier epoch's; what is in use stays."""
    left, other = leftover(tmp_path, "f"), leftover(tmp_path, "g")
    with replacing_file(tmp_path / "h") as used:
        with replacing_file(tmp_path / "f") as path:
            assert not left.exists()
            assert not other.exists()
            Path(path).write_text("new")
        Path(used).write_text("new")
    assert hidden(tmp_path) == []


def test_a_folder_put_aside_comes_back(tmp_path: Path) -> None:
    left = leftover(tmp_path, "d")
    (left / "old" / "d").mkdir(parents=True)
    (left / "old" / "d" / "x").write_text("old")
    with pytest.raises(FailedError):
        fail_in_folder(tmp_path / "d", found="old")
    assert [f.name for f in tmp_path.rglob("*")] == ["d", "x"]


def test_what_was_replaced_does_not_come_back(tmp_path: Path) -> None:
    left = leftover(tmp_path, "d")
    (left / "old" / "d").mkdir(parents=True)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").write_text("newer")
    with pytest.raises(FailedError):
        fail_in_folder(tmp_path / "d")
    assert (tmp_path / "d" / "x").read_text() == "newer"
    assert hidden(tmp_path) == []


RUNNING = """
import sys
from pathlib import Path
from hozon.raw.commit import replacing_file
with replacing_file(sys.argv[1]) as path:
    Path(path).write_text("theirs")
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_running_save_of_another_process_is_not_swept(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUNNING, tmp_path / "f"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        with replacing_file(tmp_path / "f") as path:
            Path(path).write_text("ours")
        assert (tmp_path / "f").read_text() == "ours"
        assert len(hidden(tmp_path)) == 1
        process.communicate("\n")
    assert process.returncode == 0
    assert (tmp_path / "f").read_text() == "theirs"
    assert hidden(tmp_path) == []


def test_saves_to_one_target_at_once(tmp_path: Path, swapping: str) -> None:
    with replacing_directory(tmp_path / "d") as first:
        with replacing_directory(tmp_path / "d") as second:
            Path(second, "two").touch()
        assert os.listdir(tmp_path / "d") == ["two"]
        Path(first, "one").touch()
    assert os.listdir(tmp_path / "d") == ["one"]
    assert hidden(tmp_path) == []


def test_without_locks_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = leftover(tmp_path, "f")
    monkeypatch.setattr(staging_module, "fcntl", None)
    with replacing_file(tmp_path / "f") as path:
        Path(path).write_text("new")
    assert (tmp_path / "f").read_text() == "new"
    assert hidden(tmp_path) == [left.name]


def test_a_hidden_folder_taken_for_a_leftover_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process's sweep comes between making a hidden folder and locking it."""
    taken: list[str] = []

    def swept(descriptor: int) -> bool | None:
        if not taken:
            taken.extend(os.listdir(tmp_path))
            os.rmdir(tmp_path / taken[0])
        return True

    monkeypatch.setattr(staging_module, "_flock", swept)
    with staging(tmp_path / "f") as stage:
        assert os.path.isdir(stage.folder)
        assert os.path.basename(stage.folder) not in taken
    assert os.listdir(tmp_path) == []


def test_the_kernel_exchanges_two_paths(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").mkdir()
    if not kernel.exchange(str(tmp_path / "a"), str(tmp_path / "b")):
        pytest.skip("this kernel or file system cannot")
    assert (tmp_path / "a").is_dir()
    assert (tmp_path / "b").read_text() == "a"
    with pytest.raises(FileNotFoundError):
        kernel.exchange(str(tmp_path / "a"), str(tmp_path / "missing"))
