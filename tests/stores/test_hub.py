"""Models in a repository of the Hugging Face Hub, by its own client and a server of these tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import keras
import pytest

import hozon

pytest.importorskip("huggingface_hub", reason="it has an environment of its own: run `make stores`")

COMMIT = "a" * 40


class Hub(BaseHTTPRequestHandler):
    """What the Hub's client asks of one repository, ``me/net``, whose files lie in `root`."""

    root: Path
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def tell(self, told: Any, code: int = 200) -> None:
        missing = {"X-Error-Code": "EntryNotFound"} if code == 404 else {}
        self.send(json.dumps(told).encode(), code, {"Content-Type": "application/json", **missing})

    def send(self, data: bytes, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def entry(self, path: Path) -> dict[str, Any]:
        told = {"oid": "0" * 40, "path": path.relative_to(self.root).as_posix()}
        if path.is_dir():
            return {**told, "type": "directory"}
        return {**told, "type": "file", "size": path.stat().st_size}

    def do_GET(self) -> None:
        where = unquote(urlsplit(self.path).path)
        if re.fullmatch(r"/api/models/me/net(/revision/\w+)?", where):
            self.tell({"id": "me/net", "modelId": "me/net", "sha": COMMIT, "siblings": []})
        elif found := re.fullmatch(r"/api/models/me/net/tree/\w+/?(.*)", where):
            folder = self.root / found[1]
            inside = sorted(folder.iterdir()) if folder.is_dir() else None
            self.tell([*map(self.entry, inside or ())], 404 if inside is None else 200)
        elif (found := re.fullmatch(r"/me/net/resolve/\w+/(.*)", where)) and (
            self.root / found[1]
        ).is_file():
            self.file((self.root / found[1]).read_bytes())
        else:
            self.tell({"error": "Not found"}, 404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        paths = (self.root / path for path in asked["paths"])
        self.tell([self.entry(path) for path in paths if path.exists()])

    def file(self, data: bytes) -> None:
        headers = {"X-Repo-Commit": COMMIT, "ETag": '"0"'}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if part is None:
            self.send(data, 200, headers)
            return
        first, last = int(part[1]), min(int(part[2] or len(data)), len(data) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        self.send(data[first : last + 1], 206, headers)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hub")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="d")])
    model.compile("adam", "mse")
    hozon.save_model(model, folder / "net", card=True)
    hozon.save_model(model, folder / "net" / "model.keras")
    handler = type("OfFolder", (Hub,), {"root": folder / "net"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


LOAD = """
import sys
import hozon

where = sys.argv[1]
model = hozon.load_model(where)
model.load_report.assert_consumed()
print(hozon.inspect(where).format, hozon.verify(where).ok, model.count_params())
"""


@pytest.mark.parametrize(
    ("where", "form"), [("hf://me/net", "SavedModel"), ("hf://me/net/model.keras", ".keras")]
)
def test_a_model_of_a_repository(where: str, form: str, endpoint: str, tmp_path: Path) -> None:
    """In a process of its own: the client looks for its server when it is imported."""
    hub = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD, where],
        env={**os.environ, **hub},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [form, "True", "8"]
