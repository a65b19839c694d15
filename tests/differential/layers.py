"""The layers that models are drawn from: what they take, their arguments off the defaults.

Shapes are without the batch. Both dialects share an entry unless `writers` says who has the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.differential.draw import Choice, Draw

Shape = tuple[int, ...]
Args = Mapping[str, Any]
EVERYONE = ("tf_keras", "keras", "hozon", "dropin")
KERAS2 = ("tf_keras",)
KERAS3 = ("keras", "hozon", "dropin")
#: Who has layers that make numbers of text.
READERS = ("tf_keras", "dropin")

ACTIVATIONS = ["relu", "tanh", "sigmoid", "elu", "selu", "softplus", "softsign", "gelu"]
ACTIVATIONS += ["swish", "exponential", "linear", "hard_sigmoid", "softmax"]
YES_NO = [True, False]


def thing(path: str, **args: Any) -> dict[str, Any]:
    """An object of Keras in a spec: ``regularizers.L2``, with its arguments."""
    return {"object": path, "args": args}


def inner(name: str, **args: Any) -> dict[str, Any]:
    """A layer in a spec, as an argument of another one."""
    return {"class": name, "args": args}


INITIALIZERS: list[Any] = [
    "he_normal",
    "lecun_uniform",
    thing("initializers.RandomNormal", stddev=0.5, seed=3),
    thing("initializers.VarianceScaling", scale=0.5, mode="fan_avg", distribution="uniform"),
    thing("initializers.Constant", value=0.25),
    thing("initializers.TruncatedNormal", mean=0.1, stddev=0.3),
    thing("OwnInitializer", scale=0.3),
]
REGULARIZERS: list[Any] = [
    "l2",
    "l1",
    thing("regularizers.L2", l2=0.03),
    thing("regularizers.L1L2", l1=0.01, l2=0.02),
    thing("OwnRegularizer", rate=0.02),
]
CONSTRAINTS: list[Any] = [
    "non_neg",
    thing("constraints.MaxNorm", max_value=0.5, axis=0),
    thing("constraints.UnitNorm", axis=0),
    thing("constraints.MinMaxNorm", min_value=0.2, max_value=0.6, rate=0.5, axis=0),
    thing("OwnConstraint", limit=0.4),
]


def weight_args(*names: str, constraints: bool = True) -> dict[str, Choice]:
    """Initializer, regularizer and constraint of each of these weights."""
    args: dict[str, Choice] = {}
    for name in names:
        args[f"{name}_initializer"] = INITIALIZERS
        args[f"{name}_regularizer"] = REGULARIZERS
        if constraints:
            args[f"{name}_constraint"] = CONSTRAINTS
    return args


@dataclass(frozen=True)
class Kind:
    """One layer: the ranks that it takes, its arguments, what shape it gives.

    `always` are drawn each time, `spare` now and then. `random`: its training call cannot be
    compared. `fits`: which shapes it takes, beside their rank. `takes` and `makes` are "float",
    "ids" (small whole numbers) or "text".
    """

    name: str
    ranks: tuple[int, ...]
    gives: Callable[[Shape, Args], Shape]
    always: Mapping[str, Choice] = field(default_factory=dict)
    spare: Mapping[str, Choice] = field(default_factory=dict)
    writers: tuple[str, ...] = EVERYONE
    random: bool = False
    fits: Callable[[Shape], bool] = lambda shape: True
    masks: bool = False
    takes: str = "float"
    makes: str = "float"
    custom: bool = False

    def draw(self, draw: Draw, writer: str, spare: float = 0.3) -> dict[str, Any]:
        """This layer with arguments for one draw."""
        args = {name: draw.one(choice) for name, choice in self.always.items()}
        for name, choice in self.spare.items():
            if draw.chance(spare):
                args[name] = draw.one(choice)
        return {"class": self.name, "args": for_writer(args, writer)}


def for_writer(args: dict[str, Any], writer: str) -> dict[str, Any]:
    """Arguments without those that only another Keras has (``2:implementation``)."""
    marked = {"2": KERAS2, "3": KERAS3}
    found = {}
    for name, value in args.items():
        mark, _, rest = name.rpartition(":")
        if not mark or writer in marked[mark]:
            found[rest] = value
    return found


def same(shape: Shape, args: Args) -> Shape:
    return shape


def last(name: str) -> Callable[[Shape, Args], Shape]:
    return lambda shape, args: (*shape[:-1], args[name])


def channels_first(args: Args) -> bool:
    return args.get("data_format") == "channels_first"


def _window(size: int, kernel: int, stride: int, dilation: int, padding: str) -> int:
    span = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding != "valid" else (size - span) // stride + 1


def _each(value: Any, rank: int) -> list[int]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * rank


def conv(shape: Shape, args: Args) -> Shape:
    rank = len(shape) - 1
    sizes = zip(
        shape[:-1],
        _each(args.get("kernel_size", args.get("pool_size", 2)), rank),
        _each(args.get("strides") or args.get("pool_size", 1), rank),
        _each(args.get("dilation_rate", 1), rank),
        strict=True,
    )
    padding = args.get("padding", "valid")
    windows = [_window(size, k, s, d, padding) for size, k, s, d in sizes]
    depth = args.get("filters", shape[-1] * args.get("depth_multiplier", 1))
    return (*windows, depth)


def transposed(shape: Shape, args: Args) -> Shape:
    rank = len(shape) - 1
    sizes = zip(
        shape[:-1],
        _each(args["kernel_size"], rank),
        _each(args.get("strides", 1), rank),
        strict=True,
    )
    valid = args.get("padding", "valid") == "valid"
    return (*(n * s + max(k - s, 0) * valid for n, k, s in sizes), args["filters"])


def recurrent(shape: Shape, args: Args) -> Shape:
    units = args["units"]
    return (shape[0], units) if args.get("return_sequences") else (units,)


def pooled(shape: Shape, args: Args) -> Shape:
    return (*(1 for _ in shape[:-1]), shape[-1]) if args.get("keepdims") else (shape[-1],)


def flat(shape: Shape, args: Args) -> Shape:
    size = 1
    for n in shape:
        size *= n
    return (size,)


UNITS = [3]
DENSE = {
    "activation": ACTIVATIONS,
    "use_bias": YES_NO,
    **weight_args("kernel", "bias"),
    "activity_regularizer": REGULARIZERS,
}
CONV = {
    "activation": ACTIVATIONS,
    "use_bias": [False],
    **weight_args("kernel", "bias"),
    "activity_regularizer": REGULARIZERS,
}
RNN = {
    "activation": ["relu", "sigmoid", "softsign"],
    "use_bias": [False],
    "go_backwards": [True],
    "unroll": [True],
    "return_sequences": [True],
    "2:implementation": [1],
    **weight_args("kernel", "recurrent", "bias"),
}
NORM = {
    "epsilon": [0.01, 0.1],
    "center": [False],
    "scale": [False],
    "beta_initializer": INITIALIZERS,
    "gamma_initializer": INITIALIZERS,
    "beta_regularizer": REGULARIZERS,
    "gamma_constraint": ["non_neg"],
}
DEPTHWISE = {
    "activation": ACTIVATIONS,
    "use_bias": [False],
    "depth_multiplier": [2],
    **weight_args("depthwise", "bias"),
}
SEPARABLE = {**DEPTHWISE, **weight_args("pointwise")}
WINDOW = {"padding": ["same"], "strides": [2]}


def several_steps(shape: Shape) -> bool:
    return all(n >= 3 for n in shape[:-1])


KINDS = [
    Kind("Dense", (1, 2, 3), last("units"), {"units": UNITS}, DENSE),
    Kind("Activation", (1, 2, 3), same, {"activation": ACTIVATIONS}),
    Kind(
        "BatchNormalization",
        (1, 2, 3),
        same,
        {},
        {**NORM, "momentum": [0.5, 0.9], "moving_mean_initializer": ["ones"]},
    ),
    Kind("LayerNormalization", (1, 2, 3), same, {}, NORM),
    Kind("GroupNormalization", (2, 3), same, {"groups": [1, -1]}, NORM),
    Kind("UnitNormalization", (1, 2), same),
    Kind("Dropout", (1, 2, 3), same, {"rate": [0.0]}, {"seed": [1]}),
    Kind("Dropout", (1, 2), same, {"rate": [0.4]}, {"seed": [1]}, random=True),
    Kind("GaussianNoise", (1, 2), same, {"stddev": [0.3]}, {}, random=True),
    Kind("GaussianDropout", (1,), same, {"rate": [0.3]}, {"seed": [1]}, random=True),
    Kind("AlphaDropout", (1,), same, {"rate": [0.3]}, {}, random=True),
    Kind("SpatialDropout1D", (2,), same, {"rate": [0.3]}, {}, random=True),
    Kind("ActivityRegularization", (1, 2), same, {}, {"l1": [0.1], "l2": [0.2]}),
    Kind(
        "ReLU",
        (1, 2, 3),
        same,
        {},
        {"max_value": [0.5, 6.0], "negative_slope": [0.1], "threshold": [0.2]},
    ),
    Kind("LeakyReLU", (1, 2), same, {}, {"2:alpha": [0.1], "3:negative_slope": [0.1]}),
    Kind("ELU", (1, 2), same, {}, {"alpha": [0.5]}),
    Kind(
        "PReLU",
        (1, 2, 3),
        same,
        {},
        {"alpha_initializer": INITIALIZERS, "alpha_regularizer": REGULARIZERS},
    ),
    Kind("ThresholdedReLU", (1, 2), same, {"theta": [0.3]}, writers=KERAS2),
    Kind("Softmax", (1, 2), same, {}, {"axis": [1]}),
    Kind("Rescaling", (1, 2, 3), same, {"scale": [0.5, -2.0]}, {"offset": [0.3]}),
    Kind("Flatten", (1, 2, 3), flat),
    Kind("RepeatVector", (1,), lambda shape, args: (args["n"], *shape), {"n": [2, 4]}),
    Kind("Reshape", (1,), lambda shape, args: (1, *shape), {"target_shape": [[1, -1]]}),
    Kind("Reshape", (2,), lambda shape, args: (shape[0] * shape[1],), {"target_shape": [[-1]]}),
    Kind("Permute", (2,), lambda shape, args: (shape[1], shape[0]), {"dims": [[2, 1]]}),
    Kind(
        "Conv1D",
        (2,),
        conv,
        {"filters": [3], "kernel_size": [1, 2, 3]},
        {**CONV, **WINDOW},
        fits=several_steps,
    ),
    Kind(
        "Conv1D",
        (2,),
        conv,
        {"filters": [3], "kernel_size": [2], "padding": ["causal", "same"], "dilation_rate": [2]},
        CONV,
        fits=several_steps,
    ),
    Kind(
        "Conv2D",
        (3,),
        conv,
        {"filters": [4], "kernel_size": [1, 3, [1, 3], [3, 2]]},
        {**CONV, **WINDOW},
        fits=several_steps,
    ),
    Kind(
        "Conv2D",
        (3,),
        conv,
        {"filters": [3], "kernel_size": [2], "dilation_rate": [2], "padding": ["same"]},
        CONV,
        fits=several_steps,
    ),
    Kind(
        "Conv2D",
        (3,),
        conv,
        {"filters": [4], "kernel_size": [3], "groups": [2]},
        CONV,
        fits=lambda shape: several_steps(shape) and shape[-1] % 2 == 0,
    ),
    Kind(
        "DepthwiseConv2D",
        (3,),
        conv,
        {"kernel_size": [2, 3]},
        {**DEPTHWISE, **WINDOW},
        fits=several_steps,
    ),
    Kind(
        "DepthwiseConv1D",
        (2,),
        conv,
        {"kernel_size": [2, 3]},
        {**DEPTHWISE, **WINDOW},
        fits=several_steps,
    ),
    Kind(
        "SeparableConv1D",
        (2,),
        conv,
        {"filters": [3], "kernel_size": [2, 3]},
        {**SEPARABLE, "padding": ["same"], "2:padding": ["causal"]},
        fits=several_steps,
    ),
    Kind(
        "SeparableConv2D",
        (3,),
        conv,
        {"filters": [3], "kernel_size": [2, 3]},
        {**SEPARABLE, **WINDOW},
        fits=several_steps,
    ),
    Kind(
        "Conv1DTranspose",
        (2,),
        transposed,
        {"filters": [3], "kernel_size": [2, 3]},
        {**CONV, **WINDOW},
    ),
    Kind(
        "Conv2DTranspose",
        (3,),
        transposed,
        {"filters": [3], "kernel_size": [2, 3]},
        {**CONV, **WINDOW},
    ),
    Kind(
        "MaxPooling1D",
        (2,),
        conv,
        {"pool_size": [2]},
        {"padding": ["same"], "strides": [1]},
        fits=several_steps,
    ),
    Kind(
        "AveragePooling1D",
        (2,),
        conv,
        {"pool_size": [2]},
        {"padding": ["same"], "strides": [1]},
        fits=several_steps,
    ),
    Kind(
        "MaxPooling2D",
        (3,),
        conv,
        {"pool_size": [2, [1, 2]]},
        {"padding": ["same"], "strides": [1]},
        fits=several_steps,
    ),
    Kind(
        "AveragePooling2D",
        (3,),
        conv,
        {"pool_size": [2]},
        {"padding": ["same"], "strides": [1]},
        fits=several_steps,
    ),
    Kind("GlobalAveragePooling1D", (2,), pooled, {}, {"keepdims": [True]}, masks=True),
    Kind("GlobalMaxPooling1D", (2,), pooled, {}, {"keepdims": [True]}),
    Kind("GlobalAveragePooling2D", (3,), pooled, {}, {"keepdims": [True]}),
    Kind("GlobalMaxPooling2D", (3,), pooled, {}, {"keepdims": [True]}),
    Kind(
        "ZeroPadding1D",
        (2,),
        lambda s, a: (s[0] + sum(a["padding"]), s[1]),
        {"padding": [[1, 2], [0, 1]]},
    ),
    Kind("ZeroPadding2D", (3,), lambda s, a: (s[0] + 2, s[1] + 4, s[2]), {"padding": [[1, 2]]}),
    Kind(
        "Cropping1D",
        (2,),
        lambda s, a: (s[0] - 1, s[1]),
        {"cropping": [[0, 1]]},
        fits=several_steps,
    ),
    Kind(
        "Cropping2D",
        (3,),
        lambda s, a: (s[0] - 1, s[1] - 1, s[2]),
        {"cropping": [[[0, 1], [1, 0]]]},
        fits=several_steps,
    ),
    Kind("UpSampling1D", (2,), lambda s, a: (s[0] * 2, s[1]), {"size": [2]}),
    Kind(
        "UpSampling2D",
        (3,),
        lambda s, a: (s[0] * 2, s[1] * 2, s[2]),
        {"size": [2]},
        {"interpolation": ["bilinear"]},
        fits=lambda shape: shape[0] * shape[1] < 60,
    ),
    Kind(
        "Resizing",
        (3,),
        lambda s, a: (5, 4, s[2]),
        {"height": [5], "width": [4]},
        {"interpolation": ["nearest", "bilinear"]},
    ),
    Kind(
        "CenterCrop",
        (3,),
        lambda s, a: (2, 3, s[2]),
        {"height": [2], "width": [3]},
        fits=several_steps,
    ),
    Kind("SimpleRNN", (2,), recurrent, {"units": UNITS}, RNN, masks=True),
    Kind(
        "LSTM",
        (2,),
        recurrent,
        {"units": UNITS},
        {**RNN, "recurrent_activation": ["relu", "hard_sigmoid"], "unit_forget_bias": [False]},
        masks=True,
    ),
    Kind(
        "GRU",
        (2,),
        recurrent,
        {"units": UNITS},
        {**RNN, "recurrent_activation": ["relu", "hard_sigmoid"], "reset_after": [False]},
        masks=True,
    ),
    Kind(
        "RNN",
        (2,),
        lambda shape, args: (4,),
        {
            "cell": [
                inner("LSTMCell", units=4),
                inner("GRUCell", units=4, reset_after=False),
                inner("SimpleRNNCell", units=4, activation="relu"),
                [inner("GRUCell", units=3), inner("LSTMCell", units=4)],
            ]
        },
        {"go_backwards": [True]},
        masks=True,
    ),
    Kind(
        "Bidirectional",
        (2,),
        lambda shape, args: (6,),
        {"layer": [inner("LSTM", units=3), inner("GRU", units=3, activation="relu")]},
        {"merge_mode": ["concat"]},
        masks=True,
    ),
    Kind(
        "Bidirectional",
        (2,),
        lambda shape, args: (3,),
        {
            "layer": [inner("LSTM", units=3), inner("SimpleRNN", units=3)],
            "merge_mode": ["sum", "mul", "ave"],
        },
        {"backward_layer": [inner("GRU", units=3, go_backwards=True)]},
        masks=True,
    ),
    Kind(
        "TimeDistributed",
        (2,),
        lambda shape, args: (shape[0], 3),
        {
            "layer": [
                inner("Dense", units=3),
                inner("Dense", units=3, activation="tanh", kernel_regularizer="l2"),
            ]
        },
        masks=True,
    ),
    Kind(
        "TimeDistributed",
        (2,),
        same,
        {"layer": [inner("LayerNormalization"), inner("BatchNormalization")]},
    ),
    Kind(
        "ConvLSTM1D",
        (3,),
        lambda s, a: (s[1], 3),
        {"filters": [3], "kernel_size": [3], "padding": ["same"]},
        {"recurrent_activation": ["sigmoid"]},
    ),
    Kind(
        "EinsumDense",
        (2,),
        lambda s, a: (s[0], 3),
        {"equation": ["abc,cd->abd"], "output_shape": [[None, 3]]},
        {"bias_axes": ["d"], "activation": ACTIVATIONS},
    ),
    Kind(
        "SpectralNormalization",
        (1,),
        lambda s, a: (3,),
        {"layer": [inner("Dense", units=3)]},
        {"power_iterations": [2]},
    ),
    Kind(
        "MultiHeadAttention",
        (2,),
        same,
        {"num_heads": [2], "key_dim": [3]},
        {"value_dim": [2], "use_bias": [False], "kernel_regularizer": REGULARIZERS},
    ),
    Kind("Attention", (2,), same, {}, {"use_scale": [True], "score_mode": ["concat"]}, masks=True),
    Kind("AdditiveAttention", (2,), same, {}, {"use_scale": [False]}, masks=True),
    Kind(
        "TimeDistributed",
        (3,),
        lambda s, a: (s[0], s[1], 3),
        {
            "layer": [
                inner("Conv1D", filters=3, kernel_size=2, padding="same"),
                inner("Dense", units=3),
            ]
        },
    ),
    Kind(
        "Bidirectional",
        (2,),
        lambda shape, args: (shape[0], 6),
        {
            "layer": [
                inner("LSTM", units=3, return_sequences=True),
                inner("GRU", units=3, return_sequences=True, reset_after=False),
            ]
        },
        masks=True,
    ),
    Kind(
        "ConvLSTM1D",
        (3,),
        lambda s, a: (s[0], s[1], 3),
        {"filters": [3], "kernel_size": [3], "padding": ["same"], "return_sequences": [True]},
        {"go_backwards": [True]},
    ),
    Kind("Masking", (2,), same, {"mask_value": [0.0]}, masks=True),
    Kind("Normalization", (1, 2), same, {"mean": [0.5], "variance": [2.0]}),
    Kind("Normalization", (1, 2), same, {"adapted": [True]}, {"axis": [-1, None]}),
    Kind(
        "Embedding",
        (1,),
        lambda s, a: (*s, a["output_dim"]),
        {"input_dim": [7], "output_dim": [3, 4]},
        {
            "mask_zero": [True],
            "embeddings_initializer": INITIALIZERS,
            "embeddings_regularizer": REGULARIZERS,
            "embeddings_constraint": ["non_neg"],
        },
        takes="ids",
    ),
    Kind(
        "CategoryEncoding",
        (1,),
        lambda s, a: (7,),
        {"num_tokens": [7], "output_mode": ["multi_hot", "count"]},
        takes="ids",
    ),
]

WORDS = ["apple", "pear", "plum", "fig"]
KINDS += [
    Kind(
        "TextVectorization",
        (1,),
        lambda s, a: (4,),
        {"vocabulary": [WORDS], "output_sequence_length": [4]},
        {"standardize": ["lower", None], "split": ["character"], "ngrams": [2]},
        writers=READERS,
        takes="text",
        makes="ids",
    ),
    Kind(
        "TextVectorization",
        (1,),
        lambda s, a: (7,),
        {"adapted": [True], "max_tokens": [7], "pad_to_max_tokens": [True]}
        | {"output_mode": ["multi_hot", "count", "tf_idf"]},
        writers=READERS,
        takes="text",
    ),
    Kind(
        "StringLookup",
        (1,),
        same,
        {"vocabulary": [WORDS]},
        {"num_oov_indices": [2]},
        writers=READERS,
        takes="text",
        makes="ids",
    ),
    Kind(
        "StringLookup",
        (1,),
        lambda s, a: (5,),
        {"vocabulary": [WORDS], "output_mode": ["multi_hot", "count"]},
        writers=READERS,
        takes="text",
    ),
    Kind(
        "Hashing",
        (1,),
        same,
        {"num_bins": [7]},
        {"salt": [3, [3, 5]], "mask_value": ["fig"]},
        writers=READERS,
        takes="text",
        makes="ids",
    ),
    Kind(
        "IntegerLookup",
        (1,),
        same,
        {"vocabulary": [[2, 5, 3, 6]]},
        {"num_oov_indices": [2]},
        writers=READERS,
        takes="ids",
        makes="ids",
    ),
    Kind(
        "Discretization",
        (1,),
        same,
        {"bin_boundaries": [[-0.5, 0.2, 1.0]]},
        writers=KERAS2,
        makes="ids",
    ),
    Kind(
        "Discretization",
        (1,),
        same,
        {"num_bins": [4], "adapted": [True]},
        {"epsilon": [0.1]},
        writers=KERAS2,
        makes="ids",
    ),
]

KINDS += [
    Kind("Scale", (1, 2, 3), same, {}, {"start": [0.3]}, custom=True),
    Kind("Block", (1, 2), last("units"), {"units": [3]}, custom=True),
    Kind("Stack", (1, 2), lambda s, a: (*s[:-1], 3), {}, {"depth": [1, 3]}, custom=True),
    Kind("Counter", (1, 2), same, custom=True),
    Kind("Tower", (1, 2), lambda s, a: (*s[:-1], 3), {}, {"units": [3]}, custom=True),
    Kind("Raw", (1, 2, 3), same, custom=True),
    Kind("Twin", (1, 2), lambda s, a: (*s[:-1], 3), {"units": [3]}, custom=True),
    Kind("Switch", (1, 2), same, custom=True),
    Kind("Penalty", (1, 2, 3), same, {}, {"rate": [0.5]}, custom=True),
    Kind("Slope", (1, 2, 3), same, custom=True),
    Kind("MaskedMean", (2,), lambda s, a: (s[1],), custom=True, masks=True),
    Kind(
        "Residual",
        (1, 2),
        same,
        {"layer": [inner("LayerNormalization"), inner("Scale"), inner("BatchNormalization")]},
        custom=True,
    ),
    Kind(
        "Holder",
        (1, 2),
        lambda s, a: (*s[:-1], 3),
        {"inner": [inner("Dense", units=3), inner("Dense", units=3, kernel_regularizer="l2")]},
        custom=True,
    ),
    Kind(
        "RNN",
        (2,),
        lambda s, a: (3,),
        {"cell": [inner("Cell"), [inner("Cell"), inner("GRUCell", units=3)]]},
        custom=True,
        masks=True,
    ),
    Kind(
        "Dense",
        (1, 2),
        last("units"),
        {"units": [3], "activation": [{"custom": "halved"}]},
        custom=True,
    ),
]

MERGES = ["Add", "Average", "Maximum", "Minimum", "Multiply", "Concatenate", "Subtract"]
MERGES += ["Gate", "Dot"]
BY_NAME: dict[str, list[Kind]] = {}
for _kind in KINDS:
    BY_NAME.setdefault(_kind.name, []).append(_kind)
