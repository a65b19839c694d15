"""What all commands have in common, and the checks and conversions of many files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import hozon
from hozon.cli import main


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="d")])
    model.compile("adam", "mse")
    hozon.save_model(model, folder / "a.h5")
    hozon.save_model(model, folder / "b.keras")
    (folder / "bad.h5").write_bytes((folder / "a.h5").read_bytes()[:4000])
    return folder


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hozon", *arguments], capture_output=True, text=True, timeout=120
    )


def test_as_a_module() -> None:
    done = python("--version")
    assert (done.returncode, done.stdout) == (0, f"hozon {hozon.__version__}\n")
    assert python("--help").returncode == 0


@pytest.mark.parametrize("typed", [("hozon", "ver"), ("hozon", "diff", "--rt"), ("hozon", "rep")])
def test_completion_in_bash(typed: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    asked = f"{script}\nCOMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1}; _hozon\n"
    done = subprocess.run(
        ["bash", "-c", asked + 'echo "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True
    )
    (found,) = done.stdout.split()
    assert found in ("verify", "--rtol", "report")
    assert found.startswith(typed[-1])


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_elsewhere(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("inspect", "verify", "custom-objects"):
        assert word in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_warnings_are_lines_for_people() -> None:
    code = (
        "import sys, warnings; from hozon.cli import program\n"
        "sys.modules['hozon.cli.main'].main = lambda: warnings.warn('look here') or 0\n"
        "sys.exit(program())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "hozon: warning: look here\n"


@pytest.mark.parametrize("command", ["inspect", "verify", "diff", "convert", "predict", "report"])
def test_each_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert f"  hozon {command} " in told.partition("examples:")[2]
    for option in ("--json", "--quiet", "--verbose"):
        assert option in told
    if command == "convert":
        for form in ("savedmodel", "h5_weights", "safetensors"):
            assert f"\n  {form}" in told.partition("values of --format:")[2]


def test_several_paths_one_of_them_wrong(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(models / name) for name in ("a.h5", "nothing", "b.keras")]
    assert main(["inspect", *paths]) == 1
    told = capsys.readouterr()
    assert "a.h5" in told.out
    assert "b.keras" in told.out
    assert "nothing does not exist" in told.err
    assert main(["inspect", *paths, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [item.get("kind") for item in found] == ["artifact", None, "artifact"]
    assert found[1]["error"]["type"] == "MissingFileError"


def test_verify(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(models / "a.h5")]) == 0
    assert "sound" in capsys.readouterr().out
    assert main(["verify", str(models / "a.h5"), str(models / "bad.h5")]) == 1
    assert "damaged" in capsys.readouterr().out
    assert main(["verify", str(models / "bad.h5"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    assert main(["verify", str(models / "bad.h5"), "-q"]) == 1
    assert capsys.readouterr().out == ""


def test_errors_as_json(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(models / "nothing"), "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["type"] == "MissingFileError"
    assert "nothing does not exist" in error["message"]


def test_verbose_tells_where(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(models / "nothing"), "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_many_conversions(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [str(models / name) for name in ("bad.h5", "a.h5", "b.keras")]
    assert main(["convert", *sources, "--out-dir", str(tmp_path), "--format", "keras"]) == 1
    told = capsys.readouterr().out
    assert "2 converted, 1 failed" in told
    assert sorted(os.listdir(tmp_path)) == ["a.keras", "b.keras"]
    assert hozon.diff(tmp_path / "a.keras", models / "b.keras").same
    assert main(["convert", sources[1], "--out-dir", str(tmp_path)]) == 2
    assert "--format" in capsys.readouterr().err
    assert main(["convert", sources[1]]) == 2
    assert main(["convert", *sources]) == 2


def test_a_checked_conversion(
    models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(models / "a.h5")
    assert main(["convert", source, str(tmp_path / "m"), "--check", "--json"]) == 0
    check = json.loads(capsys.readouterr().out)["check"]
    assert (check["kind"], check["same"]) == ("predictions", True)


def test_a_check_that_fails(models: Path, tmp_path: Path) -> None:
    from hozon.same_predictions import compare_predictions

    other = hozon.load_model(models / "a.h5")
    other.layers[-1].bias.assign([1.0, 0.0])
    hozon.save_model(other, tmp_path / "o.keras")
    report = compare_predictions(models / "a.h5", tmp_path / "o.keras")
    assert not report.same
    assert report.outputs[0] == pytest.approx(1.0, rel=1e-5)
    assert "FAILED" in str(report)


def test_without_the_optimizer(models: Path, tmp_path: Path) -> None:
    source, target = str(models / "b.keras"), str(tmp_path / "m.keras")
    assert main(["convert", source, target, "--no-optimizer"]) == 0
    assert hozon.inspect(target).training_config is None
    assert not any("optimizer" in v.name for v in hozon.inspect(target).variables)


def test_classes_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_doors_layers.py").write_text(
        "import keras\nclass Twice(keras.layers.Layer):\n    def call(self, x):\n"
        "        return 2 * x\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    from my_doors_layers import Twice  # type: ignore[import-not-found]

    hozon.save_model(keras.Sequential([keras.Input((2,)), Twice()]), "m.keras")
    assert main(["convert", "m.keras", "n.keras"]) == 1
    assert "Twice" in capsys.readouterr().err
    given = ["--custom-objects", "my_doors_layers:Twice"]
    assert main(["convert", "m.keras", "n.keras", *given, "--check"]) == 0
    assert main(["convert", "m.keras", "o.keras", "--custom-objects", "nowhere:X"]) == 2


@pytest.mark.parametrize("form", ["--json", "-v"])
def test_a_closed_pipe(form: str, models: Path) -> None:
    code = f"{sys.executable} -m hozon inspect {models / 'a.h5'} {form} | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", code], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_option_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["convert", "a", "b", "--formt", "h5"])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert "unrecognized argument --formt (did you mean '--format'?)" in told
    assert "usage: hozon convert" in told


def test_all_of_a_folder(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    for name in ("b.h5", "a.h5"):
        shutil.copy(models / "a.h5", old / name)
    (old / "README.md").write_text("words")
    (old / "bad.h5").write_text("no model")
    hozon.convert(models / "a.h5", old / "saved")
    assert main(["convert", str(old), "--out-dir", str(new), "--format", "keras"]) == 1
    told = capsys.readouterr().out
    assert "3 converted, 1 failed" in told
    assert sorted(path.name for path in new.iterdir()) == ["a.keras", "b.keras", "saved.keras"]
    (old / "bad.h5").unlink()
    assert main(["convert", str(old), "--out-dir", str(new), "--format", "keras", "-q"]) == 0


def test_reports_print_short() -> None:
    from hozon.models.report import LoadReport
    from hozon.reports import SaveReport

    for report in (SaveReport("p", "h5", 3), LoadReport(matched=["a"] * 50)):
        assert "\n" not in repr(report)
        assert len(repr(report)) < 250
        assert report._repr_html_().startswith("<table>")
        told = report.to_dict()
        assert told["schema_version"] == 1
        assert json.loads(json.dumps(told)) == told


def test_an_inspection_prints_short(models: Path) -> None:
    info = hozon.inspect(models / "a.h5")
    assert len(repr(info)) < 250
    assert "\n" not in repr(info)
    assert len(str(info).splitlines()) < 8
    assert "d/kernel:0" in info._repr_html_()
    assert np.prod(info.variables[0].shape) > 0
    hostile = hozon.inspection.ArtifactInfo("<script>", "f", "p")  # type: ignore[attr-defined]
    assert "<script>" not in hostile._repr_html_()
