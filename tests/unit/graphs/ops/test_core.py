"""Constants, identities, variables and other ops of every graph, against TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hozon.graphs.ops import OPS
from tests.oracle.client import Oracle
from tests.unit.graphs import steps
from tests.unit.graphs.ops.harness import Case, answers, check, ids
from tests.unit.graphs.steps import Steps, literal

DTYPES = ["bool", "int8", "uint16", "int32", "uint64", "float16", "float32", "float64", "complex64"]
TEXT = np.array([[b"a", b""]], object)


def values(dtype: str) -> Any:
    return np.array([[0, 1, 2], [3, 5, 0]]).astype(dtype)


def generated() -> Iterator[Case]:
    """Ops that pass on what they get."""
    for op in (
        "Identity",
        "Snapshot",
        "PreventGradient",
        "DeepCopy",
        "StopGradient",
        "Copy",
        "CopyHost",
    ):
        for x in (values("float32"), np.int64(7), np.zeros((0, 2), bool), values("complex128")):
            yield Case(op, [x])
    yield Case("Identity", [TEXT])
    for op, attrs in (
        ("CheckNumerics", {"message": "no"}),
        ("CheckNumericsV2", {"message": "no"}),
        ("PlaceholderWithDefault", {"shape": [2, 3]}),
        ("DebugIdentityV2", {}),
    ):
        yield Case(op, [values("float32")], attrs)
    for dtype in DTYPES:
        yield Case("ZerosLike", [values(dtype)], traced=())
        yield Case("OnesLike", [values(dtype)], traced=())


CASES = list(generated())

FRESH = "v = do('VarHandleOp', dtype=tf.float32, shape=[2, 3])\n"
SET = "do('AssignVariableOp', resource=v, value={})\n"
READ = "get('ReadVariableOp', resource=v, dtype=tf.float32)\n"
X = values("float32")
MADE = FRESH + SET.format(literal(X))
VARIABLES = {
    "read": Steps(MADE + READ),
    "not-initialized": Steps(FRESH + READ, fails=True),
    "is-initialized": Steps(
        FRESH
        + "get('VarIsInitializedOp', resource=v)\n"
        + SET.format(literal(X))
        + "get('VarIsInitializedOp', resource=v)\n"
    ),
    "add-and-subtract": Steps(
        MADE
        + f"do('AssignAddVariableOp', resource=v, value={literal(X)})\n"
        + READ
        + f"do('AssignSubVariableOp', resource=v, value={literal(X * 3)})\n"
        + READ
    ),
    "read-before-and-after": Steps(MADE + READ + SET.format(literal(X + 1)) + READ),
    "shape": Steps(
        MADE + "get('VariableShape', input=v)\nget('VariableShape', input=v, out_type=tf.int64)\n"
    ),
    "misshapen-sum": Steps(
        MADE + f"do('AssignAddVariableOp', resource=v, value={literal(X[:, :2])})\n", fails=True
    ),
    "sum-that-would-broadcast": Steps(
        MADE + f"do('AssignAddVariableOp', resource=v, value={literal(X[:1])})\n", fails=True
    ),
    "gather": Steps(
        MADE
        + f"get('ResourceGather', resource=v, dtype=tf.float32, indices={literal([1, 0, 1])})\n"
        + "get('ResourceGather', resource=v, dtype=tf.float32, batch_dims=1,"
        f" indices={literal([[1], [0]])})\n"
    ),
    "gather-outside": Steps(
        MADE + f"get('ResourceGather', resource=v, dtype=tf.float32, indices={literal([2])})\n",
        fails=True,
    ),
    "gather-nd": Steps(
        MADE
        + f"get('ResourceGatherNd', resource=v, dtype=tf.float32, indices={literal([[1, 2]])})\n"
        + f"get('ResourceGatherNd', resource=v, dtype=tf.float32, indices={literal([[1]])})\n"
    ),
    "shared-name": Steps(
        "a = do('VarHandleOp', dtype=tf.int64, shape=[], shared_name='one')\n"
        f"do('AssignVariableOp', resource=a, value={literal(np.int64(5))})\n"
        "b = do('VarHandleOp', dtype=tf.int64, shape=[], shared_name='one')\n"
        "get('ReadVariableOp', resource=b, dtype=tf.int64)\n"
    ),
    "text": Steps(
        "a = do('VarHandleOp', dtype=tf.string, shape=[1, 2])\n"
        f"do('AssignVariableOp', resource=a, value={literal(TEXT)})\n"
        "get('ReadVariableOp', resource=a, dtype=tf.string)\n"
    ),
    "destroyed": Steps(MADE + READ + "do('DestroyResourceOp', resource=v)\n"),
    "copy-on-read": Steps(MADE + "do('DisableCopyOnRead', resource=v)\n" + READ),
    "reference": Steps(
        "v = do('VariableV2', dtype=tf.float32, shape=[2, 3])\n"
        "get('IsVariableInitialized', ref=v)\n"
        f"do('Assign', ref=v, value={literal(X)})\n"
        "get('IsVariableInitialized', ref=v)\nget('Neg', x=v)\n"
        f"do('AssignAdd', ref=v, value={literal(X + 1)})\nget('Neg', x=v)\n"
        f"get('AssignSub', ref=v, value={literal(X * 3)})\nget('RefIdentity', input=v)\n"
    ),
    "reference-misshapen": Steps(
        "v = do('VariableV2', dtype=tf.float32, shape=[2, 3])\n"
        f"do('Assign', ref=v, value={literal(X[:1])})\n",
        fails=True,
    ),
    "control": Steps(
        "do('NoOp')\ndo('ControlTrigger')\nget('Const', value="
        "tf.make_tensor_proto([1, 2]), dtype=tf.int32)\n"
    ),
    "no-value": Steps(
        "p = do('Placeholder', dtype=tf.float32)\nget('Identity', input=p)\n", fails=True
    ),
    **{
        f"constant-{dtype}": Steps(
            f"x = np.array({values(dtype).tolist()}, {dtype!r})\n"
            "get('Const', value=tf.make_tensor_proto(x),"
            f" dtype=tf.{dtype})\n"
        )
        for dtype in DTYPES
    },
}


#: Ops that TensorFlow 2.21 no longer runs or never lets a graph name, by those that are tested.
SAME = {
    **{
        name: name.removeprefix("Batch")
        for name in (
            "BatchCholesky",
            "BatchCholeskyGrad",
            "BatchFFT",
            "BatchFFT2D",
            "BatchFFT3D",
            "BatchIFFT",
            "BatchIFFT2D",
            "BatchIFFT3D",
            "BatchMatrixBandPart",
            "BatchMatrixDeterminant",
            "BatchMatrixDiag",
            "BatchMatrixDiagPart",
            "BatchMatrixInverse",
            "BatchMatrixSetDiag",
            "BatchMatrixSolve",
            "BatchMatrixSolveLs",
            "BatchMatrixTriangularSolve",
            "BatchSelfAdjointEig",
            "BatchSelfAdjointEigV2",
            "BatchSvd",
        )
    },
    **{
        name: name.removesuffix("V2") + "V3"
        for name in (
            "TensorArray",
            "TensorArrayV2",
            "TensorArrayConcat",
            "TensorArrayConcatV2",
            "TensorArrayGather",
            "TensorArrayGatherV2",
            "TensorArrayGrad",
            "TensorArrayGradV2",
            "TensorArrayRead",
            "TensorArrayReadV2",
            "TensorArrayScatter",
            "TensorArrayScatterV2",
            "TensorArraySplit",
            "TensorArraySplitV2",
            "TensorArrayWrite",
            "TensorArrayWriteV2",
        )
    },
    "Stack": "StackV2",
    "StackPop": "StackPopV2",
    "StackPush": "StackPushV2",
    "HostConst": "Const",
    "PlaceholderV2": "Placeholder",
    "_EagerConst": "Identity",
    "OptimizationBarrierIdentity": "Identity",
    "ReadVariableXlaSplitND": "Identity",
    "RandomPoisson": "RandomPoissonV2",
    "RemoteCall": "PartitionedCall",
    "StatefulPartitionedCall": "PartitionedCall",
    "TensorListConcat": "TensorListConcatV2",
    "TensorListScatter": "TensorListScatterV2",
    "XlaSpmdFullToShardShape": "XlaSharding",
    "XlaSpmdShardToFullShape": "XlaSharding",
    "TensorArraySize": "TensorArraySizeV3",
    "TensorArraySizeV2": "TensorArraySizeV3",
    "TensorArrayClose": "TensorArrayCloseV3",
    "TensorArrayCloseV2": "TensorArrayCloseV3",
    "StackClose": "StackCloseV2",
}


@pytest.mark.parametrize("op", SAME)
def test_ops_of_several_names_are_run_alike(op: str) -> None:
    one, other = OPS[op], OPS[SAME[op]]
    assert (one.handler, one.host, one.context) == (other.handler, other.host, other.context)


@pytest.fixture(scope="module")
def told(oracle: Oracle) -> Any:
    return answers(oracle, CASES)


@pytest.mark.parametrize("case", ids(CASES))
def test_like_tensorflow(case: str, told: Any) -> None:
    check(*told[case])


@pytest.fixture(scope="module")
def recorded(oracle: Oracle) -> dict[str, Any]:
    return steps.record(oracle, VARIABLES)


@pytest.mark.parametrize("name", VARIABLES)
def test_variables_like_tensorflow(name: str, recorded: dict[str, Any]) -> None:
    steps.check(VARIABLES[name], recorded[name])
