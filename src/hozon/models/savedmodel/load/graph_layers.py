"""Layers and models that run their saved functions: for classes that nobody supplied.

Keras saves two functions of each layer's call: ``call_and_return_conditional_losses``, whose
results are (outputs, losses), and ``__call__`` without the losses. Each was traced for
``training`` False and True where the layer takes that argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import jax
import keras

from hozon.errors import MismatchError, UnsupportedError
from hozon.formats.protos.struct import TensorSpec, TypeSpec
from hozon.graph_level.functions import ConcreteFunction, Function
from hozon.graph_level.structures import flatten, map_structure, pack
from hozon.keras_private.assigned import KeepsAssignments
from hozon.keras_private.layers import layers_of
from hozon.models.savedmodel.load.call_metrics import CallMetrics
from hozon.models.savedmodel.save.specs import CONTEXT, CallSpec, spec_of_symbols
from hozon.models.text.strings import on_host
from hozon.stored.dtypes import BOOL, STRING, dtype_of_number
from hozon.typing import Config

#: The second one adds the loss of what the layer gives, which is not yet divided by the batch.
WITH_LOSSES = ("call_and_return_conditional_losses", "call_and_return_all_conditional_losses")

OF_OUTPUTS = "activity_regularizer_fn"


class SavedCall:
    """The saved call functions of one object."""

    def __init__(self, name: str, functions: Mapping[str, Any]) -> None:
        self.name = name
        self.plain: Function | None = functions.get("__call__")
        found = [functions[key] for key in WITH_LOSSES if key in functions]
        self.with_losses: Function | None = found[0] if found else None
        apart = "call_and_return_conditional_losses" in functions
        self.of_outputs: Function | None = functions.get(OF_OUTPUTS) if apart else None

    @property
    def exists(self) -> bool:
        """Whether there is anything to run."""
        return bool(self.traces(self.with_losses) or self.traces(self.plain))

    @staticmethod
    def traces(function: Function | None) -> list[ConcreteFunction]:
        """The concrete functions of a possibly absent function."""
        return function.concrete_functions if function is not None else []

    def all_traces(self) -> list[ConcreteFunction]:
        """The concrete functions of all of them."""
        functions = (self.plain, self.with_losses, self.of_outputs)
        return [trace for function in functions for trace in self.traces(function)]

    @property
    def takes_training(self) -> bool:
        """Whether the object's call distinguishes training from inference."""
        function = self.plain or self.with_losses
        return function is not None and "training" in _arguments(function)

    @property
    def takes_mask(self) -> bool:
        """Whether the object's call was traced with masks."""
        function = self.plain if self.traces(self.plain) else self.with_losses
        named = function is not None and "mask" in _arguments(function)
        return named and BOOL.number in self._input_dtypes()

    @property
    def takes_strings(self) -> bool:
        """Whether the object's call was traced with strings."""
        return STRING.number in self._input_dtypes()

    def _input_dtypes(self) -> set[int]:
        traces = [*self.traces(self.plain), *self.traces(self.with_losses)]
        specs = [spec for trace in traces for spec in trace.inputs]
        return {int(spec.dtype) for spec in specs if not isinstance(spec, TypeSpec)}

    def input_specs(self) -> Any:
        """The structure of specs of a call's first argument, as it was saved."""
        traces = self.traces(self.plain) or self.traces(self.with_losses)
        positional, _ = traces[0].arguments
        return positional[0] if positional else None

    def cast(self, inputs: Any) -> Any:
        """A call's first argument with floats as it was traced for: layers cast what they take."""
        leaves, specs = keras.tree.flatten(inputs), list(flatten(self.input_specs()))
        if len(leaves) != len(specs):
            return inputs
        return keras.tree.pack_sequence_as(inputs, list(map(_cast, leaves, specs)))

    def output_specs(self) -> Any:
        """The structure of specs that a call returns, as it was saved."""
        if self.traces(self.with_losses):
            return self.traces(self.with_losses)[0].outputs[0]
        return self.traces(self.plain)[0].outputs

    def __call__(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], training: bool
    ) -> tuple[Any, list[Any]]:
        """Outputs and losses of a call."""
        if self.traces(self.with_losses):
            outputs, losses = self._run(self.with_losses, args, kwargs, training)
            return outputs, [loss for loss in flatten(losses) if loss is not None]
        if self.traces(self.plain):
            return self._run(self.plain, args, kwargs, training), []
        raise UnsupportedError(
            f"{self.name!r} was saved without traces of its call, so it cannot run; "
            f"pass its class in custom_objects"
        )

    def _run(
        self,
        function: Function | None,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        training: bool,
    ) -> Any:
        assert function is not None
        args = _structured(function, args)
        failure: MismatchError | None = None
        for extra in self._variants(function, training):
            try:
                trace, tensors = function.choose(*args, **{**kwargs, **extra})
            except MismatchError as error:
                failure = failure or error
                continue
            return trace.call_flat(tensors)
        assert failure is not None
        raise failure

    @staticmethod
    def _variants(function: Function, training: bool) -> list[dict[str, Any]]:
        if "training" not in _arguments(function):
            return [{}]
        return [{"training": training}, {}, {"training": None}]

    def symbolic_call(self) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """The arguments that the call was traced with, as symbolic tensors; None without any.

        Positional ones up to the last that holds a tensor; masks are left out, and what follows an
        argument that is left out is given by its name, as are numbers and texts behind.
        """
        traces = self.traces(self.with_losses) or self.traces(self.plain)
        if not traces:
            return None
        args, kwargs = map_structure(_symbolic_leaf, traces[0].arguments)
        last = max((i for i, value in enumerate(args) if _has_symbols(value)), default=-1)
        positional: list[Any] = []
        named = {
            key: value for key, value in kwargs.items() if _has_symbols(value) and key != "mask"
        }
        left_out = False
        for name, value in zip_longest(self.argument_names, args[: last + 1]):
            if name == "mask" or value is None:
                left_out = True
            elif left_out and name is not None:
                named[name] = value
            else:
                positional.append(value)
        behind = zip(self.argument_names[last + 1 :], args[last + 1 :], strict=False)
        plain = {k: v for k, v in behind if isinstance(v, (bool, int, float, str))}
        named |= {name: value for name, value in plain.items() if name not in CONTEXT}
        return tuple(positional), named

    @property
    def argument_names(self) -> tuple[str, ...]:
        """The names of the arguments of the saved call, without ``self``."""
        function = self.with_losses if self.traces(self.with_losses) else self.plain
        return () if function is None else _arguments(function)


def _cast(leaf: Any, spec: Any) -> Any:
    if not isinstance(spec, TensorSpec) or not hasattr(leaf, "dtype"):
        return leaf
    wanted, given = dtype_of_number(int(spec.dtype)).name, str(leaf.dtype)
    if not all(map(keras.backend.is_float_dtype, (wanted, given))):
        return leaf
    wanted = jax.dtypes.canonicalize_dtype(wanted).name  # JAX may have no float64
    return leaf if wanted == given else keras.ops.cast(leaf, wanted)


def _symbolic_leaf(leaf: Any) -> Any:
    if not isinstance(leaf, TensorSpec) or leaf.shape.dims is None:
        return leaf
    return _symbolic(leaf)


def _has_symbols(value: Any) -> bool:
    return any(isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten(value))


def _symbolic(spec: TensorSpec) -> keras.KerasTensor:
    return keras.KerasTensor(spec.shape.dims, dtype_of_number(int(spec.dtype)).name)


def _structured(function: Function, args: Sequence[Any]) -> Sequence[Any]:
    """A flat list given for a call that was traced with a dictionary, in that dictionary's form."""
    traces = function.concrete_functions
    expected = traces[0].arguments[0] if traces else ()
    if not args or not expected or not isinstance(expected[0], Mapping):
        return args
    leaves = list(flatten(expected[0]))
    if isinstance(args[0], (list, tuple)) and len(args[0]) == len(leaves):
        return [pack(expected[0], iter(args[0])), *args[1:]]
    return args


def _arguments(function: Function) -> tuple[str, ...]:
    return (*function.spec.arguments, *function.spec.keyword_only)


class SavedPenalty(keras.regularizers.Regularizer):  # type: ignore[misc]
    """A weight's penalty as the saved function that computes it."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def __call__(self, x: Any) -> Any:  # noqa: ARG002 - the function has the variable itself
        """The penalty of the variable's value."""
        return self.function()


class SavedActivityLoss(keras.regularizers.Regularizer):  # type: ignore[misc]
    """The loss of what a layer gives as the saved function that computes it."""

    def __init__(self, function: Function) -> None:
        self.function = function

    def __call__(self, x: Any) -> Any:
        """The loss of a tensor."""
        return self.function(x)


class GraphCallMixin(KeepsAssignments):
    """What revived layers and models share: they call the saved functions."""

    saved_call: SavedCall
    call_metrics: CallMetrics
    passes_mask: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the layer; strings and numbers may be in one structure."""
        return super().__call__(*map(on_host, args), **kwargs)  # type: ignore[misc]

    def call(
        self, inputs: Any, *args: Any, training: bool = False, mask: Any = None, **kwargs: Any
    ) -> Any:
        """Run the saved call; losses that it made are added to the layer's.

        A mask is for layers that took one when they were saved.
        """
        if self.saved_call.takes_mask:
            kwargs["mask"] = mask
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        inputs = self.saved_call.cast(inputs)
        outputs, losses = self.saved_call((inputs, *args), kwargs, bool(training))
        for loss in losses:
            # one that follows from shapes alone is no tensor of JAX yet
            self.add_loss(keras.ops.convert_to_tensor(loss))  # type: ignore[attr-defined]
        self.call_metrics.update()
        return outputs

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:  # noqa: ARG002
        """The mask that comes in, for layers behind which the saved model had one."""
        return previous_mask if self.passes_mask else None

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Shapes and dtypes of the outputs: those saved with the function, where it knew them."""
        specs = self.saved_call.output_specs()
        known = [
            isinstance(leaf, TensorSpec) and leaf.shape.dims is not None for leaf in flatten(specs)
        ]
        if not all(known):
            return super().compute_output_spec(*args, **kwargs)  # type: ignore[misc]
        return map_structure(_symbolic, specs)

    def call_spec(self) -> CallSpec | None:
        """What the saved call takes, so that the object can be saved again."""
        symbols = self.saved_call.symbolic_call()
        if symbols is None:
            return None
        names = [name for name in self.saved_call.argument_names if name not in CONTEXT]
        context = ["training"] if self.saved_call.takes_training else []
        return spec_of_symbols([*names, *context], *symbols)

    def get_config(self) -> Config:
        """The saved config, if the object had one."""
        config: Config | None = getattr(self, "saved_config", None)
        if config is None:
            raise NotImplementedError(
                f"{type(self).__name__} was saved without a config: its class is not known here, "
                "only its saved functions"
            )
        return dict(config)


class GraphLayer(GraphCallMixin, keras.layers.Layer):  # type: ignore[misc]
    """A layer of an unknown class, running its saved functions."""


class GraphModel(GraphCallMixin, keras.Model):  # type: ignore[misc]
    """A model of an unknown class, running its saved functions."""


def require_classes(model: keras.Model, form: str) -> None:
    """Refuse to write a model by its config where layers have no class, only saved functions.

    Raises UnsupportedError, which names them.
    """
    found: list[Any] = [x for x in layers_of(model) if isinstance(x, GraphCallMixin)]
    if not found:
        return
    names = list(dict.fromkeys(type(layer).__name__ for layer in found))
    given = ", ".join(f"{name!r}: {name}" for name in names)
    raise UnsupportedError(
        f"{', '.join(repr(layer.name) for layer in found)} came back without a class and runs the "
        f"functions of its SavedModel, which {form} cannot hold",
        feature=f"saved functions in {form}",
        instead=f"load it with custom_objects={{{given}}}, save it as a SavedModel again, or keep "
        "its weights (hozon.save_weights)",
    )


def graph_class(base: type, name: str) -> type:
    """A class made on the fly, with the saved name."""
    return type(name if name.isidentifier() else base.__name__, (base,), {"__module__": __name__})
