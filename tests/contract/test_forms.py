"""What every form in the list holds, a form of the tests' own included: a row for each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import keras
import numpy as np
import pytest

import hozon
from hozon import forms
from hozon.errors import FormatError, HozonError, SaveError, UnsupportedError
from hozon.forms import FORMS, Form, form_of
from tests import by_orbax
from tests.contract.toy import ToyForm

TOY = ToyForm()
ALL = [*FORMS, TOY]
HOLD_WEIGHTS = [form for form in ALL if form.holds != "an architecture"]
#: Forms that Hozon only reads have what their writers give: no checksums, no overwriting.
WRITTEN = [form for form in ALL if form.written]
WRITTEN_WEIGHTS = [form for form in HOLD_WEIGHTS if form.written]
X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
WIDE = 384


@pytest.fixture(scope="module", autouse=True)
def toy_is_known() -> Iterator[None]:
    """The toy form is added as any other: one entry in the list."""
    FORMS.append(TOY)
    yield
    FORMS.remove(TOY)


def fresh() -> keras.Model:
    """A compiled model whose optimizer has its slots, all at their first values."""
    keras.utils.set_random_seed(1)
    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(WIDE, activation="relu", name="wide")(x)
    y = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(WIDE, name="square")(y))
    made = keras.Model(x, keras.layers.Dense(1, name="last")(y), name="small")
    made.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    made.optimizer.build(made.trainable_variables)
    return made


@pytest.fixture(scope="module")
def model() -> keras.Model:
    made = fresh()
    made.fit(X, X[:, :1], epochs=2, verbose=0)
    return made


def path_of(form: Form, folder: Path, stem: str = "m") -> Path:
    return (
        folder / f"{stem}_{form.name.replace('.', '_')}{form.suffixes[0] if form.suffixes else ''}"
    )


def write(form: Form, model: keras.Model, path: Path, **options: Any) -> Any:
    if not form.written:
        return by_orbax.write(model, path, weights_only=form.holds == "weights")
    if form.holds == "a model":
        return hozon.save_model(model, path, format=form.format, **options)
    if form.holds == "weights":
        return hozon.save_weights(model, path, format=form.format, **options)
    return hozon.convert(_source(model, path), path, format=form.name)


def _source(model: keras.Model, path: Path) -> Path:
    hozon.save_model(model, path.with_name("source.keras"))
    return path.with_name("source.keras")


@pytest.fixture(scope="module")
def saved(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("forms")
    paths = {form.name: path_of(form, folder) for form in ALL}
    for form in ALL:
        write(form, model, paths[form.name])
    return paths


def files_of(path: Path) -> dict[str, bytes]:
    """The files of an artifact by name, a checkpoint's and a sharded set's too."""
    stem = path.name.removesuffix(".weights.json").removesuffix(".safetensors.index.json")
    stem += "/" if path.is_dir() else ""
    return {
        str(file.relative_to(path.parent)): file.read_bytes()
        for file in sorted(path.parent.rglob("*"))
        if file.is_file() and str(file.relative_to(path.parent)).startswith(stem)
    }


def state(model: keras.Model, optimizer: bool) -> list[np.ndarray]:
    found = [*model.weights, *(model.optimizer.variables if optimizer else [])]
    return [np.array(variable) for variable in found]


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for new, old in zip(found, expected, strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.name)
def test_it_is_told_by_what_is_in_it(form: Form, saved: dict[str, Path], tmp_path: Path) -> None:
    path = saved[form.name]
    assert [known.name for known in forms.claiming(str(path))] == [form.name]
    assert form_of(str(path)) is form
    if path.is_file() and path.suffix != ".json":
        shutil.copy(path, tmp_path / "renamed.bin")
        assert form_of(str(tmp_path / "renamed.bin")) is form


def gives_optimizer(form: Form) -> bool:
    """Whether `load_weights` brings the optimizer's state; of a whole H5 file `load_model` does."""
    return form.optimizer and form.naming != "layers"


@pytest.mark.parametrize("form", HOLD_WEIGHTS, ids=lambda form: form.name)
def test_weights_come_back_to_the_bit(
    form: Form, saved: dict[str, Path], model: keras.Model
) -> None:
    one = fresh()
    report = hozon.load_weights(one, saved[form.name])
    same(state(one, gives_optimizer(form)), state(model, gives_optimizer(form)))
    assert (report.missing, report.mismatched, report.deferred) == ([], [], [])
    assert len(report.matched) >= len(model.weights)
    if form.optimizer and form.holds == "weights":
        report.assert_consumed()


@pytest.mark.parametrize("form", forms.that_hold("a model"), ids=lambda form: form.name)
def test_models_come_back_to_the_bit_and_train_on(
    form: Form, saved: dict[str, Path], model: keras.Model
) -> None:
    again = hozon.load_model(saved[form.name])
    same(state(again, form.optimizer), state(model, form.optimizer))
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    report = again.load_report
    assert (report.missing, report.unexpected, report.mismatched) == ([], [], [])
    assert (report.deferred, report.lost) == ([], [])


@pytest.mark.parametrize("form", forms.that_hold("an architecture"), ids=lambda form: form.name)
def test_architectures_come_back(form: Form, saved: dict[str, Path], model: keras.Model) -> None:
    made = hozon.model_from_json(saved[form.name].read_text())
    assert made.get_config() == model.get_config()
    built = form.build(str(saved[form.name]), forms.BuildOptions())
    assert built.get_config() == model.get_config()


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.name)
def test_what_it_holds_is_listed(form: Form, saved: dict[str, Path], model: keras.Model) -> None:
    info = hozon.inspect(saved[form.name])
    assert info.format.startswith(form.label)
    assert info.producer
    stored = sum(np.asarray(weight).nbytes for weight in model.weights)
    if form.holds == "an architecture":
        assert info.nbytes == 0
        assert len(info.layers) == 6
        return
    assert info.nbytes >= stored
    assert any(v.shape == (WIDE, WIDE) and v.dtype == "float32" for v in info.variables)
    assert (info.training_config is not None) == (
        form.holds == "a model" or form.name == "safetensors"
    )


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.name)
def test_what_is_sound_is_verified(
    form: Form, saved: dict[str, Path], remote: dict[str, str]
) -> None:
    report = hozon.verify(saved[form.name])
    assert report.ok, str(report)
    assert report.format == form.label
    assert report.assert_ok() is report
    size = sum(map(len, files_of(saved[form.name]).values()))
    if form.holds == "an architecture" or form.name != "tf_checkpoint":
        assert report.nbytes == size
    assert report.covered + sum(report.uncovered.values()) == report.nbytes
    told = report.to_dict()
    assert json.loads(json.dumps(told)) == told
    assert (told["schema_version"], told["kind"], told["ok"]) == (1, "verify", True)
    there = hozon.verify(remote[form.name])
    assert (there.ok, there.checked, there.covered) == (True, report.checked, report.covered)


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.name)
def test_what_is_cut_short_is_not_verified(
    form: Form, saved: dict[str, Path], tmp_path: Path
) -> None:
    for name, content in files_of(saved[form.name]).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for name, content in files_of(saved[form.name]).items():
        if len(content) < 300 and not form.suffixes:  # a fingerprint, a state file
            continue
        (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
        path = tmp_path / saved[form.name].name
        with pytest.raises(FormatError, match=saved[form.name].name.partition(".")[0]):
            hozon.verify(path).assert_ok()
        (tmp_path / name).write_bytes(content)
    assert hozon.verify(tmp_path / saved[form.name].name).ok


#: Files whose every byte is told: text in a form of others, where there is no room for a checksum.
UNTOLD = ("config.json", "checkpoint", "fingerprint.pb")


@pytest.mark.parametrize(
    "form", [f for f in WRITTEN_WEIGHTS if f.name != "toy"], ids=lambda form: form.name
)
def test_a_flipped_bit_is_found_or_means_nothing(
    form: Form, saved: dict[str, Path], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / saved[form.name].name
    files = files_of(saved[form.name])
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for name, content in files.items():
        if name.endswith(UNTOLD):
            continue
        for at in rng.integers(0, len(content), 8):
            flipped = bytearray(content)
            flipped[at] ^= 1 << int(rng.integers(8))
            (tmp_path / name).write_bytes(flipped)
            assert is_damaged(path) or means_nothing(name, content, at), (name, at)
        (tmp_path / name).write_bytes(content)


def is_damaged(path: Path) -> bool:
    try:
        return not hozon.verify(path).ok
    except HozonError:
        return True


def means_nothing(name: str, content: bytes, at: int) -> bool:
    """Whether a byte only says that there is a checksum, or pads the footer of an index."""
    mark = content.find(b"hozon")
    if name.endswith(".index"):
        return at >= len(content) - 48
    return mark >= 0 and mark - 20 <= at <= mark + 24


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.name)
def test_tensors_have_the_names_that_are_listed(
    form: Form, saved: dict[str, Path], model: keras.Model
) -> None:
    held = hozon.tensors(saved[form.name])
    listed = {v.name: v for v in hozon.inspect(saved[form.name]).variables}
    graph = "_CHECKPOINTABLE_OBJECT_GRAPH"
    assert set(held) - {graph} == set(listed)
    assert (graph in held) == (form.naming == "objects")
    for name, told in listed.items():
        tensor = held[name]
        assert (tensor.shape, tensor.dtype, tensor.nbytes) == (told.shape, told.dtype, told.nbytes)
        assert np.asarray(tensor).shape == tensor.shape
    if form.holds == "an architecture":
        assert not held
        return
    wide = [np.asarray(t) for t in held.values() if t.shape == (WIDE, WIDE)]
    expected = np.asarray(model.get_layer("square").kernel)
    assert any(np.array_equal(found, expected) for found in wide)


@pytest.mark.parametrize("form", HOLD_WEIGHTS, ids=lambda form: form.name)
def test_a_part_of_a_tensor_is_read_alone(
    form: Form,
    saved: dict[str, Path],
    remote: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = hozon.tensors(saved[form.name]), hozon.tensors(remote[form.name])
    assert list(here) == list(there)
    name = next(name for name, t in here.items() if t.shape == (WIDE, WIDE))
    whole = np.asarray(here[name])
    read = counted_bytes(monkeypatch)
    for index in PARTS:
        np.testing.assert_array_equal(here[name][index], whole[index])
        np.testing.assert_array_equal(there[name][index], whole[index])
        if form is not TOY and index is not COLUMNS:
            assert sum(read) < whole.nbytes / 2
    for index in (WIDE, (0, 0, 0), [1, 2], (..., ...)):
        with pytest.raises(IndexError):
            here[name][index]


COLUMNS = np.s_[..., None, 4:6]
PARTS: list[Any] = [
    np.s_[2:5, :],
    np.s_[2:5],
    7,
    -1,
    np.s_[3, 2:5],
    np.s_[1:9:3, ::-2],
    np.s_[5:2],
    COLUMNS,
]


def counted_bytes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of each request to fsspec's memory from now on."""
    read: list[int] = []
    memory = type(fsspec.filesystem("memory"))
    fetch = memory.cat_file

    def counted(self: Any, path: str, start: int, end: int) -> Any:
        read.append(end - start)
        return fetch(self, path, start, end)

    monkeypatch.setattr(memory, "cat_file", counted)
    return read


@pytest.mark.parametrize(
    "form", [f for f in WRITTEN_WEIGHTS if f is not TOY], ids=lambda form: form.name
)
def test_a_mapped_tensor_is_no_copy(form: Form, saved: dict[str, Path]) -> None:
    held = hozon.tensors(saved[form.name])
    tensor = next(t for t in held.values() if t.shape == (WIDE, WIDE))
    first, second = np.asarray(tensor), np.asarray(tensor)
    assert np.shares_memory(first, second)
    assert not first.flags.writeable


LIGHT = """
import sys
import hozon
for path in sys.argv[1:]:
    hozon.inspect(path)
    hozon.tensors(path)
    hozon.verify(path)
print(*sorted({"jax", "keras", "tensorflow"} & set(sys.modules)))
"""


def test_looking_needs_neither_keras_nor_jax(saved: dict[str, Path]) -> None:
    paths = [str(saved[form.name]) for form in ALL if form is not TOY]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *paths], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.fixture(scope="module")
def remote(saved: dict[str, Path]) -> Iterator[dict[str, str]]:
    """The artifacts in fsspec's memory."""
    memory = fsspec.filesystem("memory")
    for path in saved.values():
        for file, content in files_of(path).items():
            memory.pipe(f"/contract/{file}", content)
    yield {name: f"memory://contract/{path.name}" for name, path in saved.items()}
    memory.rm("/contract", recursive=True)


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.name)
def test_it_is_read_from_a_url(
    form: Form, saved: dict[str, Path], remote: dict[str, str], model: keras.Model
) -> None:
    url = remote[form.name]
    here, there = hozon.inspect(saved[form.name]), hozon.inspect(url)
    assert (there.variables, there.layers) == (here.variables, here.layers)
    assert there.path.startswith("memory://")
    if form.holds == "a model":
        same(state(hozon.load_model(url), form.optimizer), state(model, form.optimizer))
    if form.holds != "an architecture":
        one = fresh()
        hozon.load_weights(one, url)
        same(state(one, gives_optimizer(form)), state(model, gives_optimizer(form)))


#: Forms that are only read as a whole: a zip's checksum is over all of a member, and TensorStore
#: knows no file systems of fsspec's.
WHOLE = ("keras", "toy", "json", "orbax", "orbax_weights")


@pytest.mark.parametrize(
    "form", [f for f in ALL if f.name not in WHOLE], ids=lambda form: form.name
)
def test_only_what_is_used_is_read(
    form: Form,
    saved: dict[str, Path],
    remote: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = counted_bytes(monkeypatch)
    kernel = WIDE * WIDE * 4
    record = form.read(remote[form.name])
    looked = sum(read)
    assert looked < kernel  # of three and more, with the optimizer's
    assert len(read) <= 8
    tensors = [t for group in record.state for t in group.tensors.values()]
    one = next(t for t in tensors if t.shape == (WIDE, WIDE))
    assert one.read().shape == (WIDE, WIDE)
    assert kernel <= sum(read) - looked < 1.5 * kernel


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.name)
def test_what_is_cut_short_is_damaged(form: Form, saved: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / saved[form.name].name
    for name, content in files_of(saved[form.name]).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        part = (
            content
            if name.endswith(".index") or "fingerprint" in name
            else content[: len(content) * 2 // 3]
        )
        (tmp_path / name).write_bytes(part)
    one = fresh()
    before = state(one, True)
    doors = [
        lambda: hozon.load_weights(one, path),
        lambda: hozon.load_model(path),
        lambda: hozon.convert(path, tmp_path / "out.keras"),
    ]
    for door in doors:
        with pytest.raises(HozonError) as caught:
            door()
        assert isinstance(caught.value, (FormatError, UnsupportedError))
        assert path.name.partition(".")[0] in str(caught.value)
    same(state(one, True), before)
    assert not (tmp_path / "out.keras").exists()


@pytest.mark.parametrize("form", WRITTEN_WEIGHTS, ids=lambda form: form.name)
def test_what_is_there_is_kept_or_replaced_whole(
    form: Form, model: keras.Model, tmp_path: Path
) -> None:
    path = path_of(form, tmp_path)
    write(form, fresh(), path)
    first = files_of(path)
    with pytest.raises(SaveError, match="exists already"):
        write(form, model, path, overwrite=False)
    assert files_of(path) == first
    report = write(form, model, path)
    assert report.format == form.format
    assert report.nbytes == sum(map(len, files_of(path).values()))
    assert files_of(path) != first
    one = fresh()
    hozon.load_weights(one, path)
    same(state(one, False), state(model, False))


@pytest.mark.parametrize("form", [f for f in FORMS if f.cards], ids=lambda form: form.name)
def test_what_a_folder_holds_besides_is_kept(
    form: Form, model: keras.Model, tmp_path: Path
) -> None:
    path = path_of(form, tmp_path)
    write(form, model, path, card=True)
    assert "hozon.load_model" in (path / "README.md").read_text()
    (path / ".git").mkdir()
    (path / ".git" / "HEAD").write_text("main")
    (path / "notes.txt").write_text("mine")
    write(form, fresh(), path)
    assert (path / ".git" / "HEAD").read_text() == "main"
    assert (path / "notes.txt").read_text() == "mine"
    assert hozon.verify(path).ok
    hozon.load_model(path)


@pytest.mark.parametrize(
    "form", [f for f in FORMS if f.written and f.holds == "a model"], ids=lambda form: form.name
)
def test_a_card_is_written_or_refused(form: Form, model: keras.Model, tmp_path: Path) -> None:
    path = path_of(form, tmp_path)
    if not form.cards:
        with pytest.raises(UnsupportedError, match="card"):
            write(form, model, path, card=True)
        assert not path.exists()
        return
    write(form, model, path, card=True)
    card = (path / "README.md").read_text()
    assert card == hozon.report(path, tmp_path / "card.md")
    write(form, model, path, card=True)
    assert (path / "README.md").read_text() == card
    (path / "README.md").write_text("mine")
    write(form, model, path, card=True)
    assert (path / "README.md").read_text() == "mine"


@pytest.mark.parametrize("form", WRITTEN_WEIGHTS, ids=lambda form: form.name)
def test_a_folder_or_file_in_the_way(form: Form, model: keras.Model, tmp_path: Path) -> None:
    path = path_of(form, tmp_path)
    if form.suffixes:
        path.mkdir()
    elif form.holds == "a model":
        path.write_text("mine")
    else:
        (tmp_path / f"{path.name}.index").mkdir()
    with pytest.raises(SaveError):
        write(form, model, path)
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
def test_what_it_has_no_place_for_is_refused(
    form: Form, model: keras.Model, saved: dict[str, Path], tmp_path: Path
) -> None:
    path = path_of(form, tmp_path)
    for dialect in {"keras2", "keras3"} - set(form.dialects):
        with pytest.raises(UnsupportedError, match="dialect"):
            hozon.convert(saved["keras"], path, format=form.name, dialect=dialect)
    if form.holds == "a model" and not form.functions:
        given = {"s": (lambda x: x, {"x": ((None, 4), "float32")})}
        with pytest.raises(UnsupportedError, match="functions"):
            hozon.save_model(model, path, format=form.format, signatures=given)
    if not form.shards and form.holds == "weights":
        with pytest.raises(hozon.ArgumentError, match="max_shard_size"):
            hozon.save_weights(model, path, format=form.format, max_shard_size=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ALL, ids=lambda form: form.name)
def test_doors_for_something_else_say_so(
    form: Form, saved: dict[str, Path], tmp_path: Path
) -> None:
    path = saved[form.name]
    if form.holds != "a model":
        with pytest.raises(UnsupportedError, match=f"holds {form.holds} without") as caught:
            hozon.load_model(path)
        assert "load_weights" in str(caught.value.instead)
        with pytest.raises(UnsupportedError, match="without"):
            hozon.convert(path, tmp_path / "m.keras")
    if form.holds == "an architecture":
        with pytest.raises(UnsupportedError, match="without weights"):
            hozon.load_weights(fresh(), path)
    if form.name != "savedmodel":
        with pytest.raises(FormatError, match="is not a SavedModel"):
            hozon.saved_model.load(path)
    if form.naming != "objects":
        with pytest.raises(FormatError, match="is no checkpoint"):
            hozon.train.load_checkpoint(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", WRITTEN_WEIGHTS, ids=lambda form: form.name)
def test_the_same_model_gives_the_same_bytes(
    form: Form, model: keras.Model, saved: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / saved[form.name].name
    write(form, model, path)
    assert files_of(path) == files_of(saved[form.name])


@pytest.mark.parametrize(
    "form", [f for f in WRITTEN if f.holds == "weights"], ids=lambda form: form.name
)
def test_weights_of_a_whole_model_become_it(
    form: Form, saved: dict[str, Path], model: keras.Model, tmp_path: Path
) -> None:
    path = path_of(form, tmp_path)
    report = hozon.convert(saved["keras"], path, format=form.name)
    assert report.format == form.format
    assert any("optimizer" in line for line in report.lost) != form.optimizer
    one = fresh()
    hozon.load_weights(one, path)
    same(state(one, form.optimizer), state(model, form.optimizer))


@pytest.mark.parametrize("form", WRITTEN, ids=lambda form: form.name)
def test_a_conversion_keeps_what_is_none_of_its_business(
    form: Form, saved: dict[str, Path], tmp_path: Path
) -> None:
    path = path_of(form, tmp_path)
    if form.suffixes:
        path.write_text("my notes")
        with pytest.raises(SaveError, match="no model and no weights, so it is kept: it is text"):
            hozon.convert(saved["keras"], path, format=form.name)
        assert path.read_text() == "my notes"
        path.unlink()
    hozon.convert(saved["keras"], path, format=form.name)
    first = files_of(path)
    with pytest.raises(SaveError, match="exists already"):
        hozon.convert(saved["h5"], path, format=form.name, overwrite=False)
    assert files_of(path) == first
    hozon.convert(saved["h5"], path, format=form.name)


@pytest.mark.parametrize(
    "form", [f for f in WRITTEN_WEIGHTS if f.name != "toy"], ids=lambda form: form.name
)
def test_a_flipped_bit_is_found(
    form: Form, saved: dict[str, Path], model: keras.Model, tmp_path: Path
) -> None:
    name = form.name
    kernel = np.asarray(model.get_layer("square").kernel).tobytes()
    path, found = tmp_path / saved[name].name, 0
    for file, content in files_of(saved[name]).items():
        at = content.find(kernel)
        found += at >= 0
        changed = bytearray(content)
        if at >= 0:
            changed[at + len(kernel) // 2] ^= 1
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(changed)
    assert found == 1
    one = fresh()
    before = state(one, True)
    with pytest.raises(FormatError, match="checksum"):
        hozon.load_weights(one, path)
    same(state(one, True), before)
    if form.holds == "a model":
        with pytest.raises(FormatError, match="checksum"):
            hozon.load_model(path)


@pytest.mark.parametrize("form", [f for f in ALL if not f.written], ids=lambda form: form.name)
def test_what_is_only_read_is_not_offered(
    form: Form, saved: dict[str, Path], tmp_path: Path
) -> None:
    for call in (hozon.save_model, hozon.save_weights):
        with pytest.raises(hozon.UnknownFormatError, match="is not one of"):
            call(fresh(), tmp_path / "m", format=form.format)
    with pytest.raises(hozon.UnknownFormatError, match="is not one of"):
        hozon.convert(saved["keras"], tmp_path / "m", format=form.name)
    assert list(tmp_path.iterdir()) == []


def test_a_form_is_added_by_one_entry(saved: dict[str, Path], tmp_path: Path) -> None:
    """What the toy form got for nothing: names, suffixes, messages, conversion, the opt-in."""
    opted = hozon.keras

    with pytest.raises(hozon.UnknownFormatError, match="'toy'"):
        hozon.save_weights(fresh(), tmp_path / "w", format="tyo")
    with pytest.raises(hozon.UnknownFormatError, match=r"\.toy means weights"):
        hozon.save_model(fresh(), tmp_path / "m.toy")
    (tmp_path / "notes").write_text("text")
    with pytest.raises(hozon.ForeignFileError, match=r"\.toy"):
        hozon.inspect(tmp_path / "notes")
    for target in ("w.weights.h5", "w.safetensors", "w.weights.json"):
        hozon.convert(saved["toy"], tmp_path / target)
        hozon.convert(tmp_path / target, tmp_path / "back.toy")
        assert hozon.inspect(tmp_path / "back.toy").format == "toy weights"
    with pytest.raises(UnsupportedError, match="load_weights"):
        hozon.convert(saved["toy"], tmp_path / "w.h5")
    with opted.opted_in():
        assert fresh().save_weights(tmp_path / "w", save_format="toy").format == "toy"
