"""A checkpoint of 10 GB in a bucket that is 20 ms away: what is asked for to look into it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import fsspec
import numpy as np
import pytest

import hozon
from hozon.formats.bundle.layout import Entry, Header, write_entry, write_header
from hozon.formats.sstable import encode_table
from hozon.raw.checksum import masked_crc32c

s3fs = pytest.importorskip("s3fs", reason="run `make stores`")

TENSORS = 10_000
LENGTH = 1 << 18
LATENCY = 0.02


class Bucket(BaseHTTPRequestHandler):
    """As much of S3's API as reading takes, over a folder; moto would hold all in memory."""

    protocol_version = "HTTP/1.1"
    folder: Path
    asked: list[str]
    sent: int

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        time.sleep(LATENCY)
        where = urlsplit(self.path)
        name = unquote(where.path).removeprefix("/bucket").lstrip("/")
        kind = type(self)
        kind.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}")
        if not name:
            self._send(200, self._listing(parse_qs(where.query).get("prefix", [""])[0]))
        elif not (self.folder / name).is_file():
            self._send(404, b"")
        else:
            self._file(self.folder / name, body=body)

    def _file(self, path: Path, *, body: bool) -> None:
        size = path.stat().st_size
        start, end = 0, size
        given = self.headers.get("Range")
        if given:
            first, last = given.removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last or size - 1) + 1, size)
        if not body:
            self._send(200, b"", size)
            return
        with path.open("rb") as file:
            file.seek(start)
            part = file.read(end - start)
        self._send(206 if given else 200, part, total=f"bytes {start}-{end - 1}/{size}")

    def _listing(self, prefix: str) -> bytes:
        found = [p for p in sorted(self.folder.iterdir()) if p.name.startswith(prefix)]
        entries = "".join(
            f"<Contents><Key>{escape(p.name)}</Key><Size>{p.stat().st_size}</Size>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>e</ETag>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
            for p in found
        )
        return (
            f"<ListBucketResult><Name>bucket</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>{entries}"
            "</ListBucketResult>"
        ).encode()

    def _send(self, status: int, body: bytes, size: int | None = None, total: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.send_header("ETag", '"e"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if total:
            self.send_header("Content-Range", total)
        self.end_headers()
        type(self).sent += len(body)
        self.wfile.write(body)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Bucket]]:
    Bucket.folder = folder = tmp_path_factory.mktemp("bucket")
    Bucket.asked, Bucket.sent = [], 0
    nbytes = LENGTH * 4
    crc = masked_crc32c(bytes(nbytes))
    records = [
        (
            b"",
            write_header(Header(1, big_endian=False, producer=1, min_consumer=0, bad_consumers=())),
        )
    ]
    records += [
        (
            b"layer-%05d/kernel" % i,
            write_entry(Entry(1, (512, 512), 0, i * nbytes, nbytes, crc, ())),
        )
        for i in range(TENSORS)
    ]
    (folder / "big.index").write_bytes(encode_table(records))
    with (folder / "big.data-00000-of-00001").open("wb") as file:
        file.truncate(TENSORS * nbytes)  # takes no room
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bucket)
    Thread(target=server.serve_forever, daemon=True).start()
    fsspec.config.conf["s3"] = {
        "endpoint_url": f"http://127.0.0.1:{server.server_port}",
        "key": "key",
        "secret": "secret",
    }
    s3fs.S3FileSystem.clear_instance_cache()
    fsspec.filesystem("s3").ls("bucket")  # which takes the client's imports
    yield Bucket
    server.shutdown()
    del fsspec.config.conf["s3"]


def test_looking_reads_the_index_alone(bucket: type[Bucket]) -> None:
    bucket.asked.clear()
    bucket.sent = 0
    started = time.perf_counter()
    info = hozon.inspect("s3://bucket/big")
    print(f"inspect: {time.perf_counter() - started:.2f} s, {len(bucket.asked)} requests")
    assert len(info.variables) == TENSORS
    assert info.nbytes == TENSORS * LENGTH * 4
    assert len(bucket.asked) <= 8, bucket.asked
    assert bucket.sent < 2 * (bucket.folder / "big.index").stat().st_size + 100_000


def test_one_tensor(bucket: type[Bucket]) -> None:
    held = hozon.tensors("s3://bucket/big")
    bucket.asked.clear()
    bucket.sent = 0
    started = time.perf_counter()
    value = np.asarray(held["layer-07777/kernel"])
    print(f"one tensor: {time.perf_counter() - started:.2f} s, {len(bucket.asked)} requests")
    assert value.shape == (512, 512)
    assert not value.any()
    assert len(bucket.asked) <= 4, bucket.asked
    assert bucket.sent < 2 * LENGTH * 4
    bucket.sent = 0
    np.testing.assert_array_equal(held["layer-00003/kernel"][2:5], np.zeros((3, 512), "f4"))
    assert bucket.sent < LENGTH * 4
