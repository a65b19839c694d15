"""Encoded pictures against TensorFlow."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from hozon.errors import UnsupportedError
from tests.oracle.client import Oracle
from tests.unit.graphs.ops.harness import Case, answers, check, kernel

ENCODE = """
rng = np.random.default_rng(0)
small = rng.integers(0, 255, (5, 4, 3)).astype("u1")
image = tf.image.resize(small, (40, 30)).numpy().astype("u1")
out["jpeg"] = tf.io.encode_jpeg(image).numpy()
out["gray_jpeg"] = tf.io.encode_jpeg(image[..., :1]).numpy()
for channels in (1, 2, 3, 4):
    picture = rng.integers(0, 255, (6, 7, channels)).astype("u1")
    out[f"png{channels}"] = tf.io.encode_png(picture).numpy()
out["png16"] = tf.io.encode_png(rng.integers(0, 65535, (4, 3, 1)).astype("u2")).numpy()
"""


def scalar(value: bytes) -> Any:
    array = np.empty((), object)
    array[()] = value
    return array


def bitmap() -> bytes:
    import io

    from PIL import Image

    target = io.BytesIO()
    pixels = np.random.default_rng(2).integers(0, 255, (5, 3, 3)).astype("u1")
    Image.fromarray(pixels).save(target, "BMP")
    return target.getvalue()


def animation() -> bytes:
    import io

    from PIL import Image

    target = io.BytesIO()
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    frames = [Image.new("RGB", (4, 5), colour) for colour in colours]
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])
    return target.getvalue()


def numbers(outputs: list[Any]) -> list[Any]:
    return [x.astype("f4") for x in outputs]


#: TensorFlow's default is the fast cosine transform, which is less accurate.
NEAR: dict[str, Any] = {"canonical": numbers, "atol": 12, "rtol": 0}


def cases(files: dict[str, bytes]) -> list[Case]:
    listed = [
        Case(
            "DecodeImage",
            [scalar(data)],
            {"channels": c},
            traced=(),
            note=name,
            **(NEAR if "jpeg" in name else {}),
        )
        for name, data in files.items()
        for c in (0, 3)
    ]
    listed += [
        Case("DecodeImage", [scalar(files["png3"])], {"dtype": dtype}, traced=())
        for dtype in ("uint16", "float32")
    ]
    listed += [
        Case("DecodePng", [scalar(files["png1"])], {"channels": 4}, traced=()),
        Case("DecodeJpeg", [scalar(files["jpeg"])], {"channels": 1}, traced=(), **NEAR),
        *(
            Case(
                "DecodeJpeg",
                [scalar(files[name])],
                {"dct_method": "INTEGER_ACCURATE", "channels": channels},
                traced=(),
                note=name,
            )
            for name in ("jpeg", "gray_jpeg")
            for channels in (0, 1, 3)
        ),
        Case(
            "DecodeAndCropJpeg",
            [scalar(files["jpeg"]), np.array([3, 5, 20, 25], "i4")],
            {"dct_method": "INTEGER_ACCURATE"},
            traced=(),
        ),
        Case(
            "DecodeAndCropJpeg",
            [scalar(files["jpeg"]), np.array([3, 5, 90, 9], "i4")],
            traced=(),
            fails=True,
        ),
        Case("DecodeBmp", [scalar(files["bmp"])], traced=()),
        Case("DecodeGif", [scalar(files["gif"])], traced=()),
        Case("DecodeImage", [scalar(files["gif"])], {"expand_animations": False}, traced=()),
        Case("ExtractJpegShape", [scalar(files["jpeg"])], traced=()),
        Case("DecodeImage", [scalar(b"no picture")], traced=(), fails=True),
        Case("DecodePng", [scalar(files["png3"][:60])], traced=(), fails=True),
    ]
    return listed


def test_pictures(oracle: Oracle) -> None:
    pytest.importorskip("PIL", reason="Pillow is an optional extra")
    files = {**oracle.python(ENCODE), "bmp": bitmap(), "gif": animation()}
    for case, answer in answers(oracle, cases(files)).values():
        check(case, answer)


def test_what_to_install_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(UnsupportedError, match=r"hozon\[image\]"):
        kernel("DecodePng")(scalar(b""))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_there_and_back(channels: int) -> None:
    pytest.importorskip("PIL", reason="Pillow is an optional extra")
    pictures = np.random.default_rng(1).integers(0, 255, (2, 5, 4, channels)).astype("u1")
    encoded = kernel("EncodePng", T=4)(pictures)
    assert encoded.shape == (2,)
    for data, picture in zip(encoded, pictures, strict=True):
        np.testing.assert_array_equal(kernel("DecodePng")(scalar(data)), picture)
