"""Optimizer steps against TensorFlow's kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hozon.formats.protos.graph import parse_graph
from hozon.graphs.build import function_from_graph
from hozon.graphs.execute import call
from hozon.graphs.library import Library
from hozon.graphs.ops import OPS
from tests.oracle.client import Oracle

#: Op: (number of cells, number of scalars before the gradient, scalars after it, attrs).
STEPS: dict[str, tuple[int, int, int, dict[str, Any]]] = {
    "GradientDescent": (1, 1, 0, {}),
    "Momentum": (2, 1, 1, {"use_nesterov": True}),
    "KerasMomentum": (2, 1, 1, {"use_nesterov": True}),
    "Adam": (3, 6, 0, {}),
    "AdamWithAmsgrad": (4, 6, 0, {}),
    "AdaMax": (3, 5, 0, {}),
    "Adagrad": (2, 1, 0, {}),
    "AdagradV2": (2, 2, 0, {}),
    "Adadelta": (3, 3, 0, {}),
    "RMSProp": (3, 4, 0, {}),
    "CenteredRMSProp": (4, 4, 0, {}),
    "Ftrl": (3, 0, 4, {}),
    "FtrlV2": (3, 0, 5, {}),
    "Ftrl*": (3, 0, 4, {"multiply_linear_by_lr": True}),
    "AdagradDA": (3, 0, 4, {}),
    "AddSign": (2, 4, 0, {}),
    "PowerSign": (2, 4, 0, {}),
    "ProximalAdagrad": (2, 3, 0, {}),
    "ProximalGradientDescent": (1, 3, 0, {}),
}
SPARSE = {
    "Momentum": (2, 1, 1, {"use_nesterov": True}),
    "KerasMomentum": (2, 1, 1, {}),
    "Adagrad": (2, 1, 0, {}),
    "AdagradV2": (2, 2, 0, {}),
    "AdagradDA": (3, 0, 4, {}),
    "Adadelta": (3, 3, 0, {}),
    "RMSProp": (3, 4, 0, {}),
    "CenteredRMSProp": (4, 4, 0, {}),
    "Ftrl": (3, 0, 4, {}),
    "FtrlV2": (3, 0, 5, {}),
    "ProximalAdagrad": (2, 3, 0, {}),
    "ProximalGradientDescent": (1, 3, 0, {}),
}
CASES = [
    *((f"ResourceApply{op}", STEPS[op]) for op in STEPS),
    *((f"ResourceSparseApply{op}", SPARSE[op]) for op in SPARSE),
    *((f"Apply{op}", STEPS[op]) for op in STEPS if f"Apply{op}" in OPS),
    *((f"SparseApply{op}", SPARSE[op]) for op in SPARSE if f"SparseApply{op}" in OPS),
]

RUN = """
graph = tf.Graph()
with graph.as_default():
    from tensorflow.python.framework import op_def_registry
    resource = op.startswith("Resource")
    cells = [tf.compat.v1.Variable(value, name=f"c{i}", use_resource=resource)
             for i, value in enumerate(values)]
    names = [a.name for a in op_def_registry.get(op).input_arg]
    def scalar(value, name):
        return tf.constant(value, "int64" if name == "global_step" else "float32")
    given = [*first, None, *([None] if indices is not None else []), *last]
    inputs = [cell.handle if resource else cell._ref() for cell in cells]
    for value, name in zip(given, names[len(cells):]):
        if name in ("grad", "delta"):
            inputs.append(tf.constant(grad))
        elif name == "indices":
            inputs.append(tf.constant(indices))
        else:
            inputs.append(scalar(value, name))
    step = getattr(tf.raw_ops, op)(**dict(zip(names, inputs)), **attrs)
    with tf.control_dependencies([step]):
        reads = [cell.read_value() for cell in cells]
    with tf.compat.v1.Session() as session:
        initializer = tf.compat.v1.global_variables_initializer()
        session.run(initializer)
        out["values"] = session.run(reads)
    out["initializer"] = initializer.name
    out["reads"] = [read.name for read in reads]
    out["graph"] = graph.as_graph_def().SerializeToString()
"""


@pytest.mark.parametrize(("op", "layout"), CASES, ids=[op for op, _ in CASES])
def test_step_as_in_tensorflow(op: str, layout: Any, oracle: Oracle) -> None:
    cells, before, after, attrs = layout
    rng = np.random.default_rng(1)
    values = [rng.random((3, 2)).astype("f4") + 1 for _ in range(cells)]
    first = (rng.random(before) * 0.5 + 0.1).tolist()
    last = (rng.random(after) * 0.5 + 0.1).tolist()
    if "Ftrl" in op:
        last[-1] = -0.5
    if "AdagradDA" in op:
        last[-1] = 7
    sparse = "Sparse" in op
    indices = np.array([2, 0, 2, 2], "i4") if sparse else None
    told = oracle.python(
        RUN,
        op=op.rstrip("*"),
        values=values,
        first=first,
        last=last,
        attrs=attrs,
        indices=indices,
        grad=rng.normal(size=(4 if sparse else 3, 2)).astype("f4"),
    )
    graph = parse_graph(told["graph"])
    library = Library({})
    start = function_from_graph("init", graph.nodes, {}, {}, {}, [told["initializer"]])
    call(library, start, [])
    fetches = {f"y{i}": name for i, name in enumerate(told["reads"])}
    results = call(library, function_from_graph("step", graph.nodes, {}, fetches, {}), [])
    for have, want in zip(results, told["values"], strict=True):
        assert np.asarray(have).dtype == want.dtype
        np.testing.assert_allclose(np.asarray(have), want, rtol=1e-5, atol=1e-6)
