"""The first rung: an object of a class of the caller's whose code, not its config, makes it."""

from __future__ import annotations

import keras

from hozon.config.build import build_layer
from hozon.config.quantized import quantize_as_told
from hozon.config.registry import require_class
from hozon.config.upgrade import QUANTIZED, is_model_config
from hozon.errors import HozonError
from hozon.keras_private.training import hand_training_on
from hozon.keras_private.values import deferred_initializers
from hozon.models.savedmodel.load.assigning import assign_own
from hozon.models.savedmodel.load.configs import config_of
from hozon.models.savedmodel.load.objects import NATIVE, KerasNode
from hozon.models.savedmodel.load.own_class import NoConfigError, make_without_config
from hozon.models.savedmodel.load.revival import GivenClassError, Revival


def by_class(revival: Revival, node: KerasNode) -> keras.Layer | None:
    """An object of a class of the caller's, None without such a class.

    Raises GivenClassError where the class was passed and has other variables or another call than
    the file, or does not take the saved config, or is no class.
    """
    _require_class(revival, node)
    found = _class_of(revival, node)
    if found is None or is_model_config(node.config):
        return None
    before = revival.before()
    try:
        with deferred_initializers() as deferred:
            made = _made(revival, found, node)
            assign_own(revival, node, made)
            deferred.finish()
    except NoConfigError as error:
        revival.fall(node, before, error)
        return None
    except HozonError as error:
        if revival.is_given(node.class_name):
            raise GivenClassError(error) from error
        revival.fall(node, before, error)
        return None
    if node.node == 0 and isinstance(made, keras.Model) and NATIVE not in node.metadata:
        hand_training_on(made)
    return made


def _require_class(revival: Revival, node: KerasNode) -> None:
    if revival.is_given(node.class_name):
        try:
            require_class(revival.registry.custom_class(node.class_name), node.class_name)
        except HozonError as error:
            raise GivenClassError(error) from error


def _class_of(revival: Revival, node: KerasNode) -> type | None:
    """The caller's or a registered layer class for an object, None without one."""
    found = revival.registry.custom_class(node.class_name)
    layer = isinstance(found, type) and issubclass(found, keras.Layer)
    return found if layer else None


def _made(revival: Revival, found: type, node: KerasNode) -> keras.Layer:
    if node.config is None:
        made = make_without_config(found, node)
        told = (node.metadata.get(NATIVE) or {}).get(QUANTIZED)
        if told:
            quantize_as_told(made, told, revival.registry)
        return made
    return build_layer(
        config_of(revival.objects, node),
        custom_objects=revival.custom_objects,
        report=revival.report.converted,
        dialect="keras2",
    )
