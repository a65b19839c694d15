"""Keras' trainer for models of which a part runs on the host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


class BuiltOnBatch:
    """Added to a model's class: what training needs is built on a real batch."""

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Build metrics, loss and optimizer; Keras would trace a symbolic batch."""
        if data_batch is None:
            _, _, steps = next(iter(iterator))
            data_batch = steps[0] if isinstance(steps, (list, tuple)) else next(steps)
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data_batch)
        outputs = self(x, training=False)  # type: ignore[operator]
        if self._compile_metrics is not None and not self._compile_metrics.built:  # type: ignore[attr-defined]
            self._compile_metrics.build(y, outputs)  # type: ignore[attr-defined]
        if self._compile_loss is not None and not self._compile_loss.built:  # type: ignore[attr-defined]
            self._compile_loss.build(y, outputs)  # type: ignore[attr-defined]
        if self.optimizer is not None and not self.optimizer.built:  # type: ignore[attr-defined]
            self.optimizer.build(self.trainable_variables)  # type: ignore[attr-defined]
        self._post_build()  # type: ignore[attr-defined]


class RunsEagerly(BuiltOnBatch):
    """Added to the class of a model that cannot be compiled."""

    @property
    def run_eagerly(self) -> bool:
        """Always true."""
        return True

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        """As in Keras; see the getter."""
        self._run_eagerly = value


class HostTrainer(BuiltOnBatch):
    """Added to a model's class: a part of each step runs on the host before the compiled one."""

    def host_part(self) -> Callable[[Any], Any] | None:
        """What makes of a batch the numbers that the rest takes; None where all is on the host."""
        raise NotImplementedError

    def _make_function(self, step: Any, concatenate_outputs: bool = False) -> Any:
        """What Keras' loops run for each batch: `step`, after what runs on the host."""
        host = self.host_part()

        def prepared(state: Any, data: Any) -> Any:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
            numbers = host(x)  # type: ignore[misc]
            return step(state, keras.utils.pack_x_y_sample_weight(numbers, y, weight))

        made = step if host is None else prepared
        return super()._make_function(made, concatenate_outputs)  # type: ignore[misc]

    def _resolve_auto_jit_compile(self) -> bool:
        return self.host_part() is not None

    @property
    def jit_compile(self) -> bool:
        """Whether what is left after the host's part is compiled."""
        return self.host_part() is not None and bool(super().jit_compile)  # type: ignore[misc]

    @jit_compile.setter
    def jit_compile(self, value: bool) -> None:
        """As in Keras, whose check of the layers would find those that run on the host."""
        self._jit_compile = value

    @property
    def run_eagerly(self) -> bool:
        """Always true where all runs on the host."""
        return self.host_part() is None or bool(super().run_eagerly)  # type: ignore[misc]

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        """As in Keras; see the getter."""
        self._run_eagerly = value
