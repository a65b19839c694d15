"""Managers and state files, beside TensorFlow's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hozon.train
from hozon.train.state import CheckpointState, format_state, parse_state
from tests.oracle.client import Oracle

RUN = """
step = Counter(0)
checkpoint = train.Checkpoint(value=value, step=step)
manager = train.CheckpointManager(checkpoint, folder, **options)
for number in range(5):
    step.assign(number * 2)
    path = manager.save()
    log.append((path and path.split("/")[-1], [p.split("/")[-1] for p in manager.checkpoints]))
again = train.CheckpointManager(checkpoint, folder, **options)
log.append([p.split("/")[-1] for p in again.checkpoints])
log.append(again.restore_or_initialize().split("/")[-1])
log.append(again.save().split("/")[-1])
"""

OPTIONS: dict[str, dict[str, Any]] = {
    "keep two": {"max_to_keep": 2},
    "keep all": {"max_to_keep": None, "checkpoint_name": "model"},
    "hours": {"max_to_keep": 1, "keep_checkpoint_every_n_hours": 100},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_keeps_what_tensorflow_keeps(name: str, oracle: Oracle, tmp_path: Path) -> None:
    folders = [tmp_path / "ours", tmp_path / "theirs"]
    answer = oracle.python(
        "log = []; train = tf.train; Counter = lambda v: tf.Variable(v, dtype=tf.int64)\n"
        f"value = tf.Variable([1.0, 2.0])\n{RUN}\nout.update(log=log)",
        options=OPTIONS[name],
        folder=str(folders[1]),
    )
    scope: dict[str, Any] = {
        "log": [],
        "train": hozon.train,
        "Counter": hozon.train.Counter,
        "value": np.asarray([1, 2], "float32"),
        "options": OPTIONS[name],
        "folder": str(folders[0]),
    }
    exec(RUN, scope)
    assert scope["log"] == answer["log"]
    ours, theirs = (sorted(path.name for path in folder.iterdir()) for folder in folders)
    assert ours == theirs
    texts = [(folder / "checkpoint").read_text() for folder in folders]
    ours_text, theirs_text = (re.sub(r"\d+\.\d+", "TIME", text) for text in texts)
    own = re.fullmatch(r"(.*\n)# hozon crc32c:[0-9a-f]{8}", ours_text, re.DOTALL)
    assert own is not None
    assert own[1] == theirs_text


def test_tensorflow_takes_over(oracle: Oracle, tmp_path: Path) -> None:
    checkpoint = hozon.train.Checkpoint(value=np.asarray([1, 2], "float32"))
    manager = hozon.train.CheckpointManager(checkpoint, tmp_path, max_to_keep=2)
    paths = [manager.save(checkpoint_number=number) for number in (3, 7, 9)]
    answer = oracle.python(
        """
checkpoint = tf.train.Checkpoint(value=tf.Variable([0.0, 0.0]))
manager = tf.train.CheckpointManager(checkpoint, folder, max_to_keep=2)
out.update(paths=list(manager.checkpoints), latest=manager.restore_or_initialize(),
           value=checkpoint.value)
""",
        folder=str(tmp_path),
    )
    assert answer["paths"] == paths[1:]
    assert answer["latest"] == paths[-1] == manager.latest_checkpoint
    np.testing.assert_array_equal(answer["value"], [1, 2])


def test_interval_and_first_start(tmp_path: Path) -> None:
    step, started = hozon.train.Counter(), []
    checkpoint = hozon.train.Checkpoint(step=step)
    manager = hozon.train.CheckpointManager(
        checkpoint,
        tmp_path,
        3,
        step_counter=step,
        checkpoint_interval=4,
        init_fn=lambda: started.append(1),
    )
    assert manager.restore_or_initialize() is None
    assert started == [1]
    saved = []
    for number in range(10):
        step.assign(number)
        saved.append(manager.save())
    names = [Path(path).name for path in saved if path]
    assert names == ["ckpt-0", "ckpt-4", "ckpt-8"]
    assert Path(manager.save(check_interval=False) or "").name == "ckpt-9"


@pytest.mark.parametrize("keep", [0, -1])
def test_bad_numbers(keep: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_to_keep"):
        hozon.train.CheckpointManager(hozon.train.Checkpoint(), tmp_path, keep)


def test_moved_folder(tmp_path: Path) -> None:
    path = hozon.train.Checkpoint(value=np.ones(2)).save(tmp_path / "a" / "c")
    state = tmp_path / "a" / "checkpoint"
    state.write_text(f'model_checkpoint_path: "{path}"\n')
    (tmp_path / "a").rename(tmp_path / "b")
    assert hozon.train.latest_checkpoint(tmp_path / "b") == str(tmp_path / "b" / "c-1")
    assert hozon.train.latest_checkpoint(tmp_path) is None


def test_state_text_with_odd_names() -> None:
    state = CheckpointState('a "b"\\\n\u4fdd', ("x", 'a "b"\\\n\u4fdd'), (1.5, 2.0), 0.25)
    assert parse_state(format_state(state)) == state
    assert parse_state("all_model_checkpoint_paths: 'x'") is None
    assert parse_state('# note\nmodel_checkpoint_path: "x" other { y: 1 }') == CheckpointState("x")


def test_a_state_file_deletes_nothing_elsewhere(tmp_path: Path) -> None:
    checkpoint = hozon.train.Checkpoint(value=np.ones(2))
    elsewhere = checkpoint.write(tmp_path / "other" / "c")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "checkpoint").write_text(
        f'model_checkpoint_path: "{elsewhere}"\n'
        f'all_model_checkpoint_paths: "{elsewhere}"\nall_model_checkpoint_paths: "../other/c"\n'
    )
    manager = hozon.train.CheckpointManager(checkpoint, tmp_path / "mine", max_to_keep=1)
    assert manager.checkpoints == []
    assert manager.latest_checkpoint is None
    for _ in range(3):
        manager.save()
    assert (tmp_path / "other" / "c.index").exists()
    assert len(list((tmp_path / "mine").glob("*.index"))) == 1
