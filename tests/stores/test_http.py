"""Reading from a web server, of ranges and one that does not know them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import keras
import numpy as np
import pytest

import hozon

pytest.importorskip("aiohttp", reason="run `make stores`")

FILES = ("m.keras", "m.h5", "w.weights.h5", "w.safetensors")


class Plain(SimpleHTTPRequestHandler):
    """Python's own server: files whole, folders as pages."""

    sent: ClassVar[list[tuple[str, str, int]]] = []
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.sent.append(("GET", self.path, -1))
        super().do_GET()


class Ranges(Plain):
    """One that sends ranges."""

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if asked is None or not path.is_file():
            super().do_GET()
            return
        data = path.read_bytes()
        part = data[int(asked[1]) : int(asked[2]) + 1]
        self.sent.append(("GET", self.path, len(part)))
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        last = int(asked[1]) + len(part) - 1
        self.send_header("Content-Range", f"bytes {asked[1]}-{last}/{len(data)}")
        self.end_headers()
        self.wfile.write(part)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("web")
    model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(400, name="d")])
    hozon.save_model(model, where / "m")
    for name in FILES:
        save = hozon.save_model if name.startswith("m") else hozon.save_weights
        save(model, where / name)
    return where


@pytest.fixture(scope="module", params=[Plain, Ranges], ids=["whole", "ranges"])
def server(folder: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, type[Plain]]]:
    handler = request.param
    running = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}", handler
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, server: tuple[str, type[Plain]], folder: Path) -> None:
    url, handler = server
    stored, wanted = hozon.tensors(f"{url}/{name}"), hozon.tensors(folder / name)
    assert stored.keys() == wanted.keys()
    handler.sent.clear()
    for tensor in wanted:
        np.testing.assert_array_equal(stored[tensor], wanted[tensor])
    whole = [sent for sent in handler.sent if sent[2] < 0]
    assert len(whole) <= (handler is Plain)  # once, if at all


def test_a_folder(server: tuple[str, type[Plain]], folder: Path) -> None:
    url, _ = server
    loaded = hozon.load_model(f"{url}/m", compile=False)
    wanted = hozon.load_model(folder / "m", compile=False)
    for have, want in zip(loaded.get_weights(), wanted.get_weights(), strict=True):
        np.testing.assert_array_equal(have, want)


def test_what_is_not_there(server: tuple[str, type[Plain]]) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        hozon.load_model(f"{server[0]}/nothing.keras")


def test_no_server() -> None:
    with pytest.raises(hozon.UnsupportedError, match="cannot be reached"):
        hozon.load_model("http://127.0.0.1:9/m.keras")
