"""Keras 3's operations (``x + y``, ``keras.ops.mean(x)``) as Keras 2's layers around TensorFlow's.

Keras 2 wrote a TensorFlow function in a graph as a TFOpLambda with the function's public name, its
first argument as the layer's input and all others as kwargs of the call
(tf_keras/src/layers/core/tf_op_layer.py); ``x[...]`` as a SlicingOpLambda.

Keras 3 promotes types where TensorFlow refuses to mix them, so a row says of what types it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hozon.config.nodes import Renumber, key_of
from hozon.config.to_keras2_nodes import named_call, sequence, written_call
from hozon.errors import UnsupportedError
from hozon.typing import ConfigEntry

Config = dict[str, Any]
GETITEM = "__operators__.getitem"
WHOLE_AXIS = {"class_name": "__slice__", "config": {"start": None, "stop": None, "step": None}}


@dataclass(frozen=True, slots=True)
class Tensors:
    """The tensor arguments of a call, in order: shapes and dtypes; None for other values."""

    shapes: Sequence[Any]
    dtypes: Sequence[Any]

    @property
    def rank(self) -> int:
        """Axes of the first one."""
        return len(self.shapes[0])


Adapt = Callable[[Config, Tensors], Config]


@dataclass(frozen=True, slots=True)
class Op:
    """One row.

    Attributes:
        function: TensorFlow's, by its name below ``tf.``.
        inputs: TensorFlow's names of the arguments after the first, in Keras' order.
        adapt: gives TensorFlow's arguments for the operation's config.
        floats: whether it holds of floating-point tensors only.
    """

    function: str
    inputs: tuple[str, ...] = ()
    adapt: Adapt = field(default=lambda config, tensors: {})
    floats: bool = False


class NoFunctionError(Exception):
    """An argument has no counterpart in TensorFlow's function."""


def written_operation(entry: ConfigEntry, renumber: Renumber) -> tuple[Config, list[Any]]:
    """Layer entry and calls for an operation's node.

    Raises UnsupportedError where no TensorFlow function does the same.
    """
    name, operation = str(entry["name"]), str(entry["class_name"])
    try:
        return _written(entry, operation, name, renumber)
    except NoFunctionError as error:
        raise UnsupportedError(
            f"operation {name!r}: keras.ops' {operation} is no single TensorFlow function"
            + (f" with {error}" if str(error) else ""),
            feature=f"keras.ops {operation}",
            record=name,
            instead="a layer of your own around it",
        ) from error


def _written(
    entry: ConfigEntry, operation: str, name: str, renumber: Renumber
) -> tuple[Config, list[Any]]:
    given = entry.get("config") or {}
    calls = entry.get("inbound_nodes") or []
    if operation == "GetItem":
        made = _layer("SlicingOpLambda", name, GETITEM)
        return made, [_sliced(call, name, renumber) for call in calls]
    if operation not in OPERATIONS:
        raise NoFunctionError
    op = OPERATIONS[operation]
    written = [_call(op, call, given, name, renumber) for call in calls]
    return _layer("TFOpLambda", name, op.function), written


def _layer(class_name: str, name: str, function: str) -> Config:
    return {
        "class_name": class_name,
        "config": {"name": name, "trainable": True, "dtype": "float32", "function": function},
    }


def _call(op: Op, call: Any, given: Config, name: str, renumber: Renumber) -> Any:
    named = named_call(call, ("", *op.inputs), name)
    kwargs = {key: value for key, value in named["kwargs"].items() if value is not None}
    if not named["args"] or not kwargs.keys() <= set(op.inputs):
        raise NoFunctionError(f"{sorted(kwargs)}")
    values = [*(sequence(named["args"][0]) or named["args"]), *kwargs.values()]
    tensors = _tensors(values)
    _checked(op, values, tensors)
    kwargs.update(op.adapt(given, tensors))
    return written_call({"args": named["args"], "kwargs": kwargs}, renumber, structured=True)


def _sliced(call: Any, name: str, renumber: Renumber) -> Any:
    named = named_call(call, ("x", "slice_spec"), name)
    (tensor,) = _tensors(named["args"]).shapes
    named["kwargs"]["slice_spec"] = _without_ellipsis(named["kwargs"]["slice_spec"], len(tensor))
    return written_call(named, renumber, structured=True)


def _without_ellipsis(spec: Any, rank: int) -> Any:
    """An index with whole axes for an ellipsis, which Keras 2 does not read everywhere."""
    items = sequence(spec)
    if items is None:
        items = [spec] if _is_ellipsis(spec) else None
    if items is None or not any(map(_is_ellipsis, items)):
        return spec
    place = next(i for i, item in enumerate(items) if _is_ellipsis(item))
    taken = sum(item is not None for item in items) - 1
    return [*items[:place], *[WHOLE_AXIS] * (rank - taken), *items[place + 1 :]]


def _is_ellipsis(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") == "__ellipsis__"


def _tensors(values: Sequence[Any]) -> Tensors:
    found = [
        value["config"]
        for value in values
        if isinstance(value, Mapping) and key_of(value) is not None
    ]
    return Tensors([f.get("shape") for f in found], [f.get("dtype") for f in found])


def _checked(op: Op, values: Sequence[Any], tensors: Tensors) -> None:
    """TensorFlow takes tensors of one type, and constants that fit it."""
    dtypes = [dtype for dtype in tensors.dtypes if dtype is not None]
    mixing = op.function not in UNLIKE
    if mixing and len(set(dtypes)) > 1:
        raise NoFunctionError(f"tensors of {', '.join(sorted(set(dtypes)))}")
    whole = [dtype for dtype in dtypes if not str(dtype).startswith(("float", "bfloat"))]
    if op.floats and whole:
        raise NoFunctionError(f"{whole[0]} tensors")
    if mixing and whole and any(isinstance(value, float) for value in values):
        raise NoFunctionError(f"{whole[0]} tensors and a float")


# What the rows are made of


def keys(**names: str) -> Adapt:
    """TensorFlow's argument names by Keras'; lists and plain values as they are."""

    def adapt(config: Config, tensors: Tensors) -> Config:
        return {tf: _plain(config[key]) for key, tf in names.items() if config.get(key) is not None}

    return adapt


def only(adapt: Adapt, **neutral: Any) -> Adapt:
    """A row that holds for these values of some arguments only."""

    def checked(config: Config, tensors: Tensors) -> Config:
        for key, value in neutral.items():
            if key in config and config[key] is not None and _plain(config[key]) != value:
                raise NoFunctionError(f"{key}={config[key]!r}")
        return adapt(config, tensors)

    return checked


def always(adapt: Adapt, **fixed: Any) -> Adapt:
    """A row with values where Keras' config says nothing."""
    return lambda config, tensors: {**fixed, **adapt(config, tensors)}


def _plain(value: Any) -> Any:
    items = sequence(value)
    return value if items is None else [_plain(item) for item in items]


def _needs(config: Config, key: str) -> Any:
    if config.get(key) is None:
        raise NoFunctionError(f"{key}=None")
    return _plain(config[key])


def index(config: Config, tensors: Tensors) -> Config:
    """``argmax``, ``argmin``: over one axis, which TensorFlow drops."""
    if config.get("keepdims"):
        raise NoFunctionError("keepdims=True")
    return {"axis": _needs(config, "axis"), "output_type": "int32"}


def swapped_axes(config: Config, tensors: Tensors) -> Config:
    """``swapaxes`` as a permutation."""
    order = list(range(tensors.rank))
    a, b = int(config["axis1"]), int(config["axis2"])
    order[a], order[b] = order[b], order[a]
    return {"perm": order}


def moved_axes(config: Config, tensors: Tensors) -> Config:
    """``moveaxis`` as a permutation."""
    rank = tensors.rank
    source = [axis % rank for axis in _listed(config["source"])]
    target = [axis % rank for axis in _listed(config["destination"])]
    order = [axis for axis in range(rank) if axis not in source]
    for place, axis in sorted(zip(target, source, strict=True)):
        order.insert(place, axis)
    return {"perm": order}


def _listed(value: Any) -> list[Any]:
    items = _plain(value)
    return items if isinstance(items, list) else [items]


def flipped(config: Config, tensors: Tensors) -> Config:
    """``flip``: over all axes where none is given."""
    axis = config.get("axis")
    return {"axis": list(range(tensors.rank)) if axis is None else _listed(axis)}


def parts(config: Config, tensors: Tensors) -> Config:
    """``split``: Keras gives the places of the cuts, TensorFlow takes the sizes of the parts."""
    axis, cuts = int(config.get("axis", 0)), _plain(config["indices_or_sections"])
    if isinstance(cuts, int):
        return {"num_or_size_splits": cuts, "axis": axis}
    size = tensors.shapes[0][axis]
    if size is None:
        raise NoFunctionError("cuts of an axis of unknown size")
    ends = [0, *cuts, size]
    sizes = [b - a for a, b in zip(ends, ends[1:], strict=False)]
    return {"num_or_size_splits": sizes, "axis": axis}


def tiled(config: Config, tensors: Tensors) -> Config:
    """``tile``: one repeat for each axis."""
    repeats = _listed(config["repeats"])
    if len(repeats) > tensors.rank:
        raise NoFunctionError(f"repeats={repeats}")
    return {"multiples": [1] * (tensors.rank - len(repeats)) + repeats}


def padded(config: Config, tensors: Tensors) -> Config:
    """``pad``: a pair for each axis."""
    width = _plain(config["pad_width"])
    mode = str(config.get("mode", "constant")).upper()
    if mode not in ("CONSTANT", "REFLECT", "SYMMETRIC"):
        raise NoFunctionError(f"mode={mode.lower()!r}")
    if isinstance(width, int):
        width = [width, width]
    if not isinstance(width[0], list):
        width = [width] * tensors.rank
    width = width * tensors.rank if len(width) == 1 else width
    return {"paddings": width, "mode": mode}


def matrices(config: Config, tensors: Tensors) -> Config:
    """``matmul`` of stacks of matrices."""
    if any(len(shape) < 2 for shape in tensors.shapes):
        raise NoFunctionError("a vector")
    return {}


def resized(config: Config, tensors: Tensors) -> Config:
    """``image.resize`` of channels-last pictures."""
    if config.get("data_format") not in (None, "channels_last"):
        raise NoFunctionError(f"data_format={config['data_format']!r}")
    for key in ("crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        if config.get(key):
            raise NoFunctionError(f"{key}=True")
    return {
        "size": _plain(config["size"]),
        "method": config.get("interpolation", "bilinear"),
        "antialias": bool(config.get("antialias")),
    }


def unary(function: str, *, floats: bool = True) -> Op:
    """``f(x)``."""
    return Op(function, floats=floats)


def binary(function: str, *, floats: bool = False) -> Op:
    """``f(x, y)``."""
    return Op(function, ("y",), floats=floats)


def reduction(function: str, *, floats: bool = False) -> Op:
    """``f(x, axis, keepdims)``."""
    return Op(
        function, (), only(keys(axis="axis", keepdims="keepdims"), initial=None, dtype=None), floats
    )


#: Functions whose tensors may be of several types.
UNLIKE = frozenset(
    {
        "where",
        "gather",
        "math.unsorted_segment_sum",
        "math.unsorted_segment_max",
        "math.unsorted_segment_min",
        "math.unsorted_segment_prod",
    }
)
UNARY: Mapping[str, Op] = {
    **{
        name: unary(f"math.{function}")
        for name, function in {
            "Sqrt": "sqrt",
            "Rsqrt": "rsqrt",
            "Exp": "exp",
            "Expm1": "expm1",
            "Log": "log",
            "Log1p": "log1p",
            "Sin": "sin",
            "Cos": "cos",
            "Tan": "tan",
            "Arcsin": "asin",
            "Arccos": "acos",
            "Arctan": "atan",
            "Sinh": "sinh",
            "Cosh": "cosh",
            "Arcsinh": "asinh",
            "Arccosh": "acosh",
            "Arctanh": "atanh",
            "Tanh": "tanh",
            "Sigmoid": "sigmoid",
            "Floor": "floor",
            "Ceil": "ceil",
            "Erf": "erf",
            "Erfinv": "erfinv",
            "Reciprocal": "reciprocal",
            "Isnan": "is_nan",
            "Isinf": "is_inf",
            "Isfinite": "is_finite",
            "LogSigmoid": "log_sigmoid",
            "Softplus": "softplus",
        }.items()
    },
    **{
        name: unary(f"math.{function}", floats=False)
        for name, function in {
            "Absolute": "abs",
            "Abs": "abs",
            "Negative": "negative",
            "Sign": "sign",
            "Square": "square",
            "LogicalNot": "logical_not",
        }.items()
    },
    **{
        name: unary(f"nn.{function}")
        for name, function in {
            "Relu": "relu",
            "Relu6": "relu6",
            "Selu": "selu",
            "Softsign": "softsign",
            "Silu": "silu",
        }.items()
    },
    "StopGradient": unary("stop_gradient", floats=False),
}
BINARY: Mapping[str, Op] = {
    **{
        name: binary(f"math.{function}")
        for name, function in {
            "Add": "add",
            "Subtract": "subtract",
            "Multiply": "multiply",
            "Maximum": "maximum",
            "Minimum": "minimum",
            "Equal": "equal",
            "NotEqual": "not_equal",
            "Greater": "greater",
            "GreaterEqual": "greater_equal",
            "Less": "less",
            "LessEqual": "less_equal",
            "LogicalAnd": "logical_and",
            "LogicalOr": "logical_or",
            "LogicalXor": "logical_xor",
            "FloorDivide": "floordiv",
            "Mod": "floormod",
            "Power": "pow",
        }.items()
    },
    **{
        name: binary(f"math.{function}", floats=True)
        for name, function in {
            "Divide": "divide",
            "TrueDivide": "truediv",
            "DivideNoNan": "divide_no_nan",
        }.items()
    },
    "Arctan2": Op("math.atan2", ("x",), floats=True),
    "Matmul": Op("linalg.matmul", ("b",), matrices),
    "Tensordot": Op("tensordot", ("b",), keys(axes="axes")),
}
REDUCTIONS: Mapping[str, Op] = {
    **{
        name: reduction(f"math.reduce_{function}")
        for name, function in {
            "Sum": "sum",
            "Max": "max",
            "Min": "min",
            "Amax": "max",
            "Amin": "min",
            "Prod": "prod",
            "All": "all",
            "Any": "any",
        }.items()
    },
    **{
        name: reduction(f"math.reduce_{function}", floats=True)
        for name, function in {
            "Mean": "mean",
            "Std": "std",
            "Var": "variance",
            "Logsumexp": "logsumexp",
        }.items()
    },
    "Argmax": Op("math.argmax", (), index),
    "Argmin": Op("math.argmin", (), index),
    "Cumsum": Op(
        "math.cumsum",
        (),
        lambda c, t: {"axis": _needs(only(keys(axis="axis"), dtype=None)(c, t), "axis")},
    ),
}
SHAPES: Mapping[str, Op] = {
    "Reshape": Op("reshape", (), keys(newshape="shape")),
    "Ravel": Op("reshape", (), lambda config, tensors: {"shape": [-1]}),
    "Transpose": Op("transpose", (), keys(axes="perm")),
    "Swapaxes": Op("transpose", (), swapped_axes),
    "Moveaxis": Op("transpose", (), moved_axes),
    "ExpandDims": Op("expand_dims", (), keys(axis="axis")),
    "Squeeze": Op(
        "squeeze",
        (),
        lambda c, t: {"axis": _listed(c["axis"])} if c.get("axis") is not None else {},
    ),
    "Concatenate": Op("concat", (), always(keys(axis="axis"), axis=-1)),
    "Stack": Op("stack", (), always(keys(axis="axis"), axis=0)),
    "Unstack": Op("unstack", (), keys(num="num", axis="axis")),
    "Split": Op("split", (), parts),
    "Tile": Op("tile", (), tiled),
    "Repeat": Op(
        "repeat", (), lambda c, t: {"repeats": _plain(c["repeats"]), "axis": _needs(c, "axis")}
    ),
    "BroadcastTo": Op("broadcast_to", (), keys(shape="shape")),
    "Flip": Op("reverse", (), flipped),
    "Roll": Op("roll", (), lambda c, t: {"shift": _plain(c["shift"]), "axis": _needs(c, "axis")}),
    "Pad": Op("pad", ("constant_values",), padded),
    "Take": Op("gather", ("indices",), lambda c, t: {"axis": _needs(c, "axis")}),
}
OTHERS: Mapping[str, Op] = {
    "Cast": Op("cast", (), keys(dtype="dtype")),
    "Clip": Op("clip_by_value", (), keys(x_min="clip_value_min", x_max="clip_value_max")),
    "Where": Op("where", ("x", "y")),
    "ZerosLike": Op("zeros_like", (), keys(dtype="dtype")),
    "OnesLike": Op("ones_like", (), keys(dtype="dtype")),
    "OneHot": Op(
        "one_hot",
        (),
        always(
            only(keys(num_classes="depth", axis="axis", dtype="dtype"), sparse=False),
            dtype="float32",
        ),
    ),
    "Elu": Op("nn.elu", (), only(keys(), alpha=1.0), floats=True),
    "LeakyRelu": Op("nn.leaky_relu", (), keys(negative_slope="alpha"), floats=True),
    "Gelu": Op(
        "nn.gelu", (), always(keys(approximate="approximate"), approximate=True), floats=True
    ),
    "Softmax": Op("nn.softmax", (), always(keys(axis="axis"), axis=-1), floats=True),
    "LogSoftmax": Op("nn.log_softmax", (), always(keys(axis="axis"), axis=-1), floats=True),
    "Sort": Op("sort", (), always(keys(axis="axis"), axis=-1)),
    "Argsort": Op("argsort", (), always(keys(axis="axis"), axis=-1, stable=True)),
    "TopK": Op("math.top_k", (), keys(k="k", sorted="sorted")),
    "Moments": Op(
        "nn.moments",
        (),
        only(keys(axes="axes", keepdims="keepdims"), synchronized=False),
        floats=True,
    ),
    "Resize": Op("image.resize", (), resized),
    **{
        f"Segment{kind}": Op(
            f"math.unsorted_segment_{kind.lower()}",
            ("segment_ids",),
            lambda c, t: {"num_segments": _needs(c, "num_segments")},
        )
        for kind in ("Sum", "Max", "Min", "Prod")
    },
}
OPERATIONS: Mapping[str, Op] = {**UNARY, **BINARY, **REDUCTIONS, **SHAPES, **OTHERS}
