"""What each room of `keras_private` needs of Keras that is not public.

With a new version of Keras these fail first, and say which file to look at.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src import api_export, backend, saving
from keras.src.backend import nn as backend_nn
from keras.src.backend.common import backend_utils, dtypes, masking, tensor_attributes
from keras.src.backend.common import variables as variables_module
from keras.src.backend.jax import random as jax_random
from keras.src.callbacks import callback_list
from keras.src.layers import layer as layer_module
from keras.src.losses import loss as loss_module
from keras.src.models import Functional, cloning
from keras.src.models import functional as functional_module
from keras.src.models import model as model_module
from keras.src.ops import nn
from keras.src.random import seed_generator
from keras.src.saving import saving_lib
from keras.src.trainers import compile_utils
from keras.src.utils import naming

import hozon.keras_private as room


def functional() -> Any:
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.compile("adam", "mse")
    return model


def optimizer(**options: Any) -> Any:
    made = keras.optimizers.Nadam(use_ema=True, gradient_accumulation_steps=2, **options)
    made.build([keras.Variable(np.ones(2))])
    return made


def followed() -> Any:
    """A model whose compiled metrics are built."""
    model = functional()
    model.compile("sgd", "mse", metrics=["mae"])
    model._compile_metrics.build(np.ones((2, 2)), np.ones((2, 2)))
    return model


VARIABLE = keras.Variable(np.ones((2,), "float32"))
LAYER = keras.layers.Dense(2)
CALL = layer_module.CallSpec(inspect.signature(LAYER.call), (), (1,), {})

#: File -> what it needs: an object, and names that it has.
NEEDS: dict[str, list[tuple[Any, tuple[str, ...]]]] = {
    "aside": [
        (seed_generator, ("GLOBAL_SEED_GENERATOR", "python_random")),
        (naming, ("uniquify",)),
        (layer_module, ("warnings",)),
        (model_module, ("warnings",)),
        (functional_module, ("warnings",)),
    ],
    "assigned": [
        (functional(), ("_update_metrics_variables", "compute_loss_and_updates")),
        (keras.StatelessScope(), ("add_update", "get_current_value")),
    ],
    "bends": [],
    "backend": [(VARIABLE, ("_value",))],
    "callbacks": [(callback_list, ("CallbackList",))],
    "called": [
        (LAYER, ("_maybe_build",)),
        (
            layer_module.CallSpec(inspect.signature(LAYER.call), (), (1,), {}),
            ("tensor_arguments_dict",),
        ),
    ],
    "compiled": [
        (followed(), ("_compile_loss", "_compile_metrics")),
        (followed()._compile_loss, ("_flat_losses", "_tracker")),
        (followed()._compile_metrics, ("_flat_metrics", "_flat_weighted_metrics")),
        (keras.Model, ("_flatten_metrics_in_order",)),
    ],
    "comparing": [
        (masking, ("get_keras_mask",)),
        (loss_module, ("apply_mask",)),
        (compile_utils, ("MetricsList",)),
        (keras.Model, ("compute_loss", "_compute_loss", "compute_metrics")),
        (keras.Model, ("_update_metrics_variables",)),
    ],
    "crossentropy": [
        (backend_nn, ("sigmoid", "softmax", "binary_crossentropy", "categorical_crossentropy")),
        (backend_nn, ("sparse_categorical_crossentropy",)),
        (tensor_attributes, ("get_tensor_attr", "set_tensor_attr")),
    ],
    "drawn": [
        (jax_random, ("shuffle", "jax_draw_seed")),
        (keras.layers.RandomCrop, ("transform_images",)),
    ],
    "extended": [
        (api_export, ("REGISTERED_OBJS_TO_NAMES", "get_name_from_symbol")),
        (saving.object_registration, ("GLOBAL_CUSTOM_NAMES",)),
    ],
    "fast": [(backend_utils, ("compute_conv_transpose_padding_args_for_jax",))],
    "fixed": [
        (functional(), ("_get_operation_for_node", "_nodes", "_nodes_by_depth")),
        (cloning, ("_clone_functional_model",)),
        (LAYER, ("_call_context_args", "_inbound_nodes")),
    ],
    "graph": [
        (functional(), ("_inputs_struct", "_outputs_struct", "_nodes", "_nodes_by_depth")),
        (functional(), ("_operations",)),
        (functional(), ("_operations_by_depth", "_standardize_inputs", "_tracker")),
        (functional().output, ("_keras_history",)),
        (LAYER, ("_flatten_layers", "_inbound_nodes")),
        (keras.Sequential([keras.Input((2,)), LAYER]), ("_functional",)),
    ],
    "keras2_training": [(LAYER, ("_trainable", "_trainable_variables"))],
    "layers": [
        (LAYER, ("_build_shapes_dict", "_flatten_layers", "_layers", "_metrics", "_tracker")),
        (LAYER, ("_trainable_variables", "_non_trainable_variables", "_losses", "_loss_ids")),
        (LAYER, ("_seed_generators",)),
        (LAYER, ("_call_has_training_arg", "_call_signature", "_convert_input_args")),
        (LAYER, ("_allow_non_tensor_positional_args",)),
        (functional(), ("_build_by_run_for_single_pos_arg", "_build_by_run_for_kwargs")),
        (keras.metrics.Mean(), ("_variables",)),
        (keras.Model.build, ("_is_default",)),
    ],
    "lengths": [
        (nn, ("_normalize",)),
        (keras.layers.Dot, ("_merge_function",)),
    ],
    "losses": [(keras.losses.Huber(delta=2.0), ("_fn_kwargs",))],
    "masks": [],
    "optimizers": [
        (optimizer(), ("_trainable_variables", "_learning_rate", "_u_product")),
        (optimizer(), ("_variables", "_iterations")),
        (optimizer(), ("_backend_update_step", "_get_variable_index")),
        (optimizer(), ("_overwrite_model_variables_with_average_value",)),
        (LAYER, ("_flatten_layers", "_trainable_variables")),
    ],
    "paths": [
        (saving_lib, ("_name_key", "_get_unique_name", "get_attr_skipset")),
        (LAYER, ("_obj_type",)),
        (saving.keras_saveable, ("KerasSaveable",)),
    ],
    "reached": [],
    "recurrent": [],
    "resizing": [(keras.layers.Resizing(2, 2), ("transform_images", "backend"))],
    "rollback": [(VARIABLE, ("_initializer", "_value"))],
    "rows": [
        (backend.numpy, ("take",)),
        (optimizer(), ("_backend_apply_gradients", "_clip_by_norm", "_clip_gradients")),
    ],
    "scopes": [],
    "sharing": [],
    "slopes": [
        (backend.numpy, ("absolute", "maximum", "minimum", "clip")),
        (backend_nn, ("leaky_relu", "selu")),
    ],
    "text_inputs": [
        (functional(), ("_inputs", "_convert_inputs_to_tensors", "_adjust_input_rank")),
    ],
    "tracing": [
        (dtypes, ("PYTHON_DTYPES_MAP",)),
        (LAYER, ("_call_has_training_arg", "_call_has_mask_arg")),
    ],
    "trainer": [
        (functional(), ("_compile_loss", "_compile_metrics", "_jit_compile", "_make_function")),
        (functional(), ("_post_build", "_run_eagerly", "_symbolic_build")),
        (functional(), ("_resolve_auto_jit_compile",)),
    ],
    "training": [
        (functional(), ("_compile_config", "_initial_epoch", "_loss_tracker", "_compile_metrics")),
        (functional(), ("_compile_loss",)),
        (LAYER, ("_call_signature", "_call_has_training_arg", "_call_has_context_arg")),
        (LAYER, ("_get_call_context", "_maybe_reset_call_context", "_resolve_and_populate_arg")),
        (LAYER, ("_get_regularization_losses",)),
    ],
    "values": [
        (VARIABLE, ("_direct_assign", "_dtype", "_initialize_layout", "_initializer", "_layout")),
        (VARIABLE, ("_initialize_with_initializer", "_shape", "_value")),
    ],
    "variance": [],
    "watch": [(LAYER, ("_setattr_hook", "_track_variable", "_tracker"))],
}
FILES = {path.stem: path for path in Path(room.__file__).parent.glob("[!_]*.py")}


@pytest.mark.parametrize("file", sorted(FILES))
def test_keras_has_what_a_file_needs(file: str) -> None:
    for owner, names in NEEDS[file]:
        missing = [name for name in names if not hasattr(owner, name)]
        assert not missing, f"keras_private/{file}.py needs {missing} of {owner!r}"


@pytest.mark.parametrize("file", sorted(FILES))
def test_each_private_name_is_listed(file: str) -> None:
    text = FILES[file].read_text()
    used = set(re.findall(r"(?<!self)\._([a-z]\w+)", text))
    used |= set(re.findall(r'"_([a-z]\w+)"', text))
    listed = {name.removeprefix("_") for _, names in NEEDS[file] for name in names}
    own = set(re.findall(r"def _(\w+)", text)) | {"run", "waiting"}
    assert used - listed - own == set()


def test_seeds_and_numbers_in_names_come_from_one_place() -> None:
    """`aside` stands before both."""
    assert "python_random.randint(" in inspect.getsource(seed_generator.make_default_seed)
    for module in (
        layer_module,
        model_module,
        functional_module,
    ):  # which ask `warnings` for nothing else
        assert set(re.findall(r"\bwarnings\.(\w+)", inspect.getsource(module))) == {"warn"}
    assert '"object_name_uids"' in inspect.getsource(naming.uniquify)


def test_dtypes_are_named_through_the_map() -> None:
    """`tracing` puts a map of its own in the place of Keras'."""
    source = inspect.getsource(variables_module.standardize_dtype)
    assert "dtypes.PYTHON_DTYPES_MAP.get(dtype, dtype)" in source


def test_conversion_reads_the_inputs_alone() -> None:
    """`text_inputs` calls it on what has nothing else."""
    source = inspect.getsource(Functional._convert_inputs_to_tensors)
    assert set(re.findall(r"self\.(\w+)", source)) == {"_inputs"}


def test_a_layout_is_asked_for_before_initializers_run() -> None:
    """`values` defers the initializer, and asks for the layout itself."""
    bent = type(VARIABLE)._initialize_with_initializer
    assert "self._initialize_layout()" in inspect.getsource(inspect.unwrap(bent))
