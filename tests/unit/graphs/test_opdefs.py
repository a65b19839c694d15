"""The generated op table against TensorFlow's own registry."""

from __future__ import annotations

import dataclasses
import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hozon.formats.protos import graph_pb2 as pb
from hozon.formats.protos.graph import decode_attr, parse_graph
from hozon.graphs.opdefs import op_def, op_names
from tests.oracle.client import PYTHON, ROOT, Oracle

#: Each op of the registry as plain data; values stay serialized, for Hozon's own decoder.
REGISTRY = """
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session as session
ops = op_def_pb2.OpList()
ops.ParseFromString(session.TF_GetBuffer(session.TF_GetAllOpList()))

def argument(a):
    return a.name, a.type, a.type_attr, a.number_attr, a.type_list_attr, a.is_ref

def field(attr, name):
    return getattr(attr, name).SerializeToString() if attr.HasField(name) else None

for op in ops.op:
    out[op.name] = {
        'inputs': tuple(map(argument, op.input_arg)),
        'outputs': tuple(map(argument, op.output_arg)),
        'stateful': op.is_stateful,
        'attrs': {
            a.name: (a.type, field(a, 'default_value'), field(a, 'allowed_values'),
                     a.minimum if a.has_minimum else None)
            for a in op.attr
        },
    }
"""

#: Graphs whose ops have one, several and no outputs, counted in every way an op can count them.
ARITIES = """
with tf.Graph().as_default() as graph:
    x = tf.raw_ops.Placeholder(dtype=tf.float32, shape=[4, 6])
    tf.raw_ops.Split(axis=0, value=x, num_split=2)
    tf.raw_ops.Unpack(value=x, num=4, axis=0)
    tf.raw_ops.IdentityN(input=[x, tf.constant(1), tf.constant('s')])
    tf.raw_ops.TopKV2(input=x, k=2)
    tf.raw_ops.NoOp()
    tf.raw_ops.FusedBatchNormV3(x=tf.ones([1, 2, 2, 3]), scale=tf.ones(3), offset=tf.ones(3),
                                mean=[], variance=[])
    tf.raw_ops.DynamicPartition(data=x, partitions=[0, 1, 2, 1], num_partitions=3)
    tf.io.parse_example(tf.constant([b'']), {
        'd': tf.io.FixedLenFeature([2], tf.float32, [0., 0.]),
        's': tf.io.VarLenFeature(tf.int64), 't': tf.io.VarLenFeature(tf.string),
        'r': tf.io.RaggedFeature(tf.float32),
    })
    tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v), [0, x])
out['graph'] = graph.as_graph_def().SerializeToString()
out['counts'] = {op.name: len(op.outputs) for op in graph.get_operations()}
"""


@pytest.fixture(scope="module")
def registry(oracle: Oracle) -> dict[str, Any]:
    """TensorFlow's registry, of a process of its own: converters add ops to that of theirs."""
    fresh = Oracle()
    try:
        return fresh.python(REGISTRY)
    finally:
        fresh.close()


def plain(serialized: bytes | None) -> Any:
    """A value of the registry as Hozon decodes that of a node."""
    return None if serialized is None else decode_attr(pb.AttrValue.FromString(serialized))


def kinds(value: Any) -> Any:
    """The Python types of a value, which equality alone does not tell (1, True, TypeNumber)."""
    return [type(item) for item in value] if isinstance(value, tuple) else type(value)


def test_names_are_those_of_the_registry(registry: dict[str, Any]) -> None:
    names = list(op_names())
    assert len(names) > 1500
    assert names == sorted(registry)


def test_arguments_and_state(registry: dict[str, Any]) -> None:
    for name, told in registry.items():
        definition = op_def(name)
        assert definition is not None
        assert tuple(map(dataclasses.astuple, definition.inputs)) == told["inputs"], name
        assert tuple(map(dataclasses.astuple, definition.outputs)) == told["outputs"], name
        assert definition.is_stateful == told["stateful"], name


def test_attributes_have_the_form_of_decoded_nodes(registry: dict[str, Any]) -> None:
    for name, told in registry.items():
        definition = op_def(name)
        assert definition is not None
        assert list(definition.attrs) == list(told["attrs"]), name
        for attr, (kind, default, allowed, minimum) in told["attrs"].items():
            here = definition.attrs[attr]
            where = f"{name}.{attr}"
            assert (here.name, here.type, here.minimum) == (attr, kind, minimum), where
            assert here.has_default == (default is not None), where
            assert (here.default, here.allowed) == (plain(default), plain(allowed)), where
            assert kinds(here.default) == kinds(plain(default)), where
            assert kinds(here.allowed) == kinds(plain(allowed)), where


def test_output_arity_is_that_of_real_nodes(oracle: Oracle) -> None:
    told = oracle.python(ARITIES)
    nodes = parse_graph(told["graph"]).nodes
    assert len(nodes) == len(told["counts"])
    seen = set()
    for node in nodes:
        definition = op_def(node.op)
        assert definition is not None, node.op
        assert definition.output_arity(node.attrs) == told["counts"][node.name], node.op
        seen.add(node.op)
    assert {"Split", "Unpack", "IdentityN", "NoOp", "ParseExampleV2", "DynamicPartition"} <= seen


def test_only_counts_are_arities() -> None:
    concat = op_def("ConcatV2")
    assert concat is not None
    assert {name for name, attr in concat.attrs.items() if attr.is_arity} == {"N"}


def test_an_unknown_op_is_none() -> None:
    assert op_def("NotAnOp") is None


def test_a_definition_cannot_be_changed() -> None:
    definition = op_def("Conv2D")
    assert definition is not None
    with pytest.raises(dataclasses.FrozenInstanceError):
        definition.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        definition.attrs["T"] = definition.attrs["padding"]  # type: ignore[index]


def test_loading_the_table_is_quick() -> None:
    code = (
        "import time, hozon.graphs.opdefs as o; t = time.perf_counter(); o.op_def('Conv2D'); "
        "print(time.perf_counter() - t)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        for _ in range(3)
    ]
    assert min(float(run.stdout) for run in runs) < 0.02  # 2 to 4 ms on a quiet machine


def test_the_generator_writes_what_is_checked_in(oracle: Oracle, tmp_path: Path) -> None:
    target = tmp_path / "opdefs.json.gz"
    command = [str(PYTHON), str(ROOT / "tools" / "make_opdefs.py"), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    checked_in = ROOT / "src" / "hozon" / "graphs" / "opdefs.json.gz"
    assert gzip.decompress(target.read_bytes()) == gzip.decompress(checked_in.read_bytes())
