"""The state of an optimizer from an H5 file: found, checked, then assigned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hozon.errors import MismatchError
from hozon.keras_private.values import deferred_initializers, give_value
from hozon.models.h5.load import Plan
from hozon.models.h5.pairing import Pair, plain_name
from hozon.models.h5.slots import AVERAGE, SlotTensors, sorted_out
from hozon.record import ModelRecord
from hozon.tensors.lazy import LazyTensor, read_all

Assignment = tuple[Any, Any]


def restore_optimizer(model: Any, record: ModelRecord, plan: Plan) -> None:
    """Build the optimizer for the model's variables and give it what was saved of it.

    Raises:
        MismatchError: the state is that of another model; the optimizer is built and fresh.
    """
    assert record.optimizer is not None
    tensors = record.optimizer.tensors
    with deferred_initializers() as deferred:
        model.optimizer.build(model.trainable_variables)
        restoring = Restoring(model, record, plan)
        try:
            assignments = list(restoring.assignments(tensors))
        finally:
            deferred.finish()
    for variable, value in assignments:
        give_value(variable, value)


class Restoring:
    """One restore: the optimizer, the trainable variables in the file's order, the report."""

    def __init__(self, model: Any, record: ModelRecord, plan: Plan) -> None:
        self.optimizer = model.optimizer
        self.inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        self.class_name = type(self.inner).__name__.removeprefix("Legacy")
        self.record = record
        self.report = plan.report
        self.variables = list(model.trainable_variables)
        self.position = {id(v): i for i, v in enumerate(self.variables)}
        once = {id(pair.variable): pair for pair in reversed(plan.pairs)}
        self.pairs = [
            pair
            for pair in plan.pairs
            if id(pair.variable) in self.position and once[id(pair.variable)] is pair
        ]
        self.problems: list[str] = []

    def assignments(self, tensors: Mapping[str, LazyTensor]) -> Iterator[Assignment]:
        """Every variable of the optimizer that was stored, with its value."""
        if self._is_keras3(tensors):
            yield from self._direct(tensors)
            return
        if any(len(pair.stored) != 1 for pair in self.pairs):
            self._lose("it is in the layout of weights that had to be converted")
            return
        names = [plain_name(pair.stored[0]) for pair in self.pairs]
        found = sorted_out(self.class_name, tensors, names)
        made = [*self._slots(found), *self._counters(found)]
        if self.problems or len(found.unknown) == len(tensors) > 0:
            self._refuse(found)
        self.report.lost.extend(f"optimizer variable {name}" for name in found.unknown)
        yield from made

    def _lose(self, reason: str) -> None:
        self.report.lost.append(f"state of optimizer {self.class_name}: {reason}")

    def _refuse(self, found: SlotTensors) -> None:
        unknown = [f"{name} has no counterpart" for name in found.unknown]
        raise MismatchError(
            f"the state of optimizer {self.class_name} in the file does not fit the model; load "
            "it with compile=False",
            mismatches=[*self.problems, *unknown],
            file=self.record.path,
        )

    # Keras 3

    def _is_keras3(self, tensors: Mapping[str, LazyTensor]) -> bool:
        """Keras 3 stores the learning rate with the rest, and names without output numbers."""
        return self.record.dialect == "keras3" and not any(":" in name for name in tensors)

    def _direct(self, tensors: Mapping[str, LazyTensor]) -> Iterator[Assignment]:
        live = list(self.optimizer.variables)
        shapes = [tuple(v.shape) for v in live]
        if shapes != [tensor.shape for tensor in tensors.values()]:
            self.problems.append(
                f"{len(tensors)} stored variables, {len(live)} in the optimizer"
                if len(tensors) != len(live)
                else "their shapes differ"
            )
            self._refuse(SlotTensors())
        for variable, value in zip(live, read_all(list(tensors.values())), strict=True):
            yield variable, value
            self.report.matched.append(f"optimizer/{variable.name}")

    # Keras 1 and 2

    def _slots(self, found: SlotTensors) -> Iterator[Assignment]:
        for attribute, tensors in found.slots.items():
            live = getattr(self.inner, attribute, None)
            if not live:
                continue  # Keras 2 keeps a momentum of zeros for SGD without one
            targets = list(self._targets(attribute, tensors, live))
            values = read_all([tensor for _, tensor in targets])
            for (variable, _), value in zip(targets, values, strict=True):
                yield variable, value
                self.report.matched.append(f"optimizer/{variable.name}")

    def _targets(
        self, attribute: str, tensors: Sequence[tuple[str, LazyTensor]], live: Sequence[Any]
    ) -> Iterator[tuple[Any, LazyTensor]]:
        for pair, tensor in self._owned(attribute, tensors):
            target = live[self.position[id(pair.variable)]]
            if tuple(target.shape) != tensor.shape:
                self.problems.append(
                    f"{attribute.strip('_')} of {pair.label} has shape {tuple(target.shape)}, "
                    f"the file holds {tensor.shape}"
                )
            elif not (attribute != AVERAGE and _is_placeholder(target)):
                yield target, tensor

    def _owned(
        self, attribute: str, tensors: Sequence[tuple[str, LazyTensor]]
    ) -> list[tuple[Pair, LazyTensor]]:
        """Each slot with its variable: by name where names tell, else by the order of the file."""
        by_name = {plain_name(pair.stored[0]): pair for pair in self.pairs}
        told = {name: tensor for name, tensor in tensors if name}
        every = len(by_name) == len(self.pairs) and by_name.keys() <= told.keys()
        if every or (told and len(told) == len(tensors)):
            return self._named(attribute, by_name, told, len(tensors))
        if len(tensors) != len(self.pairs):
            self.problems.append(
                f"{attribute.strip('_')} is stored for {len(tensors)} variables, the model has "
                f"{len(self.pairs)}"
            )
            return []
        ordered = self._order([tensor.shape for _, tensor in tensors])
        return list(zip(ordered, (tensor for _, tensor in tensors), strict=True))

    def _named(
        self,
        attribute: str,
        by_name: Mapping[str, Pair],
        told: Mapping[str, LazyTensor],
        count: int,
    ) -> list[tuple[Pair, LazyTensor]]:
        """Slots by the names of their variables; a file may lack some, or have others', too."""
        slot = attribute.strip("_")
        if count > len(told):
            others = count - len(told)
            self.report.unexpected.append(f"optimizer/{slot} of {others} other variables")
        lacking = [name for name in by_name if name not in told]
        self.report.missing.extend(f"optimizer/{slot}/{name}" for name in lacking)
        return [(by_name[name], tensor) for name, tensor in told.items()]

    def _order(self, shapes: Sequence[tuple[int, ...]]) -> list[Pair]:
        """The variables in the order of slots: that of the layers; Keras up to 2.0 sorted names."""
        names = sorted(self.pairs, key=lambda pair: pair.stored[0])
        for order in (self.pairs, names):
            if [pair.tensor.shape for pair in order] == list(shapes):
                return order
        return self.pairs

    def _counters(self, found: SlotTensors) -> Iterator[Assignment]:
        steps = None
        if found.iterations is not None:
            steps = np.asarray(found.iterations.read()).astype(np.int64)
            yield self.optimizer.iterations, steps
            if self.inner is not self.optimizer:
                yield self.inner.iterations, steps
            self.report.matched.append("optimizer/iteration")
        scale = found.scalars.get("current_loss_scale", found.scalars.get("loss_scale"))
        if scale is not None and self.inner is not self.optimizer:
            yield self.optimizer.dynamic_scale, scale.read()
        if "good_steps" in found.scalars and self.inner is not self.optimizer:
            yield self.optimizer.step_counter, found.scalars["good_steps"].read()
        yield from self._nadam(found, steps)

    def _nadam(self, found: SlotTensors, steps: Any) -> Iterator[Assignment]:
        """The product of momenta: stored as a cache by `optimizer_v2`, else made of the steps."""
        product = getattr(self.inner, "_u_product", None)
        if product is None:
            return
        cache = found.scalars.get("momentum_cache", found.scalars.get("m_cache"))
        if cache is not None:
            yield product, cache.read()
        elif steps is not None:
            yield product, momentum_product(self.inner, int(steps))


def momentum_product(optimizer: Any, steps: int) -> np.ndarray[Any, Any]:
    """Nadam's product of momenta after some steps, which files of TensorFlow 2.11 on lack."""
    decay = getattr(optimizer, "schedule_decay", 1.0)
    exponents = np.arange(1, steps + 1, dtype=np.float64) * decay
    momenta = optimizer.beta_1 * (1 - 0.5 * np.power(0.96, exponents))
    return np.asarray(np.prod(momenta), np.float32)


def _is_placeholder(target: Any) -> bool:
    """Whether a slot stands for "none": Adafactor's, for variables that it does not factor."""
    return bool(target.dtype.startswith("int"))
