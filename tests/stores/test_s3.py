"""Every form in a bucket of an S3 server: written, written over, read back, few requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fsspec
import keras
import numpy as np
import pytest

import hozon
from tests.contract.numbered import X, made

moto = pytest.importorskip("moto.server", reason="run `make stores`")
s3fs = pytest.importorskip("s3fs", reason="run `make stores`")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of an empty bucket."""
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    fsspec.config.conf["s3"] = {
        "endpoint_url": f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}",
        "key": "key",
        "secret": "secret",
    }
    s3fs.S3FileSystem.clear_instance_cache()
    fsspec.filesystem("s3").mkdir("bucket")
    yield "s3://bucket"
    server.stop()
    del fsspec.config.conf["s3"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that were made, by their names."""
    calls: list[str] = []
    ask = s3fs.S3FileSystem._call_s3

    async def counted(self: Any, method: str, *args: Any, **options: Any) -> Any:
        calls.append(method)
        return await ask(self, method, *args, **options)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", counted)
    return calls


def values(model: keras.Model) -> set[float]:
    return {float(number) for weight in model.get_weights() for number in weight.flat}


@pytest.mark.parametrize("name", ["m", "m.keras", "m.h5"])
def test_models(bucket: str, name: str, asked: list[str]) -> None:
    for value in (1, 2, 3):
        hozon.save_model(made(value), f"{bucket}/{name}")
        asked.clear()
        loaded = hozon.load_model(f"{bucket}/{name}")
        assert values(loaded) == {value}
        assert len(asked) <= 8, asked
        asked.clear()
        hozon.inspect(f"{bucket}/{name}")
        assert len(asked) <= 8, asked
        assert hozon.verify(f"{bucket}/{name}").ok


@pytest.mark.parametrize("name", ["w", "w.h5", "w.weights.h5", "w.weights.json", "w.safetensors"])
def test_weights(bucket: str, name: str) -> None:
    for value in (1, 2, 3):
        hozon.save_weights(made(value), f"{bucket}/{name}")
        model = made(0)
        hozon.load_weights(model, f"{bucket}/{name}")
        assert values(model) == {value}


def test_a_checkpoint_of_many(bucket: str, asked: list[str]) -> None:
    tensors = {f"v{i}": np.full(100, i, "f4") for i in range(1000)}
    hozon.train.Checkpoint(**tensors).write(f"{bucket}/many")
    read = hozon.train.Checkpoint(**{name: value * 0 for name, value in tensors.items()})
    asked.clear()
    read.read(f"{bucket}/many").assert_consumed()
    np.testing.assert_array_equal(read.v999, tensors["v999"])
    assert len(asked) <= 40, asked
    asked.clear()
    stored = hozon.tensors(f"{bucket}/many")["v7/.ATTRIBUTES/VARIABLE_VALUE"]
    np.testing.assert_array_equal(stored, tensors["v7"])
    assert len(asked) <= 8, asked


def test_another_process_writes(bucket: str) -> None:
    """What one client has listed is not believed later."""
    folder = f"{bucket}/run"
    hozon.train.CheckpointManager(hozon.train.Checkpoint(w=X), folder, 3).save()
    assert hozon.train.latest_checkpoint(folder) == f"{folder}/ckpt-1"
    other = s3fs.S3FileSystem(skip_instance_cache=True, **fsspec.config.conf["s3"])
    for name in other.ls("bucket/run"):
        if "ckpt-1" in name:
            other.copy(name, name.replace("ckpt-1", "ckpt-2"))
    other.pipe_file("bucket/run/checkpoint", b'model_checkpoint_path: "ckpt-2"\n')
    assert hozon.train.latest_checkpoint(folder) == f"{folder}/ckpt-2"


def refusals() -> dict[str, Callable[[str], Any]]:
    return {
        "load_model": hozon.load_model,
        "inspect": hozon.inspect,
        "save_model": lambda path: hozon.save_model(made(1), path),
        "save_weights": lambda path: hozon.save_weights(made(1), path),
    }


@pytest.mark.parametrize("door", refusals())
def test_no_such_bucket(bucket: str, door: str) -> None:
    with pytest.raises(hozon.HozonError, match="s3://nothing/m"):
        refusals()[door]("s3://nothing/m")


@pytest.mark.parametrize("door", refusals())
def test_no_credentials(bucket: str, door: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library below says it in errors of its own, which become Hozon's."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    signed = fsspec.config.conf["s3"]
    unsigned = {"endpoint_url": signed["endpoint_url"]}
    monkeypatch.setitem(fsspec.config.conf, "s3", unsigned)
    with pytest.raises(hozon.HozonError, match=r"(?i)credentials|sign in|denied"):
        refusals()[door](f"{bucket}/m")
