"""Calls of every function of `keras.ops`, in groups that take the same arguments.

A call that is a name only takes the arguments as they are. The first size is the batch's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from keras import ops, random

from tests.unit.graphs.emit.harness import floats, integers

F32, I32 = "float32", "int32"
Call = Callable[..., Any]


@dataclass(frozen=True)
class Group:
    """Calls that take arguments of the same sizes, and two sets of values for them."""

    name: str
    specs: Sequence[tuple[tuple[int | None, ...], str]]
    feeds: Sequence[Sequence[Any]]
    calls: Mapping[str, Call]
    constraints: Sequence[str] = ("b >= 1",)
    tolerance: float = 1e-4


def plain(names: str, **fixed: Any) -> dict[str, Call]:
    """Calls of the functions of these names, with keywords that are the same for all."""
    return {name: partial(getattr(ops, name), **fixed) for name in names.split()}


_ONE_REAL = plain(
    "abs absolute angle arcsinh arctan array cbrt ceil conj conjugate copy cos cosh count_nonzero "
    "deg2rad erf erfc exp exp2 expm1 fabs floor i0 imag isfinite isinf isnan isneginf isposinf "
    "isreal log1p logical_not negative nan_to_num ndim rad2deg ravel real reciprocal round "
    "shape sigmoid sign signbit sin sinc sinh size square stop_gradient tan tanh trunc "
    "celu elu gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu "
    "log_sigmoid log_softmax relu relu6 selu silu soft_shrink softmax softplus softsign "
    "sparse_plus sparse_sigmoid sparsemax squareplus swish tanh_shrink normalize "
    "rms_normalization layer_normalization convert_to_tensor "
    "empty_like ones_like zeros_like fliplr flipud transpose"
) | {
    "arccos": lambda x: ops.arccos(x / 5),
    "arcsin": lambda x: ops.arcsin(x / 5),
    "arctanh": lambda x: ops.arctanh(x / 5),
    "arccosh": lambda x: ops.arccosh(ops.abs(x) + 1),
    "erfinv": lambda x: ops.erfinv(x / 5),
    "log": lambda x: ops.log(ops.abs(x)),
    "log10": lambda x: ops.log10(ops.abs(x)),
    "log2": lambda x: ops.log2(ops.abs(x)),
    "logdet": lambda x: ops.logdet(ops.eye(4) * 3 + x[0]),
    "rsqrt": lambda x: ops.rsqrt(ops.abs(x)),
    "sqrt": lambda x: ops.sqrt(ops.abs(x)),
    "gelu_exact": lambda x: ops.gelu(x, approximate=False),
    "glu": lambda x: ops.glu(x),
    "threshold": lambda x: ops.threshold(x, 0.5, -1.0),
    "round_decimals": lambda x: ops.round(x, 1),
    "cast": lambda x: [ops.cast(x, kind) for kind in ("int32", "uint8", "float16", "bool")],
    "saturate_cast": lambda x: ops.saturate_cast(x * 200, "int8"),
    "view": lambda x: ops.view(x, "int32"),
    "clip": lambda x: ops.clip(x, -1, 0.5),
    "full_like": lambda x: ops.full_like(x, 3.0),
    "softmax_axes": lambda x: ops.softmax(x, axis=(0, 1)),
    "polar": lambda x: ops.real(ops.polar(ops.abs(x), x)),
    "diagflat": lambda x: ops.diagflat(x[0]),
    "histogram": lambda x: ops.histogram(ops.ravel(x), bins=5, range=(-2.0, 2.0)),
}

_TWO_REALS = plain(
    "add allclose append arctan2 divide divide_no_nan equal "
    "floor_divide fmax fmin fmod greater greater_equal heaviside hypot isclose isin less "
    "less_equal logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum mod "
    "multiply nextafter not_equal outer subtract true_divide vdot"
) | {
    "average": lambda x, y: ops.average(x, axis=1, weights=ops.abs(y)),
    "power": lambda x, y: (ops.power(ops.abs(x), y), ops.power(x, 2), ops.power(x, 3.0)),
    "correlate": lambda x, y: ops.correlate(x[0], y[0], mode="same"),
    "cdist": lambda x, y: ops.cdist(x, y),
    "inner": lambda x, y: ops.inner(x, y),
    "kron": lambda x, y: ops.kron(x, y[:1]),
    "cross": lambda x, y: ops.cross(x[:, :3], y[:, :3]),
    "dot": lambda x, y: ops.dot(x, ops.transpose(y)),
    "einsum": lambda x, y: ops.einsum("bi,bj->bij", x, y),
    "matmul": lambda x, y: ops.matmul(x, ops.transpose(y)),
    "tensordot": lambda x, y: ops.tensordot(x, y, axes=[[1], [1]]),
    "concatenate": lambda x, y: ops.concatenate([x, y], axis=-1),
    "stack": lambda x, y: ops.stack([x, y], axis=1),
    "hstack": lambda x, y: ops.hstack([x, y]),
    "vstack": lambda x, y: ops.vstack([x, y]),
    "dstack": lambda x, y: ops.dstack([x, y]),
    "where": lambda x, y: ops.where(x > y, x, y),
    "select": lambda x, y: ops.select([x > 1, y > 0], [x, y], 7.0),
    "meshgrid": lambda x, y: ops.meshgrid(x[0], y[0]),
    "trapezoid": lambda x, y: ops.trapezoid(x, y),
    "digitize": lambda x, y: ops.digitize(x, np.array([-1.0, 0.0, 1.0], np.float32)),
    "searchsorted in constants": lambda x, y: ops.searchsorted(
        np.array([-1.0, 0.0, 1.0], np.float32), y[0]
    ),
    "searchsorted from the right": lambda x, y: ops.searchsorted(
        np.array([-1.0, 0.0, 1.0], np.float32), y[0], side="right"
    ),
    "searchsorted": lambda x, y: ops.searchsorted(ops.sort(x[0]), y[0]),
    "binary_crossentropy": lambda x, y: (
        ops.binary_crossentropy(ops.sigmoid(x), ops.sigmoid(y)),
        ops.binary_crossentropy(ops.sigmoid(x), y, from_logits=True),
    ),
    "categorical_crossentropy": lambda x, y: (
        ops.categorical_crossentropy(ops.softmax(x), ops.softmax(y)),
        ops.categorical_crossentropy(ops.softmax(x), y, from_logits=True),
    ),
    "psnr": lambda x, y: ops.psnr(x, y, 1.0),
    "batch_normalization": lambda x, y: ops.batch_normalization(x, y[0], y[0] ** 2, -1, y[0], y[0]),
    "view_as_complex": lambda x, y: ops.real(ops.view_as_complex(x[:, :2])),
    "view_as_real": lambda x, y: ops.view_as_real(ops.view_as_complex(x[:, :2])),
    "jvp": lambda x, y: ops.jvp(ops.tanh, (x,), (y,)),
    "linspace": lambda x, y: ops.linspace(x, y, 5, axis=1),
    "logspace": lambda x, y: ops.logspace(x, y, 3),
    "geomspace": lambda x, y: ops.geomspace(ops.abs(x), ops.abs(y), 4),
    "corrcoef": lambda x, y: ops.corrcoef(x[:2]),
}

_INTEGERS = plain(
    "bitwise_and bitwise_or bitwise_xor floor_divide gcd lcm mod maximum minimum add subtract "
    "multiply fmod divide true_divide equal less"
) | {
    "bitwise_invert": lambda x, y: ops.bitwise_invert(x),
    "bitwise_not": lambda x, y: ops.bitwise_not(x),
    "bitwise_left_shift": lambda x, y: ops.bitwise_left_shift(x, ops.abs(y)),
    "bitwise_right_shift": lambda x, y: ops.bitwise_right_shift(x, ops.abs(y)),
    "left_shift": lambda x, y: ops.left_shift(x, 2),
    "right_shift": lambda x, y: ops.right_shift(x, 2),
    "ldexp": lambda x, y: ops.ldexp(ops.cast(x, F32), y),
    "power": lambda x, y: (ops.power(x, 3), ops.power(x, ops.abs(y))),
    "sign": lambda x, y: ops.sign(x),
    "abs": lambda x, y: ops.abs(x),
    "mean": lambda x, y: ops.mean(x, axis=1),
    "sum": lambda x, y: (ops.sum(x), ops.cumsum(x, axis=1), ops.prod(y, axis=1)),
    "one_hot": lambda x, y: (ops.one_hot(x, 10), ops.one_hot(x, 10, axis=1, dtype="bool")),
    "multi_hot": lambda x, y: ops.multi_hot(ops.abs(x), 10),
    "in_top_k": lambda x, y: ops.in_top_k(ops.abs(x[:, 0]) % 4, ops.cast(y, F32), 2),
    "unravel_index": lambda x, y: ops.unravel_index(ops.abs(x), (4, 6)),
    "vander": lambda x, y: ops.vander(x[0], 3),
    "sort": lambda x, y: (ops.sort(x), ops.argsort(x), ops.argmax(x, axis=1)),
    "sparse_categorical_crossentropy": lambda x, y: (
        ops.sparse_categorical_crossentropy(
            ops.abs(x) % 4, ops.softmax(ops.cast(y[:, :, None] * np.ones(4, np.float32), F32))
        ),
        ops.sparse_categorical_crossentropy(
            ops.abs(x[:, :1]) % 4, ops.cast(y, F32), from_logits=True
        ),
    ),
    "take": lambda x, y: (ops.take(y, x % 4, axis=1), ops.take(x, [0, 2], axis=1)),
    "take_along_axis": lambda x, y: ops.take_along_axis(y, ops.abs(x) % 4, axis=1),
    "scatter": lambda x, y: ops.scatter(ops.abs(x[:, :1]), y[:, 0], (10,)),
    "scatter_update": lambda x, y: ops.scatter_update(x, [[0, 1], [0, 2]], y[0, :2]),
    "slice": lambda x, y: ops.slice(x, (0, 1), (1, 2)),
    "slice_update": lambda x, y: ops.slice_update(x, (0, 1), y[:1, :2]),
    "get_item": lambda x, y: (ops.get_item(x, 0), x[:, -1], x[:, ::-1], x[..., None]),
    "segment_sum": lambda x, y: ops.segment_sum(ops.cast(y, F32), ops.abs(x[:, 0]), 10),
    "segment_max": lambda x, y: ops.segment_max(y, ops.abs(x[:, 0]), 10),
    "segment_min": lambda x, y: ops.segment_min(y, ops.abs(x[:, 0]), 10),
    "segment_prod": lambda x, y: ops.segment_prod(y, ops.abs(x[:, 0]), 10),
}

_ALONG = (
    "all any max min amax amin mean sum prod std var logsumexp median argmax argmin nanmax nanmin "
    "nansum nanmean nanprod nanstd nanvar nanargmax nanargmin nanmedian ptp norm"
)
_REDUCTIONS = {
    **{f"{name}": partial(getattr(ops, name), axis=1) for name in _ALONG.split()},
    **{
        f"{name}_kept": partial(getattr(ops, name), axis=-1, keepdims=True)
        for name in ["max", "mean", "sum", "std", "logsumexp", "median", "argmax", "all"]
    },
    **{
        f"{name}_all": getattr(ops, name)
        for name in ["max", "min", "mean", "sum", "prod", "var", "any", "argmax", "logsumexp"]
    },
    "mean_axes": lambda x: ops.mean(x, axis=(0, 2)),
    "norms": lambda x: [ops.norm(x, ord=k, axis=1) for k in (1, 2, np.inf, -np.inf, 0, 3)],
    "matrix_norms": lambda x: [ops.norm(x, ord=k, axis=(1, 2)) for k in ("fro", 1, np.inf)],
    "cumsum": lambda x: (ops.cumsum(x, axis=1), ops.cumsum(x, axis=0)),
    "cumprod": lambda x: ops.cumprod(x, axis=2),
    "nancumsum": lambda x: ops.nancumsum(x, axis=1),
    "nancumprod": lambda x: ops.nancumprod(x, axis=1),
    "diff": lambda x: ops.diff(x, axis=1),
    "quantile": lambda x: ops.quantile(x, 0.3, axis=1),
    "percentile": lambda x: ops.percentile(x, [30.0, 70.0], axis=1),
    "nanquantile": lambda x: ops.nanquantile(x, 0.3, axis=1),
    "nanpercentile": lambda x: ops.nanpercentile(x, 30.0, axis=1),
    "moments": lambda x: ops.moments(x, axes=[1]),
    "sort": lambda x: ops.sort(x, axis=1),
    "argsort": lambda x: ops.argsort(x, axis=2),
    "top_k": lambda x: ops.top_k(x, 2),
    "argpartition": lambda x: ops.sort(ops.argpartition(x, 1, axis=1)[:, :2], axis=1),
}
_SHAPES = {
    "moveaxis": lambda x: ops.moveaxis(x, 1, 0),
    "broadcast_to": lambda x: ops.broadcast_to(x[:1], ops.shape(x)),
    "expand_dims": lambda x: ops.expand_dims(x, (0, 2)),
    "squeeze": lambda x: ops.squeeze(x[:, :1], 1),
    "reshape": lambda x: (ops.reshape(x, (-1, 3)), ops.reshape(x, (ops.shape(x)[0], -1))),
    "rearrange": lambda x: ops.rearrange(x, "b h w -> b (h w)"),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "tile": lambda x: ops.tile(x, (1, 2, 1)),
    "roll": lambda x: (ops.roll(x, 1, axis=1), ops.roll(x, -1, axis=0)),
    "rot90": lambda x: ops.rot90(x, axes=(1, 2)),
    "flip": lambda x: ops.flip(x, axis=1),
    "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "transpose": lambda x: ops.transpose(x, (2, 0, 1)),
    "split": lambda x: (ops.split(x, 2, axis=1), ops.split(x, [1, 3], axis=1)),
    "array_split": lambda x: ops.array_split(x, 3, axis=1),
    "hsplit": lambda x: ops.hsplit(x, 2),
    "dsplit": lambda x: ops.dsplit(x, 3),
    "vsplit": lambda x: ops.vsplit(ops.transpose(x, (1, 0, 2)), 2),
    "unstack": lambda x: ops.unstack(x, axis=1),
    "diag": lambda x: (ops.diag(x[0, 0]), ops.diag(x[0, :3])),
    "diagonal": lambda x: ops.diagonal(x, axis1=1, axis2=2),
    "trace": lambda x: ops.trace(x, axis1=1, axis2=2),
    "tril": lambda x: ops.tril(x),
    "triu": lambda x: ops.triu(x, 1),
    "tri": lambda x: ops.tri(3, 4),
    "eye": lambda x: ops.eye(3, 4, 1),
    "identity": lambda x: ops.identity(3),
    "arange": lambda x: (ops.arange(3), ops.arange(ops.shape(x)[0])),
    "zeros": lambda x: ops.zeros((ops.shape(x)[0], 2)),
    "ones": lambda x: ops.ones((2, 3)),
    "full": lambda x: ops.full((ops.shape(x)[0], 2), 3.0),
    "empty": lambda x: ops.zeros_like(ops.empty((2, 3))),
    "pad": lambda x: [
        ops.pad(x, ((0, 0), (1, 2), (0, 1)), mode=mode)
        for mode in ("constant", "reflect", "symmetric", "edge")
    ],
    "extract_sequences": lambda x: ops.extract_sequences(ops.swapaxes(x, 1, 2), 2, 1),
    "unique": lambda x: ops.unique(x, size=5),
    "vectorize": lambda x: ops.vectorize(lambda a: a * 2)(x),
}


def _is_eigen(x: Any, values: Any, vectors: Any) -> Any:
    return ops.abs(ops.cast(x, "complex64") @ vectors - values[:, None] * vectors) < 1e-3


_MATRICES = {
    **plain("cholesky det inv pinv slogdet logdet matrix_rank"),
    "cholesky_upper": lambda x: ops.cholesky(x, upper=True),
    "cholesky_inverse": lambda x: ops.cholesky_inverse(ops.cholesky(x[0])),
    "solve": lambda x: ops.solve(x, x[..., :1]),
    "solve_triangular": lambda x: ops.solve_triangular(x, x, lower=True),
    "lstsq": lambda x: ops.lstsq(x[0], x[0, :, :1]),
    "lu_factor": lambda x: ops.lu_factor(x[0]),
    # The signs of vectors that span a space are anyone's choice.
    "eigh": lambda x: (ops.eigh(x)[0], ops.abs(ops.eigh(x)[1])),
    "svd": lambda x: [ops.abs(part) for part in ops.svd(x)],
    "qr": lambda x: [ops.abs(part) for part in ops.qr(x)],
    "eig": lambda x: (ops.sort(ops.real(ops.eig(x)[0])), _is_eigen(x, *ops.eig(x))),
    "svd_values": lambda x: ops.svd(x, compute_uv=False),
}

_KERNEL = floats(3, 3, 3, 4)
_POINTS = floats(1, 1, 6, 2)
_PICTURES = {
    "conv": lambda x: [
        ops.conv(x, _KERNEL, strides=s, padding=p)
        for s, p in ((1, "same"), (2, "same"), (2, "valid"))
    ],
    "conv_dilated": lambda x: ops.conv(x, _KERNEL, padding="same", dilation_rate=2),
    "conv_first": lambda x: ops.conv(
        ops.transpose(x, (0, 3, 1, 2)), _KERNEL, data_format="channels_first"
    ),
    "conv_line": lambda x: ops.conv(x[:, 0], _KERNEL[0], padding="same"),
    "conv_transpose": lambda x: [
        ops.conv_transpose(x, np.transpose(_KERNEL, (0, 1, 3, 2)), strides=2, padding=p)
        for p in ("same", "valid")
    ],
    "depthwise_conv": lambda x: ops.depthwise_conv(x, _KERNEL[..., :2], padding="same"),
    "separable_conv": lambda x: ops.separable_conv(x, _KERNEL[..., :2], _POINTS),
    "max_pool": lambda x: ops.max_pool(x, 2, 2, padding="same"),
    "average_pool": lambda x: [ops.average_pool(x, 3, 2, padding=p) for p in ("same", "valid")],
    "adaptive_average_pool": lambda x: ops.adaptive_average_pool(x, 2),
    "adaptive_max_pool": lambda x: ops.adaptive_max_pool(x, 2),
    "depth_to_space": lambda x: ops.depth_to_space(ops.concatenate([x, x, x, x], -1), 2),
    "space_to_depth": lambda x: ops.space_to_depth(x, 2),
    "unfold": lambda x: ops.unfold(ops.transpose(x, (0, 3, 1, 2)), 2),
    "fold": lambda x: ops.fold(ops.reshape(x[:, :4, :4], (-1, 12, 4)), (4, 4), 2, stride=2),
    "image.resize": lambda x: [
        ops.image.resize(x, (5, 12), interpolation=kind)
        for kind in ("nearest", "bilinear", "bicubic", "lanczos3")
    ],
    "image.resize_antialias": lambda x: ops.image.resize(x, (3, 3), antialias=True),
    "image.resize_crop": lambda x: ops.image.resize(x, (4, 6), crop_to_aspect_ratio=True),
    "image.rgb_to_grayscale": lambda x: ops.image.rgb_to_grayscale(x),
    "image.rgb_to_hsv": lambda x: ops.image.rgb_to_hsv(ops.sigmoid(x)),
    "image.hsv_to_rgb": lambda x: ops.image.hsv_to_rgb(ops.sigmoid(x)),
    "image.affine_transform": lambda x: [
        ops.image.affine_transform(
            x[0], np.array([0.9, 0.1, 1.0, -0.1, 1.1, 0.5, 0.0, 0.0], np.float32), fill_mode=mode
        )
        for mode in ("constant", "nearest", "reflect", "wrap")
    ],
    "image.perspective_transform": lambda x: ops.image.perspective_transform(
        x[0],
        np.array([[0, 0], [7, 0], [0, 7], [7, 7]], np.float32),
        np.array([[1, 0], [6, 1], [0, 7], [7, 6]], np.float32),
    ),
    "image.gaussian_blur": lambda x: ops.image.gaussian_blur(x),
    "image.extract_patches": lambda x: ops.image.extract_patches(x, 3, 2, padding="same"),
    "image.extract_patches_3d": lambda x: ops.image.extract_patches_3d(x[:, None], (1, 2, 2)),
    "image.map_coordinates": lambda x: ops.image.map_coordinates(
        x[0, :, :, 0], np.array([[0.5, 1.2], [2.1, 3.3]], np.float32), order=1
    ),
    "image.pad_images": lambda x: ops.image.pad_images(x, 1, 2, 1, 2),
    "image.crop_images": lambda x: ops.image.crop_images(x, 1, 2, 1, 2),
    "image.scale_and_translate": lambda x: ops.image.scale_and_translate(
        x,
        (ops.shape(x)[0], 4, 4, 3),
        np.ones(2, np.float32) * 0.5,
        np.zeros(2, np.float32),
        (1, 2),
        "linear",
    ),
    "image.sobel_edges": lambda x: ops.image.sobel_edges(x),
    "image.ssim": lambda x: ops.image.ssim(x, x * 0.5, filter_size=3),
}
_SIGNALS = {
    "fft": lambda x: ops.fft((x, x * 0.5)),
    "fft2": lambda x: ops.fft2((x[:, None], x[:, None])),
    "ifft2": lambda x: ops.ifft2((x[:, None], x[:, None])),
    "rfft": lambda x: ops.rfft(x),
    "rfft_length": lambda x: ops.rfft(x, 8),
    "irfft": lambda x: ops.irfft((x[:, :9], x[:, :9])),
    "stft": lambda x: ops.stft(x, 8, 4, 8),
    "istft": lambda x: ops.istft(ops.stft(x, 8, 4, 8), 8, 4, 8),
    "ctc_loss": lambda x: ops.ctc_loss(
        ops.ones((ops.shape(x)[0], 2), "int32"),
        ops.reshape(x, (-1, 4, 4)),
        ops.full((ops.shape(x)[0],), 2, "int32"),
        ops.full((ops.shape(x)[0],), 4, "int32"),
    ),
    "ctc_decode": lambda x: ops.ctc_decode(
        ops.reshape(x, (-1, 4, 4)), ops.full((ops.shape(x)[0],), 4, "int32")
    ),
    "dot_product_attention": lambda x: [
        ops.dot_product_attention(*[ops.reshape(x, (-1, 4, 2, 2))] * 3, is_causal=causal)
        for causal in (False, True)
    ],
}
_CORE = {
    "cond": lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: -x),
    "switch": lambda x: ops.switch(1, [lambda y: y, lambda y: y * 2], x),
    "fori_loop": lambda x: ops.fori_loop(0, 3, lambda i, y: y * 0.5 + i, x),
    "while_loop": lambda x: ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), (0, x)),
    "scan": lambda x: ops.scan(lambda c, y: (c + y, c * y), ops.zeros((4,)), x),
    "map": lambda x: ops.map(lambda y: y * 2 + 1, x),
    "associative_scan": lambda x: ops.associative_scan(lambda a, b: a + b, x, axis=1),
    "vectorized_map": lambda x: ops.vectorized_map(lambda y: y * ops.sum(y), x),
    "custom_gradient": lambda x: ops.custom_gradient(lambda y: (y * 2, lambda *a, **k: a))(x),
}


#: Functions of `keras.random`, which draw the same numbers for one seed.
_RANDOM = {
    "random.beta": lambda x: random.beta((3, 2), 0.5, 2.0, seed=1),
    "random.binomial": lambda x: random.binomial((3,), 5.0, 0.4, seed=1),
    "random.categorical": lambda x: random.categorical(x, 3, seed=1),
    "random.dropout": lambda x: random.dropout(x, 0.5, seed=1),
    "random.gamma": lambda x: (random.gamma((3, 2), 0.7, seed=1), random.gamma((2,), 3.0, seed=2)),
    "random.normal": lambda x: random.normal(ops.shape(x), seed=1),
    "random.randint": lambda x: random.randint(ops.shape(x), 0, 9, seed=1),
    "random.shuffle": lambda x: random.shuffle(x[0], seed=1),
    "random.truncated_normal": lambda x: random.truncated_normal(ops.shape(x), seed=1),
    "random.uniform": lambda x: random.uniform(ops.shape(x), seed=1),
}


def _pair(*sizes: int) -> list[list[Any]]:
    return [[floats(2, *sizes)], [floats(5, *sizes)]]


def _positive(count: int) -> Any:
    roots = floats(count, 3, 3)
    return roots @ np.swapaxes(roots, 1, 2) + 2 * np.eye(3, dtype=np.float32)


GROUPS = [
    Group("one real", [((None, 4), F32)], _pair(4), _ONE_REAL),
    Group(
        "two reals",
        [((None, 4), F32)] * 2,
        [[floats(2, 4), floats(2, 4)], [floats(5, 4), floats(5, 4)]],
        _TWO_REALS,
        constraints=("b >= 2",),
    ),
    Group(
        "integers",
        [((None, 4), I32)] * 2,
        [[integers(-9, 10, n, 4), integers(1, 6, n, 4)] for n in (2, 5)],
        _INTEGERS,
    ),
    Group("reductions", [((None, 4, 3), F32)], _pair(4, 3), _REDUCTIONS),
    Group("shapes", [((None, 4, 3), F32)], _pair(4, 3), _SHAPES),
    Group(
        "matrices",
        [((None, 3, 3), F32)],
        [[_positive(2)], [_positive(5)]],
        _MATRICES,
        tolerance=1e-3,
    ),
    Group("pictures", [((None, 8, 8, 3), F32)], _pair(8, 8, 3), _PICTURES),
    Group("signals", [((None, 16), F32)], _pair(16), _SIGNALS),
    Group("random", [((None, 4), F32)], _pair(4), _RANDOM),
    Group("core", [((None, 4), F32)], _pair(4), _CORE),
]

#: Functions that JAX cannot trace, or that compute nothing while a model runs.
NOT_TRACED = {
    "bincount": "the size of the result depends on the values",
    "convert_to_numpy": "leaves JAX",
    "image.elastic_transform": "Python looks at a width, which Keras makes a tensor",
    "nonzero": "the size of the result depends on the values",
    **dict.fromkeys(
        ("bartlett", "blackman", "hamming", "hanning", "kaiser"),
        "Python looks at the size, which Keras makes a tensor",
    ),
    "dtype": "tells a dtype",
    "is_tensor": "tells a type",
}
