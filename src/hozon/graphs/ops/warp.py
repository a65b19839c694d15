"""Images sampled at computed places: crops, projective transforms, scaling by filters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from hozon.errors import MismatchError
from hozon.graphs.ops.image import SIZE, Array, product
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value, is_traced, static, static_shape

WARP = OpTable("warp")


def _half_away(x: Value) -> Value:
    """Rounded as C's ``round``: halves go away from zero."""
    return jnp.trunc(x + jnp.where(x < 0, -0.5, 0.5).astype(x.dtype))


def _places(first: Value, last: Value, length: int, count: int) -> Value:
    """`count` coordinates of an axis of `length` pixels between two of its fractions."""
    if count == 1:
        return (0.5 * (first + last) * (length - 1))[:, None]
    step = (last - first) * (length - 1) / (count - 1)
    return (first * (length - 1))[:, None] + jnp.arange(count, dtype=first.dtype) * step[:, None]


@WARP.op("CropAndResize")
def crop_and_resize(node: NodeView) -> Kernel:
    """Boxes (top, left, bottom, right as fractions) of images, float32 (crop_and_resize_op.cc)."""
    method, outside = _method(node), float(node.attr("extrapolation_value"))

    def kernel(images: Value, boxes: Value, owners: Value, size: Value) -> Value:
        height, width = static_shape(size, SIZE)
        _check_owners(node, owners, images.shape[0])
        return _crops(method, outside, images, boxes, owners, height, width)

    return kernel


def _method(node: NodeView) -> str:
    method = node.text("method")
    if method not in ("bilinear", "nearest"):
        raise node.refuse(f"method {method!r}")
    return method


def _crops(
    method: str, outside: float, images: Value, boxes: Value, owners: Value, height: int, width: int
) -> Value:
    boxes = jnp.asarray(boxes, jnp.float32)
    rows = _places(boxes[:, 0], boxes[:, 2], images.shape[1], height)
    columns = _places(boxes[:, 1], boxes[:, 3], images.shape[2], width)
    down, across = _within(rows, images.shape[1]), _within(columns, images.shape[2])
    inside = down[:, :, None] & across[:, None, :]
    read = _reader(jnp.asarray(images).astype(jnp.float32), jnp.asarray(owners))
    crops = _sampled(method, read, rows, columns)
    return jnp.where(inside[..., None], crops, jnp.float32(outside))


@WARP.op("CropAndResizeGradImage")
def crop_and_resize_image_gradient(node: NodeView) -> Kernel:
    method, dtype = _method(node), node.dtype("T").numpy

    def kernel(gradients: Value, boxes: Value, owners: Value, size: Value) -> Value:
        _, height, width, _ = gradients.shape
        shape = static_shape(size, SIZE)
        _check_owners(node, owners, shape[0])

        def crops(images: Value) -> Value:
            return _crops(method, 0.0, images, boxes, owners, height, width)

        _, pull = jax.vjp(crops, jnp.zeros(shape, jnp.float32))
        return pull(jnp.asarray(gradients))[0].astype(dtype)

    return kernel


@WARP.op("CropAndResizeGradBoxes")
def crop_and_resize_boxes_gradient(node: NodeView) -> Kernel:
    method = _method(node)

    def kernel(gradients: Value, images: Value, boxes: Value, owners: Value) -> Value:
        _, height, width, _ = gradients.shape
        _check_owners(node, owners, images.shape[0])

        def crops(boxes: Value) -> Value:
            return _crops(method, 0.0, images, boxes, owners, height, width)

        _, pull = jax.vjp(crops, jnp.asarray(boxes))
        return pull(jnp.asarray(gradients))[0]

    return kernel


def _check_owners(node: NodeView, owners: Value, batch: int) -> None:
    if is_traced(owners):
        return
    known = np.asarray(owners)
    if known.size and (known.min() < 0 or known.max() >= batch):
        raise MismatchError(f"node {node.name!r}: a box names an image outside of 0..{batch - 1}")


def _within(places: Value, length: int) -> Value:
    return (places >= 0) & (places <= length - 1)


def _reader(images: Value, owners: Value) -> Callable[[Value, Value], Value]:
    """A function of rows (n, h) and columns (n, w) that gives pixels (n, h, w, channels)."""

    def read(rows: Value, columns: Value) -> Value:
        down = jnp.clip(rows, 0, images.shape[1] - 1).astype(int)[:, :, None]
        across = jnp.clip(columns, 0, images.shape[2] - 1).astype(int)[:, None, :]
        return images[owners[:, None, None], down, across]

    return read


def _sampled(
    method: str, read: Callable[[Value, Value], Value], rows: Value, columns: Value
) -> Value:
    if method == "nearest":
        return read(_half_away(rows), _half_away(columns))
    top, left = jnp.floor(rows), jnp.floor(columns)
    bottom, right = jnp.ceil(rows), jnp.ceil(columns)
    across = (columns - left)[:, None, :, None]
    upper = read(top, left) + (read(top, right) - read(top, left)) * across
    lower = read(bottom, left) + (read(bottom, right) - read(bottom, left)) * across
    return upper + (lower - upper) * (rows - top)[:, :, None, None]


def _reflected(at: Value, length: int) -> Value:
    """d c b a | a b c d | d c b a."""
    period = 2 * length
    below = jnp.where(at < period, period * jnp.trunc(-at / period) + at, at)
    below = jnp.where(below < -length, below + period, -below - 1)
    above = at - period * jnp.trunc(at / period)
    above = jnp.where(above >= length, period - above - 1, above)
    return jnp.where(at < 0, below, jnp.where(at > length - 1, above, at))


def _wrapped(at: Value, length: int) -> Value:
    """a b c d | a b c d | a b c d."""
    below = at + length * (jnp.trunc(-at / (length - 1)) + 1)
    above = at - length * jnp.trunc(at / (length - 1))
    return jnp.where(at < 0, below, jnp.where(at > length - 1, above, at))


def _bounded(fold: Callable[[Value, int], Value]) -> Callable[[Value, int], Value]:
    def bounded(at: Value, length: int) -> Value:
        folded = fold(at, length) if length > 1 else jnp.zeros_like(at)
        return jnp.clip(folded, 0, length - 1)

    return bounded


#: Where a coordinate beyond an axis is read (tensorflow/core/kernels/image/image_ops.h).
FILL_MODES: dict[str, Callable[[Value, int], Value]] = {
    "CONSTANT": lambda at, length: at,
    "NEAREST": _bounded(lambda at, length: at),
    "REFLECT": _bounded(_reflected),
    "WRAP": _bounded(_wrapped),
}


@WARP.op("ImageProjectiveTransformV2", "ImageProjectiveTransformV3")
def projective_transform(node: NodeView) -> Kernel:
    """Each output pixel (x, y) shows the input at its image under eight coefficients."""
    method, mode = node.text("interpolation"), node.text("fill_mode")
    if mode not in FILL_MODES or method not in ("NEAREST", "BILINEAR"):
        raise node.refuse(f"interpolation {method!r}, fill_mode {mode!r}")
    fold = FILL_MODES[mode]

    def kernel(images: Value, transforms: Value, size: Value, fill: Value = 0) -> Value:
        height, width = static_shape(size, SIZE)
        return mapped(jnp.asarray(images), jnp.asarray(transforms), height, width, fill)

    @partial(jax.custom_vjp, nondiff_argnums=(2, 3))
    def mapped(images: Value, transforms: Value, height: int, width: int, fill: Value) -> Value:
        return sampled(images, transforms, height, width, fill)

    def forward(images: Value, transforms: Value, height: int, width: int, fill: Value) -> Any:
        return sampled(images, transforms, height, width, fill), (images, transforms, fill)

    def backward(height: int, width: int, kept: Any, cotangent: Value) -> Any:
        """TensorFlow maps the cotangents by the inverse transforms, which is not the adjoint."""
        images, transforms, fill = kept
        rows, columns = images.shape[1:3]
        back = sampled(cotangent, _inverse(transforms), rows, columns, 0)
        return back, jnp.zeros_like(transforms), _no_tangent(fill)

    mapped.defvjp(forward, backward)

    def sampled(images: Value, transforms: Value, height: int, width: int, fill: Value) -> Value:
        across, down, finite = _projected(transforms, height, width)
        across, down = fold(across, images.shape[2]), fold(down, images.shape[1])
        wide = images.astype(jnp.promote_types(images.dtype, jnp.float32))
        filler = jnp.asarray(fill).astype(wide.dtype)
        result = _filtered(method, wide, down, across, filler)
        return jnp.where(finite[..., None], result, filler).astype(images.dtype)

    return kernel


def _inverse(transforms: Value) -> Value:
    """Transforms that undo others; the last of their nine coefficients is 1."""
    ones = jnp.ones((*transforms.shape[:-1], 1), transforms.dtype)
    matrices = jnp.concatenate([transforms, ones], axis=-1).reshape(-1, 3, 3)
    flat = jnp.linalg.inv(matrices).reshape(-1, 9)
    return flat[:, :8] / flat[:, 8:]


def _no_tangent(value: Value) -> Any:
    """What a function gives for an input that has no derivative."""
    if jnp.issubdtype(jnp.asarray(value).dtype, jnp.inexact):
        return jnp.zeros_like(value)
    return np.zeros(np.shape(value), jax.dtypes.float0)


def _projected(transforms: Value, height: int, width: int) -> tuple[Value, Value, Value]:
    """Columns, rows and whether there are any, each of shape (transforms, height, width)."""
    c = transforms.astype(jnp.float32)[:, :, None, None]
    x = jnp.arange(width, dtype=jnp.float32)[None, None, :]
    y = jnp.arange(height, dtype=jnp.float32)[None, :, None]
    depth = c[:, 6] * x + c[:, 7] * y + 1
    safe = jnp.where(depth == 0, 1, depth)
    across = (c[:, 0] * x + c[:, 1] * y + c[:, 2]) / safe
    down = (c[:, 3] * x + c[:, 4] * y + c[:, 5]) / safe
    return across, down, depth != 0


def _filtered(method: str, images: Value, rows: Value, columns: Value, filler: Value) -> Value:
    owners = jnp.arange(images.shape[0])[:, None, None]

    def read(down: Value, across: Value) -> Value:
        inside = _within(down, images.shape[1]) & _within(across, images.shape[2])
        safe_down = jnp.where(inside, down, 0).astype(int)
        safe_across = jnp.where(inside, across, 0).astype(int)
        return jnp.where(inside[..., None], images[owners, safe_down, safe_across], filler)

    if method == "NEAREST":
        return read(_half_away(rows), _half_away(columns))
    top, left = jnp.floor(rows), jnp.floor(columns)
    right_share = (columns - left)[..., None].astype(images.dtype)
    low_share = (rows - top)[..., None].astype(images.dtype)
    upper = (1 - right_share) * read(top, left) + right_share * read(top, left + 1)
    lower = (1 - right_share) * read(top + 1, left) + right_share * read(top + 1, left + 1)
    return (1 - low_share) * upper + low_share * lower


def _lanczos(radius: float) -> tuple[float, Callable[[Array], Array]]:
    def weight(x: Array) -> Array:
        safe = np.where(x <= 1e-3, 1, x) * np.pi
        wave = radius * np.sin(safe) * np.sin(safe / radius) / np.square(safe)
        return np.where(x > radius, 0, np.where(x <= 1e-3, 1, wave))

    return radius, weight


def _keys(x: Array) -> Array:
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x >= 2, 0, np.where(x >= 1, far, (1.5 * x - 2.5) * x * x + 1))


def _mitchell(x: Array) -> Array:
    far = ((-7 / 18 * x + 2) * x - 10 / 3) * x + 16 / 9
    return np.where(x >= 2, 0, np.where(x >= 1, far, (7 / 6 * x - 2) * x * x + 8 / 9))


#: Radius and weight by distance (tensorflow/core/kernels/image/sampling_kernels.h).
FILTERS: dict[str, tuple[float, Callable[[Array], Array]]] = {
    "lanczos1": _lanczos(1.0),
    "lanczos3": _lanczos(3.0),
    "lanczos5": _lanczos(5.0),
    "gaussian": (1.5, lambda x: np.where(x >= 1.5, 0, np.exp(-np.square(x) / 0.5))),
    "box": (0.5, lambda x: np.where(x < 0.5, 1, np.where(x == 0.5, 0.5, 0))),
    "triangle": (1.0, lambda x: np.maximum(1 - x, 0)),
    "keyscubic": (2.0, _keys),
    "mitchellcubic": (2.0, _mitchell),
}


class Sampler:
    """Scaling and shifting one axis as a matrix (tensorflow/core/kernels/image/
    scale_and_translate_op.cc)."""

    def __init__(self, node: NodeView) -> None:
        kind = node.text("kernel_type")
        if kind not in FILTERS:
            raise node.refuse(f"kernel_type {kind!r}")
        self.radius, self.weight = FILTERS[kind]
        self.antialias = bool(node.attr("antialias"))

    def matrix(self, source: int, target: int, scale: Any, shift: Any) -> Array:
        """Weights of shape (target, source)."""
        inverse = np.float32(1) / np.float32(scale)
        width = max(inverse, np.float32(1)) if self.antialias else np.float32(1)
        center = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * inverse
        center -= inverse * np.float32(shift)
        reach = np.float32(self.radius) * width
        first = np.clip(np.ceil(center - reach - 0.5), 0, source - 1)[:, None]
        last = np.clip(np.floor(center + reach - 0.5), 0, source - 1)[:, None]
        pixels = np.arange(source, dtype=np.float32)
        weights = self.weight(np.abs((pixels + 0.5 - center[:, None]) / width))
        weights = np.where((pixels >= first) & (pixels <= last), weights, 0)
        total = weights.sum(1, keepdims=True)
        weights /= np.where(np.abs(total) >= 1000 * np.finfo(np.float32).tiny, total, 1)
        seen = (center >= 0) & (center <= source)
        return np.where(seen[:, None], weights, 0).astype(np.float32)

    def matrices(
        self, sources: tuple[int, int], targets: tuple[int, int], scale: Value, shift: Value
    ) -> list[Array]:
        """The matrices of rows and columns."""
        scales, shifts = static(scale, "the scale"), static(shift, "the translation")
        return [self.matrix(*axis) for axis in zip(sources, targets, scales, shifts, strict=True)]


@WARP.op("ScaleAndTranslate")
def scale_and_translate(node: NodeView) -> Kernel:
    sampler = Sampler(node)

    def kernel(images: Value, size: Value, scale: Value, shift: Value) -> Value:
        height, width = static_shape(size, SIZE)
        sources = (images.shape[1], images.shape[2])
        rows, columns = sampler.matrices(sources, (height, width), scale, shift)
        return product(rows, columns, images.astype(np.float32)).astype(np.float32)

    return kernel


@WARP.op("ScaleAndTranslateGrad")
def scale_and_translate_gradient(node: NodeView) -> Kernel:
    sampler = Sampler(node)

    def kernel(gradients: Value, image: Value, scale: Value, shift: Value) -> Value:
        targets = (gradients.shape[1], gradients.shape[2])
        sources = (image.shape[1], image.shape[2])
        rows, columns = sampler.matrices(sources, targets, scale, shift)
        return product(rows.T, columns.T, gradients).astype(image.dtype)

    return kernel
