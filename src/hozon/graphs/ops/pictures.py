"""Encoded pictures (JPEG, PNG, BMP, GIF) in memory; Pillow, an optional extra, reads them.

Every ``Decode*`` op reads all formats, as in TensorFlow (tensorflow/core/kernels/image/
decode_image_op.cc). Shapes are (height, width, channels), with an axis of frames before for a GIF.

A JPEG is read with the accurate cosine transform. ``dct_method`` is a hint: TensorFlow's pixels
are the same with ``INTEGER_ACCURATE``, and with its default, the fast one, a few levels off.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from hozon.errors import FormatError, MismatchError, UnsupportedError
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, static_ints

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = OpTable("pictures")
Array = np.ndarray[Any, Any]

FORMATS = ("JPEG", "PNG", "BMP", "GIF")
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
MOST_PIXELS = 1 << 28
GIF_CHANNELS = 3


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise UnsupportedError(
            "encoded pictures are read with Pillow, which is not installed",
            feature="pictures",
            instead="pip install 'hozon[image]'",
        ) from None
    return Image


def _opened(node: NodeView, contents: Value) -> Image:
    """The picture, its header read. Only the formats that TensorFlow reads are tried."""
    library = _pillow()
    data: bytes = np.asarray(contents, object).item()
    try:
        picture: Image = library.open(io.BytesIO(data), formats=FORMATS)
    except (OSError, ValueError, SyntaxError) as error:
        raise FormatError(
            f"node {node.name!r} ({node.op}): no picture that can be read: {error}",
            expected=" or ".join(FORMATS),
            found=data[:8],
        ) from None
    frames = getattr(picture, "n_frames", 1)
    if picture.width * picture.height * frames > MOST_PIXELS:
        raise FormatError(f"node {node.name!r}: a picture of {picture.size}, {frames} frames")
    return picture


def _channels(picture: Image) -> int:
    """How many channels the file itself has."""
    if picture.mode == "P":
        return 4 if "transparency" in picture.info else 3
    if picture.mode in ("1", "L", "I", "I;16"):
        return 1
    return 2 if picture.mode == "LA" else 4 if picture.mode == "RGBA" else 3


def _pixels(node: NodeView, picture: Image, channels: int) -> Array:
    """uint8 of shape (height, width, channels)."""
    count = channels or _channels(picture)
    if picture.format == "JPEG" and count == 1:
        picture.draft("L", picture.size)
    try:
        if picture.mode in ("I", "I;16"):
            gray = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
            picture = _pillow().fromarray(gray)
        array = np.asarray(picture.convert(MODES[count]), np.uint8)
    except (OSError, ValueError, SyntaxError) as error:
        raise FormatError(f"node {node.name!r} ({node.op}): a damaged picture: {error}") from None
    return array.reshape(*array.shape[:2], count)


def _frames(node: NodeView, picture: Image) -> Array:
    """All frames of an animation."""
    frames = []
    for number in range(getattr(picture, "n_frames", 1)):
        picture.seek(number)
        frames.append(_pixels(node, picture, GIF_CHANNELS))
    return np.stack(frames)


def _cast(node: NodeView, array: Array, picture: Image, dtype: np.dtype[Any]) -> Array:
    """Bytes as the numbers of a dtype: 255 becomes the largest, or 1.0."""
    if dtype == np.uint8:
        return array
    if picture.mode in ("I", "I;16"):
        raise node.refuse(f"a picture of 16 bits as {dtype}")
    if dtype == np.uint16:
        return array.astype(np.uint16) * np.uint16(257)
    if dtype == np.float32:
        return array.astype(np.float32) / np.float32(255)
    raise node.refuse(f"pictures as {dtype}")


@PICTURES.op("DecodeImage", "DecodePng", "DecodeJpeg", "DecodeBmp", host=True)
def decode_image(node: NodeView) -> Kernel:
    declared = node.definition.attrs if node.definition is not None else {}
    channels = int(node.attr("channels"))
    dtype = node.dtype("dtype").numpy if "dtype" in declared else np.dtype(np.uint8)
    expand = node.op == "DecodeImage" and bool(node.attr("expand_animations"))
    if "dct_method" in declared:
        node.attr("dct_method")
    if channels not in (0, *MODES):
        raise node.refuse(f"{channels} channels")

    def kernel(contents: Value) -> Value:
        picture = _opened(node, contents)
        if picture.format == "GIF":
            array = _frames(node, picture) if expand else _pixels(node, picture, GIF_CHANNELS)
        else:
            array = _pixels(node, picture, channels)
        return _cast(node, array, picture, dtype)

    return kernel


@PICTURES.op("DecodeAndCropJpeg", host=True)
def decode_and_crop(node: NodeView) -> Kernel:
    """The window (top, left, height, width) of a picture.

    TensorFlow reads no colour beyond the right edge of the window, so its last column can differ.
    """
    channels = int(node.attr("channels"))
    node.attr("dct_method")

    def kernel(contents: Value, window: Value) -> Value:
        picture = _opened(node, contents)
        top, left, height, width = static_ints(window, "the window")
        inside = 0 <= top <= picture.height - height and 0 <= left <= picture.width - width
        if not inside or height < 1 or width < 1:
            raise MismatchError(f"node {node.name!r}: window {window} of {picture.size} pixels")
        return _pixels(node, picture, channels)[top : top + height, left : left + width]

    return kernel


@PICTURES.op("EncodePng", host=True)
def encode_png(node: NodeView) -> Kernel:
    """PNG files that hold the same pixels as TensorFlow's, but other bytes; uint8 only."""
    node.attr("compression")
    if node.dtype("T").numpy != np.uint8:
        raise node.refuse("pictures of 16 bits")

    def encode(pixels: Array) -> bytes:
        if pixels.shape[-1] not in MODES:
            raise MismatchError(f"node {node.name!r}: {pixels.shape[-1]} channels")
        target = io.BytesIO()
        flat = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
        _pillow().fromarray(np.ascontiguousarray(flat)).save(target, "PNG")
        return target.getvalue()

    def kernel(images: Value) -> Value:
        array = np.asarray(images)
        encoded = np.empty(array.shape[:-3], object)
        for place in np.ndindex(encoded.shape):
            encoded[place] = encode(array[place])
        return encoded

    return kernel


@PICTURES.op("DecodeGif", host=True)
def decode_gif(node: NodeView) -> Kernel:
    """All frames, also of a picture of another format, which has one."""
    return lambda contents: _frames(node, _opened(node, contents))


@PICTURES.op("ExtractJpegShape", host=True)
def extract_shape(node: NodeView) -> Kernel:
    dtype = node.dtype("output_type").numpy

    def kernel(contents: Value) -> Value:
        picture = _opened(node, contents)
        return np.asarray([picture.height, picture.width, _channels(picture)], dtype)

    return kernel
