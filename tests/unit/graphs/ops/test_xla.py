"""XLA's ops and modules against TensorFlow, which compiles them."""

from __future__ import annotations

import textwrap
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from hozon.errors import FormatError, HozonError, MismatchError, UnsupportedError
from hozon.formats.protos.graph import TypeNumber
from tests.oracle.client import Oracle
from tests.unit.graphs.flow import Case, check, prepared, record
from tests.unit.graphs.ops.harness import kernel

PRELUDE = """
from tensorflow.compiler.tf2xla.ops import gen_xla_ops as xla
from tensorflow.compiler.xla import xla_data_pb2 as data

def dims(kind, **fields):
    return getattr(data, kind)(**fields).SerializeToString()

def scalars(f, dtype=tf.float32, count=2):
    return tf.function(f).get_concrete_function(*[tf.TensorSpec((), dtype)] * count)

"""
RNG = np.random.default_rng(11)


def normal(*shape: int) -> Any:
    return RNG.normal(size=shape).astype("f4")


def compiled(body: str, *inputs: Any, **options: Any) -> Case:
    """A case whose function ``f`` of ``x, y, z`` (as many as there are inputs) XLA compiles."""
    names = ", ".join("xyzw"[: len(inputs)])
    source = f"@tf.function(jit_compile=True)\ndef f({names}):\n"
    return Case(
        PRELUDE + source + textwrap.indent(textwrap.dedent(body), "    "), inputs, **options
    )


X, Y = normal(2, 3, 4), normal(2, 4, 5)
PICTURE = normal(2, 7, 8, 3)
WINDOW = "[1, 2, 3, 1], [1, 2, 2, 1]"

CASES = {
    "dot": compiled(
        """
        n = dims("DotDimensionNumbers", lhs_contracting_dimensions=[2],
                 rhs_contracting_dimensions=[1], lhs_batch_dimensions=[0],
                 rhs_batch_dimensions=[0])
        return xla.xla_dot(x, y, n, b"")
        """,
        X,
        Y,
    ),
    "dot_v2": compiled(
        """
        n = dims("DotDimensionNumbers", lhs_contracting_dimensions=[1, 0],
                 rhs_contracting_dimensions=[0, 1])
        p = data.PrecisionConfig(operand_precision=[2, 2]).SerializeToString()
        return xla.xla_dot_v2(x, y, n, p, tf.int32)
        """,
        np.arange(6, dtype="i1").reshape(2, 3),
        np.arange(24, dtype="i1").reshape(3, 2, 4),
    ),
    "conv": compiled(
        """
        n = dims("ConvolutionDimensionNumbers", input_batch_dimension=0, input_feature_dimension=3,
                 input_spatial_dimensions=[1, 2], kernel_input_feature_dimension=2,
                 kernel_output_feature_dimension=3, kernel_spatial_dimensions=[0, 1],
                 output_batch_dimension=0, output_feature_dimension=3,
                 output_spatial_dimensions=[1, 2])
        return xla.xla_conv(x, y, [2, 1], [[0, 1], [2, 0]], [1, 2], [1, 1], 1, n, b"")
        """,
        PICTURE,
        normal(3, 2, 3, 4),
    ),
    "conv_v2": compiled(
        """
        n = dims("ConvolutionDimensionNumbers", input_batch_dimension=0, input_feature_dimension=1,
                 input_spatial_dimensions=[2], kernel_input_feature_dimension=1,
                 kernel_output_feature_dimension=0, kernel_spatial_dimensions=[2],
                 output_batch_dimension=1, output_feature_dimension=0,
                 output_spatial_dimensions=[2])
        return xla.xla_conv_v2(x, y, [1], [[1, 1]], [1], [2], 2, n, b"", tf.float32, 1)
        """,
        normal(2, 4, 9),
        normal(6, 2, 3),
    ),
    "einsum": compiled("return xla.xla_einsum(x, y, 'bij,bjk->ikb')", X, Y),
    "pad": compiled("return xla.xla_pad(x, y, [1, -1, 0], [0, 2, 0], [0, 1, 2])", X, np.float32(7)),
    "slice": compiled(
        "return xla.xla_dynamic_slice(x, y, [1, 2, 4])", X, np.array([1, 9, -3], "i4")
    ),
    "update_slice": compiled(
        "return xla.xla_dynamic_update_slice(x, y, z)",
        X,
        normal(1, 2, 4),
        np.array([1, 2, 0], "i4"),
    ),
    "gather": compiled(
        """
        n = dims("GatherDimensionNumbers", offset_dims=[1, 2], collapsed_slice_dims=[0],
                 start_index_map=[0, 2], index_vector_dim=1)
        return xla.xla_gather(x, y, [1, 3, 2], n, False)
        """,
        X,
        np.array([[0, 0], [1, 2], [0, 9]], "i4"),
    ),
    "gather_of_scalars": compiled(
        """
        n = dims("GatherDimensionNumbers", offset_dims=[0, 1], collapsed_slice_dims=[1],
                 start_index_map=[1], index_vector_dim=1)
        return xla.xla_gather(x, y, [2, 1, 4], n, True)
        """,
        X,
        np.array([0, 1, 2, 5], "i8"),
    ),
    "scatter_add": compiled(
        """
        n = dims("ScatterDimensionNumbers", update_window_dims=[1], inserted_window_dims=[0],
                 scatter_dims_to_operand_dims=[0], index_vector_dim=1)
        return xla.xla_scatter(x, y, z, scalars(lambda a, b: a + b), n, False)
        """,
        normal(3, 4),
        np.array([[0], [2], [0], [7]], "i4"),
        normal(4, 4),
    ),
    "scatter": compiled(
        """
        n = dims("ScatterDimensionNumbers", update_window_dims=[0], inserted_window_dims=[1],
                 scatter_dims_to_operand_dims=[1], index_vector_dim=0)
        return xla.xla_scatter(x, y, z, scalars(lambda a, b: b), n, False)
        """,
        normal(3, 4),
        np.array([[1, 3]], "i4"),
        normal(3, 2),
    ),
    "reduce": compiled(
        "return xla.xla_reduce(x, y, [0, 2], scalars(lambda a, b: a + b))", X, np.float32(2)
    ),
    "reduce_max": compiled(
        """
        return xla.xla_reduce(x, y, [1], scalars(lambda a, b: tf.maximum(b, a)))
        """,
        X,
        np.float32(0),
    ),
    "reduce_by_a_function": compiled(
        """
        return xla.xla_reduce(x, y, [2], scalars(lambda a, b: a * b + a + b))
        """,
        X,
        np.float32(0),
    ),
    "variadic_reduce": compiled(
        """
        def larger(a, i, b, j):
            return tf.where(a >= b, a, b), tf.where(a >= b, i, j)
        s, t = tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.int32)
        g = tf.function(larger).get_concrete_function(s, t, s, t)
        i = tf.broadcast_to(tf.range(4), [2, 3, 4])
        return xla.xla_variadic_reduce_v2([x, i], [-np.inf, 0], [2], g)
        """,
        X,
    ),
    "variadic_reduce_of_one": compiled(
        """
        return xla.xla_variadic_reduce([x], [y], [2], scalars(lambda a, b: a * b))
        """,
        X,
        np.float32(1),
    ),
    "reduce_window": compiled(
        f"""
        return xla.xla_reduce_window(x, -np.inf, {WINDOW}, [1, 1, 1, 1], [1, 1, 2, 1],
                                     [[0, 0], [1, 0], [0, 2], [0, 0]],
                                     scalars(lambda a, b: tf.maximum(a, b)))
        """,
        PICTURE,
    ),
    "reduce_window_sum": compiled(
        f"""
        return xla.xla_reduce_window(x, 1., {WINDOW}, [1, 1, 2, 1], [1, 1, 1, 1],
                                     [[0, 0], [0, 0], [1, 1], [0, 0]],
                                     scalars(lambda a, b: a + b))
        """,
        PICTURE,
    ),
    "select_and_scatter": compiled(
        f"""
        return xla.xla_select_and_scatter(
            x, {WINDOW}, [[0, 0], [1, 0], [0, 1], [0, 0]], y, 0.,
            scalars(lambda a, b: a >= b), scalars(lambda a, b: a + b))
        """,
        PICTURE,
        normal(2, 4, 4, 3),
    ),
    "sort": compiled("return xla.xla_sort(x)", X),
    "key_value_sort": compiled(
        "return xla.xla_key_value_sort(x, y)", np.array([3, 1, 2, 0], "i4"), normal(4)
    ),
    "variadic_sort": compiled(
        """
        s, t = tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.int32)
        g = tf.function(lambda a, b, i, j: a < b).get_concrete_function(s, s, t, t)
        i = tf.broadcast_to(tf.range(3)[:, None], [2, 3, 4])
        return xla.xla_variadic_sort([x, i], 1, g, True)
        """,
        X,
    ),
    "variadic_sort_by_the_second": compiled(
        """
        s, t = tf.TensorSpec((), tf.float32), tf.TensorSpec((), tf.int32)
        g = tf.function(lambda i, j, a, b: a > b).get_concrete_function(t, t, s, s)
        i = tf.broadcast_to(tf.range(4), [2, 3, 4])
        return xla.xla_variadic_sort([i, x], 2, g, True)
        """,
        np.round(X),
    ),
    "sharding": compiled("return xla.xla_sharding(x + 1, b'')", X),
    "barrier": compiled("return xla.xla_optimization_barrier([x, y])", X, Y),
    "reduce_precision": compiled("return xla.xla_reduce_precision(x, 5, 7)", X),
    "eigenvalues": compiled(
        """
        return xla.xla_self_adjoint_eig(x + tf.transpose(x), True, 50, 1e-7)[0]
        """,
        normal(4, 4),
    ),
    "singular_values": compiled("return xla.xla_svd(x, 50, 1e-7, b'')[0]", normal(4, 3)),
    "broadcast_helper": compiled("return xla.xla_broadcast_helper(x, y, [1])", X, normal(3)),
    "philox": compiled(
        """
        return xla.xla_rng_bit_generator(1, x, [3, 5], tf.uint32)
        """,
        np.array([7, 1 << 40], "u8"),
    ),
    "threefry": compiled(
        """
        return xla.xla_rng_bit_generator(2, x, [9], tf.uint64)
        """,
        np.array([7, 1], "u8"),
    ),
}


def exported(f: Any, *specs: Any, platforms: tuple[str, ...] = ("cpu",)) -> bytes:
    with jax.enable_x64(True):
        made = export.export(jax.jit(f), platforms=platforms)(*specs)
    return bytes(made.mlir_module_serialized)


def module(
    data: bytes,
    results: str,
    shapes: str,
    *inputs: Any,
    platforms: str = "['CPU']",
    version: int = 10,
    **options: Any,
) -> Case:
    names = ", ".join("xyzw"[: len(inputs)])
    source = f"""
def f({names}):
    return xla.xla_call_module([{names}], version={version}, module={data!r}, Sout={shapes},
                               Tout={results}, platforms={platforms})
"""
    return Case(PRELUDE + source, inputs, **options)


def spec(*shape: Any, dtype: str = "float32") -> Any:
    return jax.ShapeDtypeStruct(shape, dtype)


def both(x: Any, y: Any) -> Any:
    return jnp.sin(x) @ y, x.shape[0] + jnp.sum(y)


A, B = export.symbolic_shape("a, b")
STATIC = exported(both, spec(2, 3), spec(3, 4))
DYNAMIC = exported(both, spec(A, B), spec(B, 4))
TWO_PLATFORMS = exported(both, spec(A, B), spec(B, 4), platforms=("tpu", "cpu"))
FLOATS, SHAPES = "[tf.float32, tf.float32]", "[[None, 4], []]"
MODULES = {
    "static": module(STATIC, FLOATS, "[[2, 4], []]", normal(2, 3), normal(3, 4)),
    "dynamic": module(DYNAMIC, FLOATS, SHAPES, normal(2, 3), normal(3, 4)),
    "dynamic_again": module(DYNAMIC, FLOATS, SHAPES, normal(5, 1), normal(1, 4)),
    "dynamic_of_unknown": module(DYNAMIC, FLOATS, SHAPES, normal(5, 1), normal(1, 4), known=False),
    "platforms": module(
        TWO_PLATFORMS, FLOATS, SHAPES, normal(2, 3), normal(3, 4), platforms="['TPU', 'CPU']"
    ),
    "version_9": module(DYNAMIC, FLOATS, SHAPES, normal(2, 3), normal(3, 4), version=9),
    "version_5": module(STATIC, FLOATS, SHAPES, normal(2, 3), normal(3, 4), version=5),
    "types": module(
        exported(
            lambda x, y: (x * 2, y + 1, x > y, x.astype("bfloat16"), y.astype("float64")),
            spec(3, dtype="int64"),
            spec(3, dtype="uint8"),
        ),
        "[tf.int64, tf.uint8, tf.bool, tf.bfloat16, tf.float64]",
        "[[3]] * 5",
        np.array([1, -2, 3]),
        np.array([1, 255, 3], "u1"),
    ),
    "loop": module(
        exported(lambda x: jax.lax.fori_loop(0, 5, lambda i, c: jnp.tanh(c) + i, x), spec(A, 3)),
        "[tf.float32]",
        "[[None, 3]]",
        normal(2, 3),
    ),
    "cumulative": module(
        exported(lambda x: jnp.sort(jnp.cumsum(x, 0), 1), spec(A, B)),
        "[tf.float32]",
        "[[None, None]]",
        normal(4, 3),
    ),
}


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return record(oracle, {**CASES, **MODULES})


@pytest.mark.parametrize("name", CASES)
def test_op(name: str, answers: dict[str, Any]) -> None:
    check(CASES[name], answers[name])


@pytest.mark.parametrize("name", MODULES)
def test_module(name: str, answers: dict[str, Any]) -> None:
    check(MODULES[name], answers[name])


@pytest.mark.parametrize("name", ["reduce", "reduce_window_sum", "reduce_max"])
def test_known_reducers_can_be_differentiated(name: str, answers: dict[str, Any]) -> None:
    recorded = prepared(answers[name])
    x, *rest = CASES[name].inputs

    def total(x: Any) -> Any:
        return sum(jnp.sum(jnp.cos(y)) for y in recorded.outputs(x, *rest))

    direction = np.cos(np.arange(x.size)).reshape(x.shape)
    with jax.enable_x64(True):
        slope = jnp.vdot(jax.grad(total)(x), direction)
        ahead, behind = (total((x + s * direction).astype("f4")) for s in (1e-2, -1e-2))
    np.testing.assert_allclose(slope, (ahead - behind) / 2e-2, rtol=0.05)


def call(data: bytes, *arguments: Any, version: int = 10, **attrs: Any) -> Any:
    types = tuple(TypeNumber(1) for _ in range(attrs.pop("results", 2)))
    return kernel(
        "XlaCallModule",
        version=version,
        module=data,
        Sout=(),
        Tout=types,
        Tin=(),
        platforms=(b"CPU",),
        **attrs,
    )(*arguments)


def test_a_module_for_another_platform_runs() -> None:
    """TensorFlow refuses it; the operations are the same everywhere."""
    data = exported(both, spec(A, B), spec(B, 4), platforms=("tpu",))
    x, y = normal(2, 3), normal(3, 4)
    np.testing.assert_allclose(call(data, x, y)[0], np.sin(x) @ y, rtol=1e-5)


def test_a_module_may_call_linear_algebra() -> None:
    """TensorFlow's CPU has no such calls."""
    data = exported(lambda x: jnp.linalg.cholesky(x @ x.T + jnp.eye(4, dtype="f4")), spec(4, 4))
    x = normal(4, 4)
    (found,) = call(data, x, results=1)
    np.testing.assert_allclose(found @ found.T, x @ x.T + np.eye(4), rtol=1e-4, atol=1e-5)


def test_dimensions_may_be_arguments() -> None:
    """As in version 4: the sizes that ``dim_args_spec`` names come before the arguments."""
    text = """
    func.func public @main(%n: tensor<i32>, %x: tensor<?xf32>) -> tensor<?xf32> {
      %s = stablehlo.reshape %n : (tensor<i32>) -> tensor<1xi32>
      %f = stablehlo.convert %n : (tensor<i32>) -> tensor<f32>
      %b = stablehlo.dynamic_broadcast_in_dim %f, %s, dims = [] :
        (tensor<f32>, tensor<1xi32>) -> tensor<?xf32>
      %y = stablehlo.add %x, %b : tensor<?xf32>
      return %y : tensor<?xf32>
    }"""
    (found,) = call(
        artifact(text), np.arange(3, dtype="f4"), version=4, results=1, dim_args_spec=(b"0.0",)
    )
    assert found.tolist() == [3, 4, 5]
    with pytest.raises(HozonError):
        call(
            artifact(text), np.arange(3, dtype="f4"), version=4, results=1, dim_args_spec=(b"0.1",)
        )


def artifact(text: str) -> bytes:
    from jax._src.interpreters import mlir
    from jax._src.lib.mlir import ir

    from hozon.graphs._jax import _artifact

    with mlir.make_ir_context():
        return _artifact(ir.Module.parse(f"module {{ {text} }}"))


@pytest.mark.parametrize("target", ["xla_python_cpu_callback", "tf.call_tf_function", "anything"])
def test_code_outside_of_a_module_is_not_called(target: str) -> None:
    text = f"""
    func.func public @main(%x: tensor<2xf32>) -> tensor<2xf32> {{
      %y = stablehlo.custom_call @{target}(%x) : (tensor<2xf32>) -> tensor<2xf32>
      return %y : tensor<2xf32>
    }}"""
    with pytest.raises(UnsupportedError, match=target):
        call(artifact(text), normal(2), results=1)


def test_what_is_no_module_is_refused() -> None:
    for data in (b"", b"ML", STATIC[:200], b"\0" * 99):
        with pytest.raises(FormatError, match="StableHLO"):
            call(data, normal(2, 3), normal(3, 4))


def test_arguments_and_results_must_be_those_of_the_module() -> None:
    with pytest.raises(MismatchError, match=r"argument 0 of a module is float32\[2, 4\]"):
        call(STATIC, normal(2, 4), normal(3, 4))
    with pytest.raises(MismatchError, match="shapes"):
        call(DYNAMIC, normal(2, 4), normal(3, 4))
    with pytest.raises(FormatError, match="takes 2 arguments, not 1"):
        call(STATIC, normal(2, 3))
    with pytest.raises(FormatError, match="gives"):
        call(STATIC, normal(2, 3), normal(3, 4), results=1)


def test_unknown_conventions_are_refused() -> None:
    for version in (3, 11):
        with pytest.raises(UnsupportedError, match="calling convention"):
            call(STATIC, normal(2, 3), normal(3, 4), version=version)
    with pytest.raises(UnsupportedError, match="functions of the graph"):
        call(STATIC, normal(2, 3), normal(3, 4), function_list=("f",))


def test_damaged_dimension_numbers_are_refused() -> None:
    with pytest.raises(FormatError, match="dimension_numbers"):
        kernel("XlaDot", dimension_numbers=b"\xff", precision_config=b"", T=TypeNumber(1))
