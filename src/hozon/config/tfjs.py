"""Configs of TensorFlow.js, whose layers are Keras 2's with fewer classes and arguments.

What it reads of a Python config, and which names it uses in its own: tfjs-layers/src/utils/
serialization_utils.ts, tfjs-layers/src/layers, tfjs-core/src/optimizers (4.22).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hozon.errors import UnsupportedError
from hozon.typing import Config, ConfigEntry

#: The backend that files made by TensorFlow.js itself name.
BACKEND = "tensor_flow.js"
#: Layers and models that TensorFlow.js has; its CenterCrop and Resizing lose the batch's axis.
_LAYERS = """
InputLayer Model Functional Sequential
ReLU LeakyReLU PReLU ELU ThresholdedReLU Softmax
Conv1D Conv2D Conv3D Conv2DTranspose Conv3DTranspose SeparableConv2D DepthwiseConv2D
Cropping2D UpSampling2D ZeroPadding2D
RNN SimpleRNNCell SimpleRNN GRUCell GRU LSTMCell LSTM ConvLSTM2DCell ConvLSTM2D
Dropout SpatialDropout1D GaussianNoise GaussianDropout AlphaDropout
Dense Flatten Activation RepeatVector Reshape Permute Masking Embedding
Add Multiply Average Maximum Minimum Concatenate Dot
BatchNormalization LayerNormalization
MaxPooling1D AveragePooling1D MaxPooling2D AveragePooling2D MaxPooling3D AveragePooling3D
GlobalAveragePooling1D GlobalMaxPooling1D GlobalAveragePooling2D GlobalMaxPooling2D
TimeDistributed Bidirectional Rescaling CategoryEncoding
"""
#: Initializers, constraints and regularizers that it has.
_OBJECTS = """
Zeros Ones Constant RandomUniform RandomNormal TruncatedNormal Identity VarianceScaling Orthogonal
GlorotUniform GlorotNormal HeNormal HeUniform LeCunNormal LeCunUniform
MaxNorm UnitNorm NonNeg MinMaxNorm L1L2
"""
CLASSES = frozenset(f"{_LAYERS} {_OBJECTS}".split())
#: Classes that it has under another name, and arguments that then are to be given.
RENAMED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "LecunNormal": ("LeCunNormal", {}),
    "LecunUniform": ("LeCunUniform", {}),
    "L1": ("L1L2", {"l2": 0.0}),
    "L2": ("L1L2", {"l1": 0.0}),
}
OF_KERAS = {"LeCunNormal": "LecunNormal", "LeCunUniform": "LecunUniform"}
#: Types of layers.
DTYPES = ("float32", "int32", "bool", "complex64", "string")
#: Functions that it has, by Keras 2's names; the values are its own.
ACTIVATIONS: Mapping[str, str] = {
    **{
        name: name
        for name in ["elu", "selu", "relu", "relu6", "linear", "sigmoid", "softplus", "softsign"]
    },
    **{name: name for name in ["tanh", "softmax", "gelu", "swish", "mish"]},
    "hard_sigmoid": "hard_sigmoid",
    "log_softmax": "log_softmax",
    "silu": "swish",
}
FUNCTIONS = ("activation", "recurrent_activation")
#: Arguments of its layers that it refuses or does otherwise: the values that it can.
ONLY: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "GRU": {"reset_after": (False,)},
    "GRUCell": {"reset_after": (False,)},
    "Conv1D": {"padding": ("valid", "same")},
    "Conv2DTranspose": {"output_padding": (None,)},
    "Conv3DTranspose": {"output_padding": (None,)},
}
#: Its names of weights, where Hozon's are others.
WEIGHTS: Mapping[str, Mapping[str, str]] = {"DepthwiseConv2D": {"kernel": "depthwise_kernel"}}
#: What its layers do where a config of its own does not say it.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "GRU": {"reset_after": False},
    "GRUCell": {"reset_after": False},
}
#: Arguments of optimizers under the names that Keras 2 has for them.
ARGUMENTS: Mapping[str, str] = {"beta1": "beta_1", "beta2": "beta_2", "use_nesterov": "nesterov"}
#: RMSProp calls the average's rate as Keras 2 calls something else.
RMSPROP = {"decay": "rho"}


def from_tfjs(config: ConfigEntry, backend: str) -> Mapping[str, Any]:
    """A model's config in Keras 2's dialect; that of a file which Python wrote is nearly so."""
    made: Mapping[str, Any] = _completed(config, DEFAULTS if backend == BACKEND else {})
    return made


def _completed(value: Any, defaults: Mapping[str, Mapping[str, Any]]) -> Any:
    if isinstance(value, list):
        return [_completed(item, defaults) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _completed(item, defaults) for key, item in value.items()}
    kind = made.get("class_name")
    if isinstance(kind, str) and isinstance(made.get("config"), dict):
        made["class_name"] = OF_KERAS.get(kind, kind)
        made["config"] = {**defaults.get(kind, {}), **made["config"]}
    return made


def training_from_tfjs(training: ConfigEntry) -> ConfigEntry:
    """What TensorFlow.js says of a compiled model, as Keras 2 says it."""
    optimizer = training.get("optimizer_config")
    if not isinstance(optimizer, dict) or not isinstance(optimizer.get("config"), dict):
        return training
    name = str(optimizer.get("class_name"))
    renamed = ARGUMENTS if name != "RMSProp" else {**ARGUMENTS, **RMSPROP}
    plain = {_snake(key): value for key, value in optimizer["config"].items()}
    arguments = {renamed.get(key, key): value for key, value in plain.items()}
    name = {"Momentum": "SGD", "RMSProp": "RMSprop"}.get(name, name)
    return {**training, "optimizer_config": {"class_name": name, "config": arguments}}


def slot_scale(training: ConfigEntry | None) -> float | None:
    """What makes Keras' slots of those of TensorFlow.js, where they differ.

    Its momentum accumulates gradients, and Keras' SGD what they change: ``-learning_rate`` times
    as much.
    """
    optimizer = (training or {}).get("optimizer_config") or {}
    rate = (optimizer.get("config") or {}).get("learningRate")
    if optimizer.get("class_name") != "Momentum" or not isinstance(rate, int | float):
        return None
    return -float(rate)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def to_tfjs(config: ConfigEntry) -> dict[str, Any]:
    """A model's config in Keras 2's dialect as TensorFlow.js reads it.

    Raises:
        UnsupportedError: TensorFlow.js lacks a class, a function or an argument of it.
    """
    made: Config = _written(config, "the model")
    return made


def weight_names(config: ConfigEntry, names: Iterable[str]) -> Iterator[str]:
    """The names of weights, ``dense/kernel:0``, as TensorFlow.js has them."""
    own = {layer: WEIGHTS[kind] for kind, layer in _layers(config) if kind in WEIGHTS}
    for name in names:
        owner, _, last = name.rpartition(":")[0].rpartition("/")
        yield f"{owner}/{own.get(owner.rpartition('/')[2], {}).get(last, last)}"


def _written(value: Any, where: str) -> Any:
    """A part of a config, in what `where` names."""
    if isinstance(value, list | tuple):
        return [_written(item, where) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "class_name" not in value or not isinstance(value.get("config"), Mapping):
        return {key: _written(item, where) for key, item in value.items()}
    kind, given = RENAMED.get(str(value["class_name"]), (str(value["class_name"]), {}))
    arguments = {**value["config"], **given}
    where = f"layer {arguments['name']!r}" if "name" in arguments else where
    if kind not in CLASSES or value.get("registered_name") not in (None, value["class_name"]):
        raise _unsupported(f"{where} needs a {kind}", kind)
    for argument, values in ONLY.get(kind, {}).items():
        if arguments.get(argument, values[0]) not in values:
            raise _unsupported(
                f"{where} has {argument}={arguments[argument]!r}",
                f"{kind}({argument}={arguments[argument]!r})",
            )
    if isinstance(arguments.get("dtype"), str) and arguments["dtype"] not in DTYPES:
        raise _unsupported(f"{where} has dtype={arguments['dtype']!r}", arguments["dtype"])
    for argument in FUNCTIONS:
        function = arguments.get(argument)
        if isinstance(function, str):
            if function not in ACTIVATIONS:
                raise _unsupported(f"{where} has {argument}={function!r}", function)
            arguments[argument] = ACTIVATIONS[function]
    config = {key: _written(item, where) for key, item in arguments.items()}
    return {**value, "class_name": kind, "config": config}


def _layers(value: Any) -> Iterator[tuple[str, str]]:
    """Class and name of everything in a config that has a name."""
    if isinstance(value, list):
        for item in value:
            yield from _layers(item)
    elif isinstance(value, Mapping):
        inner = value.get("config")
        if "class_name" in value and isinstance(inner, Mapping) and "name" in inner:
            yield str(value["class_name"]), str(inner["name"])
        for item in value.values():
            yield from _layers(item)


def _unsupported(message: str, feature: str) -> UnsupportedError:
    return UnsupportedError(
        f"{message}, which TensorFlow.js does not have",
        feature=f"{feature} in a TensorFlow.js layers model",
        instead="format='savedmodel', and tensorflowjs_converter makes a graph model of it",
    )
