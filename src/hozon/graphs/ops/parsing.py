"""Parsing of ``tf.train.Example`` records, on the host."""

from __future__ import annotations

import numpy as np

from hozon.graphs.ops.examples import denses_of, names, outputs_of, ragged_of, read_records
from hozon.graphs.table import Kernel, NodeView, OpTable
from hozon.graphs.values import Value

PARSING = OpTable("parsing")


@PARSING.op("ParseExample", host=True)
def parse_examples(node: NodeView) -> Kernel:
    sparse_count, dense_count = int(node.attr("Nsparse")), int(node.attr("Ndense"))
    sparse_types = [d.numpy for d in node.dtypes("sparse_types")]
    denses = denses_of(node)

    def kernel(serialized: Value, _: Value, *rest: Value) -> tuple[Value, ...]:
        sparse_keys = names(rest[:sparse_count])
        dense_keys = names(rest[sparse_count : sparse_count + dense_count])
        defaults = rest[sparse_count + dense_count :]
        records = read_records(node, serialized)
        return tuple(
            outputs_of(node, records, sparse_keys, sparse_types, dense_keys, denses, defaults)
        )

    return kernel


@PARSING.op("ParseExampleV2", host=True)
def parse_examples_v2(node: NodeView) -> Kernel:
    node.attr("num_sparse")
    sparse_types = [d.numpy for d in node.dtypes("sparse_types")]
    ragged_types = [d.numpy for d in node.dtypes("ragged_value_types")]
    split_types = [d.numpy for d in node.dtypes("ragged_split_types")]
    denses = denses_of(node)

    def kernel(
        serialized: Value,
        _: Value,
        sparse_keys: Value,
        dense_keys: Value,
        ragged_keys: Value,
        *defaults: Value,
    ) -> tuple[Value, ...]:
        records = read_records(node, serialized)
        outputs = outputs_of(
            node, records, sparse_keys.tolist(), sparse_types, dense_keys.tolist(), denses, defaults
        )
        outputs += ragged_of(node, records, ragged_keys.tolist(), ragged_types, split_types)
        if np.ndim(serialized) == 0:
            outputs = _of_one(outputs, len(sparse_types), len(denses))
        return tuple(outputs)

    return kernel


def _of_one(outputs: list[Value], sparse: int, dense: int) -> list[Value]:
    """The outputs for a single record: without the axis of records, and without row splits."""
    single = [o[:, 1:] for o in outputs[:sparse]]
    single += outputs[sparse : 2 * sparse] + [o[1:] for o in outputs[2 * sparse : 3 * sparse]]
    single += [o[0] for o in outputs[3 * sparse : 3 * sparse + dense]]
    ragged = (len(outputs) - 3 * sparse - dense) // 2
    return (
        single
        + outputs[3 * sparse + dense :][:ragged]
        + [splits[:0] for splits in outputs[3 * sparse + dense + ragged :]]
    )


@PARSING.op("ParseSingleExample", host=True)
def parse_single_example(node: NodeView) -> Kernel:
    node.attr("num_sparse")
    sparse_keys, dense_keys = list(node.attr("sparse_keys")), list(node.attr("dense_keys"))
    sparse_types = [d.numpy for d in node.dtypes("sparse_types")]
    denses = denses_of(node)

    def kernel(serialized: Value, *defaults: Value) -> tuple[Value, ...]:
        records = read_records(node, serialized)
        outputs = outputs_of(node, records, sparse_keys, sparse_types, dense_keys, denses, defaults)
        return tuple(_of_one(outputs, len(sparse_types), len(denses)))

    return kernel
