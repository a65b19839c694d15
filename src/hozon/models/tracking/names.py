"""Names that Keras 3 gives otherwise than Keras 2, whose names stand in files.

Keras 2 tracks a weight by the name that `add_weight` was given, then by the attribute that holds
it, and sublayers by attribute (tf_keras/src/engine/base_layer.py).
"""

from __future__ import annotations

from collections.abc import Mapping

#: Attributes of Keras' own bookkeeping: they hold objects that other edges lead to, or that
#: Keras 2 keeps out of checkpoints.
BOOKKEEPING = frozenset(
    {
        "_tracker",
        "_trainable_variables",
        "_non_trainable_variables",
        "_layers",
        "_metrics",
        "_seed_generators",
        "_variables",
        "_functional",
        "_operations",
        "_operations_by_depth",
        "_nodes",
        "_nodes_by_depth",
        "_inputs",
        "_outputs",
        "_inputs_struct",
        "_outputs_struct",
        "_inbound_nodes",
        "_outbound_nodes",
        "_losses",
        "_loss_ids",
        "_losses_override",
        "_compile_loss",
        "_compile_metrics",
        "_loss_tracker",
        "_compile_config",
        "_jax_state",
        "_build_shapes_dict",
        "_call_context_args",
        "_call_has_context_arg",
        "_compiled_trainable_state",
        "_eval_epoch_iterator",
        "_auto_config",
        "_dtype_policy",
        "_input_spec",
        "_call_signature",
        "call_signature_parameters",
        "history",
        "build",
        "quantize",
        "activity_regularizer",
        "load_report",
        "output_names",
        "input_names",
        "inputs",
        "outputs",
    }
)

#: For each of Keras' classes: variable or attribute name here -> edge name in Keras 2.
#: A name mapped to "" has no edge.
RENAMES: Mapping[str, Mapping[str, str]] = {
    "BaseDepthwiseConv": {"kernel": "depthwise_kernel"},
    "Bidirectional": {"layer": ""},
    "RNN": {"states": ""},
}

#: Variables that Keras 2 keeps in another type: class -> variable -> type in the file.
STORED_TYPES: Mapping[str, Mapping[str, str]] = {
    "Normalization": {"count": "int64"},
    "_IoUBase": {"total_confusion_matrix": "float32"},
}
