"""The commands as a user runs them, in a process of their own and in this one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hozon.cli import main
from tests.oracle.client import Oracle

SOURCE = """
m = tf.Module()
m.v = tf.Variable([[1., 2.], [3., 4.]], name="v")
m.f = tf.function(lambda x: {"y": x @ m.v, "r/s": tf.RaggedTensor.from_row_lengths(x[:, 0], [1]),
                             "h": tf.cast(x, tf.bfloat16)},
                  autograph=False, input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
m.t = tf.function(lambda words: {"upper": tf.strings.upper(words)}, autograph=False,
                  input_signature=[tf.TensorSpec([None], tf.string, "words")])
tf.saved_model.save(m, path, signatures={"f": m.f.get_concrete_function(), "t": m.t})
"""


@pytest.fixture(scope="module")
def model(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "model"
    source = SOURCE.replace('"r/s": tf.RaggedTensor.from_row_lengths(x[:, 0], [1]),\n', "")
    oracle.python(source, path=str(path))
    return path


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from hozon.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )


def test_inspect_as_text(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(model)]) == 0
    printed = capsys.readouterr().out
    for word in (
        "TensorFlow 2.21",
        "tags: serve",
        "x: float32[?, 2]",
        "y: float32[?, 2]",
        "words: string[?]",
        "v/.ATTRIBUTES/VARIABLE_VALUE",
        "16 B",
        "MatMul",
    ):
        assert word in printed


def test_inspect_as_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(model), "--json"]) == 0
    info: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert info["tags"] == [["serve"]]
    assert info["variables"] == [
        {"name": "v/.ATTRIBUTES/VARIABLE_VALUE", "dtype": "float32", "shape": [2, 2], "nbytes": 16}
    ]
    assert {s["name"]: [i["name"] for i in s["inputs"]] for s in info["signatures"]} == {
        "f": ["x"],
        "t": ["words"],
    }


def test_inspect_loads_neither_jax_nor_keras(model: Path) -> None:
    code = (
        "import sys; from hozon.cli import main; main(sys.argv[1:]); "
        "sys.exit(bool({'jax', 'keras', 'tensorflow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, "inspect", str(model)], capture_output=True)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "COMMAND"),
        (["inspect"], 2, "PATH"),
        (["frobnicate"], 2, "invalid choice"),
        (["inspect", "no/such/path"], 1, "no/such/path does not exist"),
        (["predict", "no/such/path", "--signature", "f"], 1, "no/such/path does not exist"),
        (["predict", "MODEL", "--input", "x"], 2, "NAME=FILE"),
        (["predict", "MODEL", "--input", "x=missing.npy"], 2, "missing.npy does not exist"),
        (["predict", "MODEL", "--signature", "g"], 2, "no signature 'g'; it has: f, t"),
        (["predict", "MODEL"], 2, "it has: f, t"),
        (["predict", "MODEL", "--signature", "f"], 2, "missing: x"),
        (["inspect", "FILE"], 1, "in no known format"),
    ],
)
def test_exit_codes(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    (tmp_path / "file").write_bytes(b"foreign")
    names = {"MODEL": str(model), "FILE": str(tmp_path / "file")}
    try:
        done = main([names.get(a, a) for a in arguments])
    except SystemExit as stop:
        done = int(str(stop.code))
    assert done == code
    assert words in capsys.readouterr().err


def test_predict_numbers(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1.0, 1.0]], "float32"))
    target = tmp_path / "out" / "here"
    done = command(
        "predict",
        str(model),
        "--signature",
        "f",
        "--input",
        f"x={tmp_path / 'x.npy'}",
        "--output",
        str(target),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == [str(target / "h.npy"), str(target / "y.npy")]
    assert np.load(target / "y.npy").tolist() == [[4.0, 6.0]]
    half = np.load(target / "h.npy")
    assert (half.dtype, half.tolist()) == (np.float32, [[1.0, 1.0]])


def test_predict_text(model: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("one\ntwo words\n\nlast")
    assert (
        main(
            [
                "predict",
                str(model),
                "--signature",
                "t",
                "--input",
                f"words={tmp_path / 'words.txt'}",
                "--output",
                str(tmp_path),
            ]
        )
        == 0
    )
    found = np.load(tmp_path / "upper.npy")
    assert found.tolist() == [b"ONE", b"TWO WORDS", b"", b"LAST"]


@pytest.mark.parametrize("content", [b"", b"foreign", b"PK\x03\x04", b"\x93NUMPY\x01\x00\xff\xff"])
def test_inputs_that_are_no_arrays(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    assert main(["predict", str(model), "--input", f"x={tmp_path / 'x.npy'}"]) == 1
    assert "x.npy is no NumPy file" in capsys.readouterr().err


def test_an_input_that_holds_objects_is_not_unpickled(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], object), allow_pickle=True)
    assert main(["predict", str(model), "--input", f"x={tmp_path / 'x.npy'}"]) == 1


@pytest.mark.parametrize("name", ["m", "m.h5", "m.keras"])
def test_inspect_names_how_a_model_was_compiled(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    import hozon

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(), keras.losses.Huber())
    hozon.save_model(model, tmp_path / name)
    assert main(["inspect", str(tmp_path / name)]) == 0
    printed = capsys.readouterr().out
    assert "Adam, loss" in printed
    assert "uber" in printed.partition("training:")[2]
