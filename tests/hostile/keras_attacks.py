"""Hostile H5, ``.keras``, ``.weights.h5``, safetensors and sharded files, made of sound ones.

Each attack is a function of a folder with the sound files (see `sound_files`) that changes one of
them and returns its path. Nothing here does harm: code would leave a file called `VICTIM`.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Attack = Callable[[Path], Path]
Edit = Callable[[Any, str, Path], None]
VICTIM, SECRET = "touched", b"a secret of forty bytes, nobody may see!"
#: Where the kernel of the first layer, and a group around it, are.
PLACES = {
    "m.h5": ("model_weights/d/d/kernel:0", "model_weights/d"),
    "w.h5": ("d/d/kernel:0", "d"),
    "w.weights.h5": ("layers/dense/vars/0", "layers/dense"),
    "m.keras": ("layers/dense/vars/0", "layers/dense"),
    "w_00000.weights.h5": ("layers/dense/vars/0", "layers/dense"),
}
SLOTS = {"m.h5": "optimizer_weights", "m.keras": "optimizer", "w.weights.h5": "optimizer"}


# HDF5: what stands in the place of a dataset


def external_storage(file: Any, at: str, folder: Path) -> None:
    file.create_dataset(at, (2, 4), "f4", external=[(str(folder / "secret"), 0, 32)])


def external_link(file: Any, at: str, folder: Path) -> None:
    file[at] = h5py.ExternalLink(str(folder / "other.h5"), "/k")


def soft_link(file: Any, at: str, folder: Path) -> None:
    file[at] = h5py.SoftLink("/zz")


def virtual(file: Any, at: str, folder: Path) -> None:
    layout = h5py.VirtualLayout((2, 4), "f4")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "k", (2, 4))
    file.create_virtual_dataset(at, layout)


def shape_bomb(file: Any, at: str, folder: Path) -> None:
    file.create_dataset(at, (2**34, 4), "f4", chunks=(1024, 4), compression="gzip")


def late_bomb(file: Any, at: str, folder: Path) -> None:
    file.create_dataset(at, (2**34, 4), "f4")  # allocated late: nothing is stored


def chunk_bomb(file: Any, at: str, folder: Path) -> None:
    data = np.zeros((2**22, 4), "f4")
    file.create_dataset(at, data=data, chunks=data.shape, compression="gzip")


def references(file: Any, at: str, folder: Path) -> None:
    file.create_dataset(at, (1,), h5py.ref_dtype)[0] = file.ref


def of_objects(file: Any, at: str, folder: Path) -> None:
    file.create_dataset(at, (2,), h5py.vlen_dtype(np.float32))


def compound(file: Any, at: str, folder: Path) -> None:
    file.create_dataset(at, (2, 4), np.dtype([("a", "f4"), ("b", "i4")]))


def texts(file: Any, at: str, folder: Path) -> None:
    file.create_dataset(at, data=np.full((2, 4), b"x" * 4))


def empty(file: Any, at: str, folder: Path) -> None:
    file[at] = h5py.Empty("f4")


def other_shape(file: Any, at: str, folder: Path) -> None:
    file[at] = np.zeros((3, 4), "f4")


DATASETS: tuple[Edit, ...] = (
    external_storage,
    external_link,
    soft_link,
    virtual,
    shape_bomb,
    late_bomb,
    chunk_bomb,
    references,
    of_objects,
    compound,
    empty,
)
GROUPS: tuple[Edit, ...] = (external_link, soft_link)


def in_hdf5(name: str, edit: Edit, of_group: bool) -> Attack:
    """The file with the kernel, or the group around it, replaced."""

    def attack(folder: Path) -> Path:
        (folder / "secret").write_bytes(SECRET)
        with h5py.File(folder / "other.h5", "w") as other:
            other["k"] = np.frombuffer(SECRET[:32], "f4").reshape(2, 4)
        at = PLACES[name][of_group]

        def change(file: Any) -> None:
            del file[at]
            edit(file, at, folder)

        edit_hdf5(folder / name, change)
        return folder / ("w.weights.json" if name.startswith("w_0") else name)

    return attack


def edit_hdf5(path: Path, change: Callable[[Any], None]) -> None:
    """Change an HDF5 file, or that within a ``.keras`` archive."""
    if path.suffix != ".keras":
        with h5py.File(path, "r+") as file:
            change(file)
        return
    with zipfile.ZipFile(path) as archive:
        data = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(data, "r+") as file:
        change(file)
    rewrite(path, {"model.weights.h5": data.getvalue()})


def h5_attributes(**new: Any) -> Attack:
    """``w.h5`` with other attributes."""

    def attack(folder: Path) -> Path:
        with h5py.File(folder / "w.h5", "r+") as file:
            for name, value in new.items():
                file.attrs[name] = value
        return folder / "w.h5"

    return attack


def without(name: str) -> Attack:
    """The file with the weights of its first layer gone."""

    def attack(folder: Path) -> Path:
        def change(file: Any) -> None:
            del file[PLACES[name][1]]

        edit_hdf5(folder / name, change)
        return folder / name

    return attack


def with_other_slots(name: str) -> Attack:
    """The file with the optimizer's state of another model."""

    def attack(folder: Path) -> Path:
        def change(file: Any) -> None:
            slots: list[str] = []
            file[SLOTS[name]].visit(slots.append)
            for at in slots:
                found = file[SLOTS[name]][at]
                if isinstance(found, h5py.Dataset) and found.shape:
                    del file[SLOTS[name]][at]
                    file[SLOTS[name]][at] = np.ones((7, 7), "f4")

        edit_hdf5(folder / name, change)
        return folder / name

    return attack


def a_ring(folder: Path) -> Path:
    with h5py.File(folder / "w.weights.h5", "r+") as file:
        file["layers/dense/ring"] = file["layers"]
    return folder / "w.weights.h5"


# Bytes


def cut(name: str, part: float) -> Attack:
    """The file's first part alone."""

    def attack(folder: Path) -> Path:
        path = folder / name
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * part)])
        return path

    return attack


def filled(name: str, data: bytes) -> Attack:
    """Something else under the file's name."""

    def attack(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return attack


# Zip archives


def rewrite(path: Path, new: dict[str, bytes | None], more: dict[str, bytes] | None = None) -> Path:
    """The archive with members replaced, left out (None) and added."""
    with zipfile.ZipFile(path) as archive:
        old = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in {**old, **new}.items():
            if content is not None:
                archive.writestr(name, content)
        for name, content in (more or {}).items():
            archive.writestr(name, content)
    return path


def members(new: dict[str, bytes | None], more: dict[str, bytes] | None = None) -> Attack:
    return lambda folder: rewrite(folder / "m.keras", new, more)


def deflated_bomb(name: str, start: bytes, megabytes: int) -> Attack:
    """A member that is a few KB in the file and many MB outside of it."""

    def attack(folder: Path) -> Path:
        path = rewrite(folder / "m.keras", {name: None})
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, start + b" " * (megabytes << 20))
        return path

    return attack


def bytes_of_zip(change: Callable[[bytearray], None]) -> Attack:
    def attack(folder: Path) -> Path:
        path = folder / "m.keras"
        data = bytearray(path.read_bytes())
        change(data)
        path.write_bytes(bytes(data))
        return path

    return attack


def encrypted(data: bytearray) -> None:
    data[data.index(b"PK\x01\x02") + 8] |= 1


def longer(data: bytearray) -> None:
    """The directory declares 4 GB for a member."""
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)


def elsewhere(data: bytearray) -> None:
    """The directory and the member disagree on where it begins."""
    at = data.index(b"PK\x01\x02")
    data[at + 42 : at + 46] = struct.pack("<I", 7)


def other_checksum(data: bytearray) -> None:
    for mark, offset in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        at = data.index(b"config.json") if mark == b"PK\x03\x04" else data.rindex(b"config.json")
        data[data.rindex(mark, 0, at) + offset] ^= 0xFF


def npz(**arrays: Any) -> bytes:
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


# safetensors


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> Attack:
    """A safetensors file of this header, as text or JSON, and these bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    return filled("w.safetensors", struct.pack("<Q", size) + text + data)


def entry(begin: int, end: int, *shape: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


# Sharded weights


def index(change: Callable[[dict[str, Any]], None]) -> Attack:
    def attack(folder: Path) -> Path:
        path = folder / "w.weights.json"
        content = json.loads(path.read_text())
        change(content["weight_map"])
        path.write_text(json.dumps(content))
        return path

    return attack


def shard_is_a_link(folder: Path) -> Path:
    (folder / "w_00000.weights.h5").rename(folder / "hidden.h5")
    (folder / "w_00000.weights.h5").symlink_to(folder / "hidden.h5")
    return folder / "w.weights.json"


def shard_is_missing(folder: Path) -> Path:
    (folder / "w_00000.weights.h5").unlink()
    return folder / "w.weights.json"


# Configs


def code(folder: Path) -> str:
    made = compile(f"open({str(folder / VICTIM)!r}, 'w')", "x", "eval")
    return base64.b64encode(marshal.dumps(made)).decode()


def lambda_forms(folder: Path) -> dict[str, Any]:
    """A Lambda layer in all disguises, and other layers that would run code or open files."""
    text = code(folder)
    tagged = {
        "class_name": "__lambda__",
        "config": {"code": text, "defaults": None, "closure": None},
    }
    listed = {"name": "l", "function": [text, None, None], "function_type": "lambda"}
    plain = {"class_name": "Lambda", "config": listed}
    return {
        "list": plain,
        "dict": {"class_name": "Lambda", "config": {"name": "l", "function": tagged}},
        "module": {"module": "keras.layers", **plain},
        "activation": {"class_name": "Dense", "config": {"units": 4, "activation": tagged}},
        "wrapped": {"class_name": "TimeDistributed", "config": {"name": "t", "layer": plain}},
        "nested": {"class_name": "Sequential", "config": {"name": "s", "layers": [plain]}},
        "function": _function("builtins", "eval"),
        "os": {"module": "os", "class_name": "system", "config": f"touch {folder / VICTIM}"},
        "get_file": _function("keras.utils", "get_file"),
        "load_model": _function("keras.saving", "load_model"),
        "unlock": {
            "module": "keras.config",
            "class_name": "enable_unsafe_deserialization",
            "config": {},
        },
        "torch": {
            "module": "keras.utils",
            "class_name": "TorchModuleWrapper",
            "config": {"module": text},
        },
        "tfsm": {
            "module": "keras.layers",
            "class_name": "TFSMLayer",
            "config": {"filepath": str(folder)},
        },
        "jax": {"module": "keras.layers", "class_name": "JaxLayer", "config": {"call_fn": tagged}},
        "vocabulary": _layer("StringLookup", vocabulary=str(folder / "secret")),
        "vocabulary url": _layer("TextVectorization", vocabulary="https://example.org/v.txt"),
        "registered": {
            "module": "mine",
            "class_name": "Dense",
            "registered_name": "os>system",
            "config": {"name": "d"},
        },
        "units": _layer("Dense", units=900_000_000),
        "embedding": _layer("Embedding", input_dim=10**9, output_dim=64),
        "repeat": _layer("RepeatVector", n=10**12),
        "tensor": _layer(
            "Dense", units={"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}}
        ),
        "deep": _deep(250),
    }


def _layer(name: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": name, "config": {"name": "l", **config}}


def _function(module: str, name: str) -> dict[str, Any]:
    return _layer(
        "Dense",
        units=4,
        activation={
            "module": module,
            "class_name": "function",
            "config": name,
            "registered_name": name,
        },
    )


def _deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = _layer("Dense", units=1)
    for _ in range(levels):
        made = {"class_name": "Sequential", "config": {"name": "s", "layers": [made]}}
    return made


def with_layer(name: str, layer: str) -> Attack:
    """A whole model with a hostile layer put first."""

    def attack(folder: Path) -> Path:
        (folder / "secret").write_bytes(SECRET)
        put = lambda_forms(folder)[layer]
        path = folder / name
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                config = json.loads(archive.read("config.json"))
            config["config"]["layers"].insert(1, put)
            return rewrite(path, {"config.json": json.dumps(config).encode()})
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            config["config"]["layers"].insert(1, put)
            file.attrs["model_config"] = json.dumps(config)
        return path

    return attack


LAYERS = tuple(lambda_forms(Path("x")))


def _archives() -> dict[str, Attack]:
    return {
        **{
            f"member {name}": members({}, {name: b"x"})
            for name in ("../x", "/etc/x", "C:/x", "a\\..\\..\\x", "assets/../../x")
        },
        "two configs": members({}, {"config.json": b"{}"}),
        "no weights": members({"model.weights.h5": None}),
        "no config": members({"config.json": None}),
        "weights are text": members({"model.weights.h5": b"not HDF5 at all"}),
        "weights are objects": members(
            {"model.weights.h5": None}, {"model.weights.npz": npz(a=np.array({"x": 1}))}
        ),
        "config bomb": deflated_bomb("config.json", b"{", 110),
        "weights bomb": deflated_bomb("model.weights.h5", b"\x89HDF\r\n\x1a\n", 65),
        "assets bomb": deflated_bomb("assets/words.txt", b"a", 65),
        "encrypted": bytes_of_zip(encrypted),
        "longer": bytes_of_zip(longer),
        "elsewhere": bytes_of_zip(elsewhere),
        "checksum": bytes_of_zip(other_checksum),
    }


def _configs() -> dict[str, Attack]:
    deep = b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    return {
        f"config {name}": members({"config.json": text})
        for name, text in {
            "text": b"{",
            "list": b"[]",
            "nothing": b"{}",
            "deep": deep,
            "nan": b"NaN",
            "number": b'{"class_name": "Sequential", "config": 1' + b"0" * 5000 + b"}",
            "other types": b'{"class_name": ["a"], "config": "b"}',
            "bytes": b"\xff\xfe\xff",
        }.items()
    }


def _safetensors() -> dict[str, Attack]:
    name = "layers/dense/vars/0"
    one = json.dumps(entry(0, 8, 2))
    return {
        "header too long": safetensors(b"{}", length=1 << 40),
        "header of 100 MB": safetensors(b"{}", length=101 << 20),
        "no object": safetensors(b"[1, 2, 3]   "),
        "no text": safetensors(b'{"\xff\xfe": 1}  '),
        "hole": safetensors({name: entry(4, 8, 1)}, b"x" * 8),
        "overlap": safetensors({name: entry(0, 8, 2), "b": entry(4, 12, 2)}, b"x" * 12),
        "past the end": safetensors({name: entry(0, 4096, 1024)}, b"x" * 8),
        "backwards": safetensors({name: entry(8, 0, 2)}, b"x" * 8),
        "other size": safetensors({name: entry(0, 8, 2**40)}, b"x" * 8),
        "overflow": safetensors({name: entry(0, 8, 2**62, 4)}, b"x" * 8),
        "negative": safetensors({name: entry(0, 8, -2)}, b"x" * 8),
        "text as size": safetensors({name: {**entry(0, 8), "shape": "x"}}, b"x" * 8),
        "twice": safetensors(
            f'{{"{name}": {one}, "{name}": {one}}}'.encode(),
            b"x" * 8,
        ),
        "more bytes": safetensors({name: entry(0, 8, 2)}, b"x" * 9),
    }


def _shards() -> dict[str, Attack]:
    at = "/layers/dense/vars"
    return {
        **{
            f"shard {name}": index(lambda m, name=name: m.update({at: name}))
            for name in (  # type: ignore[misc]
                "../w_00000.weights.h5",
                "/etc/x.h5",
                "a/b.h5",
                7,
                ["w_00000.weights.h5", None],
            )
        },
        "shard link": shard_is_a_link,
        "shard gone": shard_is_missing,
        "shard lacks it": index(lambda m: m.update({"/layers/nope/vars": "w_00000.weights.h5"})),
        "index text": filled("w.weights.json", b"{"),
        "index deep": filled("w.weights.json", b"[" * 10_000 + b"]" * 10_000),
    }


WITH_STATE = ("m.h5", "w.h5", "w.weights.h5", "m.keras")
NAMES = ("m.h5", "w.h5", "m.keras", "w.weights.h5", "w.safetensors")
#: What every entry point refuses.
BROKEN: dict[str, Attack] = {
    **{
        f"{name}: {edit.__name__}": in_hdf5(name, edit, False)
        for name in PLACES
        for edit in DATASETS
    },
    **{
        f"{name}: group {edit.__name__}": in_hdf5(name, edit, True)
        for name in PLACES
        for edit in GROUPS
    },
    **{f"{name}: cut at {part}": cut(name, part) for name in NAMES for part in (0.001, 0.5, 0.99)},
    **{
        f"{name}: {what}": filled(name, data)
        for name in NAMES
        for what, data in (
            ("empty", b""),
            ("text", b"no such format"),
            ("zip", b"PK\3\4" * 9),
            ("HDF5", b"\x89HDF\r\n\x1a\n" + b"\0" * 90),
        )
    },
    "names at the root": h5_attributes(layer_names=[b"/", b"e"]),
    "names twice": h5_attributes(layer_names=[b"d", b"d"]),
    "names are numbers": h5_attributes(layer_names=[1, 2]),
    "ring": a_ring,
    **_archives(),
    **_safetensors(),
    **_shards(),
}
#: What fits no model; only a model can tell.
MISFITS: dict[str, Attack] = {
    "w.h5: names up": h5_attributes(layer_names=[b"..", b"e"]),
    **{f"{name}: half": without(name) for name in WITH_STATE},
    **{f"{name}: other shape": in_hdf5(name, other_shape, False) for name in PLACES},
    **{f"{name}: optimizer": with_other_slots(name) for name in WITH_STATE if name in SLOTS},
}
#: What every entry point that needs the config refuses; weights may be read.
CONFIGS: dict[str, Attack] = {
    **_configs(),
    **{
        f"{name}: {layer}": with_layer(name, layer)
        for name in ("m.keras", "m.h5")
        for layer in LAYERS
    },
}
