"""What a model was compiled with, and its compiled steps."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import keras
from keras.src.backend.common import global_state

from hozon.keras_private.bends import asked, bend
from hozon.keras_private.graph import functional_of
from hozon.keras_private.layers import layers_of
from hozon.typing import Config

#: Attribute of models whose compiled steps enter them as calls do.
_ENTERED = "hozon_enters_model"
_HANDS_ON = "hozon_hands_training_on"
#: Whether a variable that is assigned is a leaf of differentiation where it is read after.
LEAVES: ContextVar[bool] = ContextVar("assigned variables are leaves", default=False)
#: Whether this thread is in a compiled step's call of a model that is entered.
INSIDE: ContextVar[bool] = ContextVar("inside a model that is entered", default=False)
#: Attribute of layers that are told of training for one call, not for those after it.
_TOLD_ONCE = "hozon_told_once"
#: Attribute of Keras' context of calls: what it said before the call of a layer, by its id.
_BEFORE = "hozon_before"


def compile_config(model: keras.Model) -> Config | None:
    """What a model was compiled with, as live objects; None if it was not."""
    config = getattr(model, "_compile_config", None)
    if not model.compiled or config is None:
        return None
    return {**config.config, "optimizer": model.optimizer}


def training_metrics(model: keras.Model) -> list[keras.Variable]:
    """The states of the metrics that `compile` gave a model: they begin anew with each epoch."""
    names = ("_loss_tracker", "_compile_metrics", "_compile_loss")
    metrics = [getattr(model, name, None) for name in names]
    return [variable for metric in metrics if metric is not None for variable in metric.variables]


def forget_compiled_steps(model: keras.Model) -> None:
    """Make Keras trace its steps again, as the model computes something else now."""
    model.train_function = model.test_function = model.predict_function = None


def begin_with(model: keras.Model, epoch: int | None) -> None:
    """Make ``fit``, which is about to begin, start with this epoch; None for what it was told."""
    model._initial_epoch = epoch


def hand_training_on(model: keras.Model) -> None:
    """Make layers inside a model's call train whenever the model does, as in Keras 2.

    Keras 3's compiled steps tell a model's `call` of training only where it asks for it, and the
    layers in it only where it hands that on.
    """
    if getattr(model.call, _HANDS_ON, False):
        return
    own = vars(model).get("call")
    signature = model._call_signature
    takes = "training" in signature.parameters

    @functools.wraps(model.call)
    def call(*args: Any, **kwargs: Any) -> Any:
        # That of its class is asked for each time, as the class may yet be extended.
        original = own or functools.partial(type(model).call, model)
        outer = global_state.get_global_attribute("current_call_ctx")
        training = kwargs.get("training") if takes else kwargs.pop("training", None)
        if outer is not None:
            return original(*args, **kwargs)
        model._get_call_context().set_value("training", training)
        try:
            return original(*args, **kwargs)
        finally:
            model._maybe_reset_call_context()

    if not takes:
        model._call_signature = signature = _with_training(signature)
        model.call_signature_parameters = list(signature.parameters)
        model._call_has_training_arg = True
        model._call_has_context_arg = {**model._call_has_context_arg, "training": True}
    call.__signature__ = signature  # type: ignore[attr-defined]
    setattr(call, _HANDS_ON, True)
    object.__setattr__(model, "call", call)


def _with_training(signature: inspect.Signature) -> inspect.Signature:
    """A signature that takes ``training`` as a keyword too."""
    added = inspect.Parameter("training", inspect.Parameter.KEYWORD_ONLY, default=None)
    parameters = list(signature.parameters.values())
    wild = [p for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD]
    kept = [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    return signature.replace(parameters=[*kept, added, *wild])


def enter_models(layer: keras.Layer) -> None:
    """Make compiled steps of a model, and of those in it, calls of the model as in Keras 2.

    In Keras 3's steps each layer that a model's `call` calls is called on its own: it does not
    know of training unless it is told, and one that is called twice forgets the losses of its
    first call. A call that is told of training (``base(x, training=False)``) is told for
    itself and what is in it, where Keras 3 goes on with that in the calls that follow.
    """
    for inside in layers_of(layer):
        object.__setattr__(inside, _TOLD_ONCE, True)
        if isinstance(inside, keras.Model):
            object.__setattr__(inside, _ENTERED, True)
            if functional_of(inside) is None and not isinstance(inside, keras.Sequential):
                hand_training_on(inside)


def enters_model(layer: keras.Layer) -> bool:
    """Whether this is a model whose compiled steps enter it."""
    return _ENTERED in vars(layer)


def _entering(original: Callable[..., Any]) -> Callable[..., Any]:
    def stateless_call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        outer = global_state.get_global_attribute("current_call_ctx")
        if outer is not None or not enters_model(layer):
            return original(layer, *args, **kwargs)
        layer._get_call_context().set_value("training", kwargs.get("training"))
        try:
            with asked(LEAVES, True), asked(INSIDE, True):
                return original(layer, *args, **kwargs)
        finally:
            layer._maybe_reset_call_context()

    return stateless_call


bend(keras.Layer, "stateless_call", _entering)


def _telling(original: Callable[..., None]) -> Callable[..., None]:
    def resolve(layer: keras.Layer, name: str, spec: Any, context: Any, kwargs: Any) -> None:
        before = context.get_value(name)
        original(layer, name, spec, context, kwargs)
        if context.entry_layer is not layer and _TOLD_ONCE in vars(layer):
            vars(context).setdefault(_BEFORE, {})[id(layer), name] = before

    return resolve


def _forgetting(original: Callable[..., None]) -> Callable[..., None]:
    def reset(layer: keras.Layer) -> None:
        context = global_state.get_global_attribute("current_call_ctx")
        told = {} if context is None else vars(context).get(_BEFORE, {})
        for key in [key for key in told if key[0] == id(layer)]:
            context.set_value(key[1], told.pop(key))
        original(layer)

    return reset


bend(keras.Layer, "_resolve_and_populate_arg", _telling)
bend(keras.Layer, "_maybe_reset_call_context", _forgetting)


def _weighing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Weights of samples are for all steps of a sequence, as in Keras 2.

    Keras 3 takes them for weights of the steps, where there are as many, or refuses them.
    """

    def compute(
        model: keras.Model,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        **options: Any,
    ) -> Any:
        if sample_weight is not None and enters_model(model):
            tree = keras.tree
            if tree.is_nested(sample_weight) or not tree.is_nested(y_pred):
                sample_weight = tree.map_structure(_for_steps, sample_weight, y_pred)
            else:
                sample_weight = tree.map_structure(lambda p: _for_steps(sample_weight, p), y_pred)
        return original(model, x, y, y_pred, sample_weight, **options)

    return compute


def _for_steps(weights: Any, outputs: Any) -> Any:
    sequences = len(outputs.shape) == 3 and len(weights.shape) == 1
    return keras.ops.expand_dims(weights, -1) if sequences else weights


bend(keras.Model, "compute_loss", _weighing)
bend(keras.Model, "compute_metrics", _weighing)


def _regularizing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Regularizers of weights that are frozen count too, as in Keras 2."""

    def losses(model: keras.Model) -> Any:
        found = original(model)
        if not enters_model(model):
            return found
        frozen = model.non_trainable_weights
        return found + [v.regularizer(v) for v in frozen if getattr(v, "regularizer", None)]

    return losses


bend(keras.Model, "_get_regularization_losses", _regularizing)
