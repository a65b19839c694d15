"""Attacks in configs: each is refused before anything is built, at any depth, by every builder."""

from __future__ import annotations

import base64
import copy
import marshal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest

from hozon.config import safety
from hozon.config.build import build_layer, build_model, unbuildable_layers
from hozon.config.training import compile_arguments
from hozon.errors import FormatError, HozonError, MissingObjectError, UnsafeError
from hozon.keras_private.values import deferred_initializers


def bytecode(path: Path) -> str:
    """Harmless code that would leave a file, were it ever run."""
    code = compile(f"open({str(path)!r}, 'w')", "x", "eval")
    return base64.b64encode(marshal.dumps(code)).decode()


def entry(class_name: str, module: str | None = None, **config: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"class_name": class_name, "config": {"name": "evil", **config}}
    return made if module is None else {"module": module, **made}


def attacks(path: Path) -> dict[str, dict[str, Any]]:
    code = bytecode(path)
    function = {"module": "builtins", "class_name": "function", "config": "eval"}
    return {
        "lambda list": entry("Lambda", function=[code, None, None], function_type="lambda"),
        "lambda dict": entry(
            "Lambda", function={"class_name": "__lambda__", "config": {"code": code}}
        ),
        "lambda module": entry("Lambda", "keras.layers", function=[code, None, None]),
        "lambda typed": entry("Lambda", function=code, function_type="lambda"),
        "activation lambda": entry(
            "Dense", units=1, activation={"class_name": "__lambda__", "config": {"code": code}}
        ),
        "builtins": entry("Dense", units=1, activation=function),
        "os": entry(
            "Dense",
            units=1,
            kernel_initializer={
                "module": "os",
                "class_name": "system",
                "config": {"command": "true"},
            },
        ),
        "gadget": entry(
            "Dense",
            units=1,
            activation={"module": "keras.utils", "class_name": "function", "config": "get_file"},
        ),
        "unlock": {
            "module": "keras.config",
            "class_name": "enable_unsafe_deserialization",
            "config": {},
        },
        "load": entry(
            "Dense",
            units=1,
            activation={"module": "keras.saving", "class_name": "load_model", "config": {}},
        ),
        "torch": entry("TorchModuleWrapper", module="x"),
        "tfsm": entry("TFSMLayer", filepath=str(path)),
        "jax": entry("JaxLayer", call_fn="x"),
        "flax": entry("FlaxLayer", module="x"),
        "hub": entry("KerasLayer", handle="https://example.org/model"),
        "vocabulary path": entry("StringLookup", vocabulary="/etc/passwd"),
        "vocabulary url": entry("TextVectorization", vocabulary="https://example.org/v.txt"),
        "vocabulary up": entry("IntegerLookup", vocabulary="../v.txt"),
        "size": entry("Dense", units=900_000_000),
        "embedding": entry("Embedding", input_dim=10**9, output_dim=8),
    }


def nested(attack: dict[str, Any]) -> list[dict[str, Any]]:
    """The attack itself, in wrappers, and in models of both kinds."""
    sequential = {"class_name": "Sequential", "config": {"name": "s", "layers": [attack]}}
    functional = {
        "class_name": "Functional",
        "config": {
            "name": "f",
            "input_layers": [["x", 0, 0]],
            "output_layers": [["evil", 0, 0]],
            "layers": [
                {
                    "name": "x",
                    "class_name": "InputLayer",
                    "inbound_nodes": [],
                    "config": {"name": "x", "batch_input_shape": [None, 2]},
                },
                {**attack, "name": "evil", "inbound_nodes": [[["x", 0, 0, {}]]]},
            ],
        },
    }
    return [
        attack,
        entry("TimeDistributed", layer=attack),
        entry("Bidirectional", layer=attack),
        sequential,
        functional,
        {"class_name": "Sequential", "config": [attack]},
        {"class_name": "Sequential", "config": {"name": "o", "layers": [sequential]}},
    ]


@pytest.mark.parametrize("name", sorted(attacks(Path("x"))))
@pytest.mark.parametrize("dialect", [None, "keras2", "keras3"])
def test_refused_by_every_builder(name: str, dialect: str | None, tmp_path: Path) -> None:
    victim = tmp_path / "touched"
    for config in nested(attacks(victim)[name]):
        for build in (build_layer, build_model):
            with pytest.raises(UnsafeError):
                build(config, dialect=dialect)
    assert not victim.exists()


def test_lambda_of_the_caller_is_used(tmp_path: Path) -> None:
    config = attacks(tmp_path / "touched")["lambda list"]
    layer = build_layer(config, custom_objects={"evil": lambda x: x + 1})
    assert float(layer(keras.ops.zeros((1,)))[0]) == 1.0
    assert not (tmp_path / "touched").exists()


def test_lambda_layer_by_function_name_needs_the_function() -> None:
    config = entry("Lambda", function="mine", function_type="function", module="__main__")
    with pytest.raises(MissingObjectError, match="mine"):
        build_layer(config)
    layer = build_layer(config, custom_objects={"mine": lambda x: x * 2})
    assert float(layer(keras.ops.ones((1,)))[0]) == 2.0


def test_unbuildable_layers_names_the_lambda(tmp_path: Path) -> None:
    config = nested(attacks(tmp_path / "touched")["lambda list"])[3]
    assert unbuildable_layers(config) == {"evil": "Lambda"}


def test_factory_takes_the_place_of_a_lambda(tmp_path: Path) -> None:
    config = nested(attacks(tmp_path / "touched")["lambda list"])[4]
    model = build_model(config, factories={"evil": lambda c: keras.layers.ReLU(name=c["name"])})
    assert isinstance(model.get_layer("evil"), keras.layers.ReLU)


@pytest.mark.parametrize(
    "config",
    [
        {"loss": {"module": "builtins", "class_name": "function", "config": "eval"}},
        {"loss": {"module": "os", "class_name": "system", "config": {"command": "true"}}},
        {"loss": "mse", "metrics": [{"class_name": "__lambda__", "config": {"code": "x"}}]},
        {"optimizer_config": {"module": "subprocess", "class_name": "run", "config": {}}},
    ],
)
def test_training_config_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(UnsafeError):
        compile_arguments(config)


def test_registered_object_does_not_hide_a_built_in_one() -> None:
    @keras.saving.register_keras_serializable(package="Evil", name="Dense")
    class Dense(keras.layers.Layer):
        pass

    try:
        assert type(build_layer(entry("Dense", units=2))) is keras.layers.Dense
        assert type(build_layer({"class_name": "Evil>Dense", "config": {"name": "e"}})) is Dense
    finally:
        keras.saving.get_custom_objects().pop("Evil>Dense")


def deep(levels: int) -> dict[str, Any]:
    made = entry("Dense", units=1)
    for _ in range(levels):
        made = {"class_name": "Sequential", "config": {"name": "s", "layers": [made]}}
    return made


@pytest.mark.parametrize("build", [build_layer, build_model, safety.check])
def test_deep_nesting_is_an_error_of_ours(build: Callable[[Any], Any]) -> None:
    with pytest.raises(FormatError, match="deep"):
        build(deep(900))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"class_name": "Sequential"},
        {"class_name": "Sequential", "config": {"layers": 3}},
        {"class_name": "Functional", "config": {"layers": [], "input_layers": []}},
        {"class_name": 3, "config": {}},
        {"class_name": "Dense", "config": []},
        {"class_name": "Functional", "config": {"layers": [{"class_name": "Dense"}]}},
        {"class_name": "Dense", "config": {"units": "many"}},
        {"class_name": "Dense", "config": {"units": 1, "activation": 7}},
        {"class_name": "Dense", "config": {"units": 1, "kernel_initializer": 7}},
        {"class_name": "Dense", "config": {"units": 1, "dtype": "float99"}},
        {"class_name": "Sequential", "config": {"layers": [entry("Dense", units=1), 3]}},
    ],
)
@pytest.mark.parametrize("dialect", ["keras2", "keras3"])
def test_damaged_configs_are_errors_of_ours(config: dict[str, Any], dialect: str) -> None:
    with pytest.raises(HozonError):
        build_model(config, dialect=dialect)


def chain(*layers: dict[str, Any], side: Any = 4) -> dict[str, dict[str, Any]]:
    """The layers one after the other, in both kinds of models and both dialects."""
    named = [
        {**layer, "config": {**layer["config"], "name": f"l{i}"}} for i, layer in enumerate(layers)
    ]
    shape = [None, *(side if isinstance(side, list) else [side])]
    inputs = {
        key: {"class_name": "InputLayer", "config": {"name": "x", key: shape}}
        for key in ("batch_shape", "batch_input_shape")
    }
    made = {}
    for key, first in inputs.items():
        entries = [{**first, "name": "x", "inbound_nodes": []}]
        for layer in named:
            before = entries[-1]["name"]
            entries.append(
                {
                    **layer,
                    "name": layer["config"]["name"],
                    "inbound_nodes": [
                        [[before, 0, 0, {}]]
                        if key == "batch_input_shape"
                        else {
                            "args": [
                                {
                                    "class_name": "__keras_tensor__",
                                    "config": {"keras_history": [before, 0, 0]},
                                }
                            ],
                            "kwargs": {},
                        }
                    ],
                }
            )
        made[f"sequential {key}"] = {
            "class_name": "Sequential",
            "config": {"name": "s", "layers": [first, *named]},
        }
        made[f"functional {key}"] = {
            "class_name": "Functional",
            "config": {
                "name": "f",
                "layers": entries,
                "input_layers": [["x", 0, 0]],
                "output_layers": [[entries[-1]["name"], 0, 0]],
            },
        }
    return copy.deepcopy(made)


SIZE_BOMBS: dict[str, tuple[dict[str, Any], ...]] = {
    "embedding product": (entry("Embedding", input_dim=2 * 10**8, output_dim=2 * 10**8),),
    "dense on dense": (entry("Dense", units=2 * 10**8), entry("Dense", units=2 * 10**8)),
    "dense units": (entry("Dense", units=10**18),),
    "recurrent": (entry("Reshape", target_shape=[2, 2]), entry("LSTM", units=2 * 10**8)),
    "reshape": (entry("Reshape", target_shape=[10**6, 10**6]),),
    "repeat": (entry("RepeatVector", n=10**12),),
    "text": (entry("CategoryEncoding", num_tokens=10**12),),
}
PICTURE_BOMBS: dict[str, tuple[dict[str, Any], ...]] = {
    "upsampling": (entry("UpSampling2D", size=[10**12, 1]),),
    "upsampling product": (entry("UpSampling2D", size=[10**7, 10**7]),),
    "padding": (entry("ZeroPadding2D", padding=[[0, 10**12], [0, 0]]),),
    "one padding": (entry("ZeroPadding2D", padding=10**12),),
    "kernel": (entry("Conv2D", filters=10**6, kernel_size=[10**4, 10**4]),),
    "channels": (
        entry("Conv2D", filters=10**7, kernel_size=1),
        entry("Conv2D", filters=10**7, kernel_size=1),
    ),
    "depthwise": (entry("DepthwiseConv2D", depth_multiplier=2 * 10**8, kernel_size=[99, 99]),),
    "flattened": (entry("UpSampling2D", size=10**4), entry("Flatten"), entry("Dense", units=10**4)),
    "resizing": (entry("Resizing", height=10**12, width=1),),
    "infinite": (entry("UpSampling2D", size=[float("inf"), 1]),),
}


@pytest.mark.parametrize("name", sorted({**SIZE_BOMBS, **PICTURE_BOMBS}))
def test_sizes_are_refused_before_anything_is_made(name: str) -> None:
    """As files are loaded: initializers wait, of layers that stand before the one refused too."""
    side: Any = 4 if name in SIZE_BOMBS else [900, 900, 3]
    for config in chain(*{**SIZE_BOMBS, **PICTURE_BOMBS}[name], side=side).values():
        with pytest.raises(UnsafeError), deferred_initializers():
            build_model(config)


def test_unshared_kernels_count_for_each_place() -> None:
    layer = entry("LocallyConnected2D", filters=10**4, kernel_size=[100, 100])
    bombs = chain(layer, side=[900, 900, 3])
    with pytest.raises(UnsafeError, match="elements"):
        build_model(bombs["functional batch_input_shape"])


def test_an_enormous_input_is_refused() -> None:
    for config in chain(entry("Dense", units=1), side=[10**6, 10**6]).values():
        with pytest.raises(UnsafeError, match="elements"):
            build_model(config)


def test_large_sizes_of_real_models_pass() -> None:
    for config in (
        entry("Embedding", input_dim=1_000_000, output_dim=4096),
        entry("Dense", units=262_144),
        entry("Conv2D", filters=8192, kernel_size=[31, 31]),
        entry("LSTM", units=16_384),
        entry("MultiHeadAttention", num_heads=128, key_dim=256),
    ):
        safety.check(config)


@pytest.mark.parametrize(
    "damage",
    [
        lambda layers: layers[1].update(config=[1, 2]),
        lambda layers: layers[1].update(config="units"),
        lambda layers: layers[1].update(config=7),
        lambda layers: layers[1].pop("class_name"),
        lambda layers: layers.__setitem__(1, "Dense"),
        lambda layers: layers.append(dict(layers[1])),
    ],
)
def test_layers_that_are_none_are_errors_of_ours(damage: Callable[[Any], Any]) -> None:
    for name, config in chain(entry("Dense", units=2)).items():
        config = copy.deepcopy(config)
        damage(config["config"]["layers"])
        if name.startswith("functional") or len(config["config"]["layers"]) == 2:
            with pytest.raises(HozonError):
                build_model(config)


@pytest.mark.parametrize(
    "reference",
    [["nobody", 0, 0], ["l0", 5, 0], ["l0", 0, 7], ["l0", 0, 0], ["x", -1, 0], ["x", 0]],
)
def test_calls_on_missing_tensors_are_errors_of_ours(reference: list[Any]) -> None:
    for name, config in chain(entry("Dense", units=2)).items():
        if name.startswith("functional"):
            call = config["config"]["layers"][1]["inbound_nodes"]
            if isinstance(call[0], dict):
                call[0]["args"][0]["config"]["keras_history"] = reference
            else:
                call[0] = [[*reference, {}]]
            with pytest.raises(FormatError):
                build_model(config)


def test_ends_on_missing_layers_are_errors_of_ours() -> None:
    for name, config in chain(entry("Dense", units=2)).items():
        for key in ("input_layers", "output_layers"):
            if name.startswith("functional"):
                config["config"][key] = [["nobody", 0, 0]]
                with pytest.raises(FormatError, match="nobody"):
                    build_model(config)
