"""Lists of tensors, and the recurrent layers that are made of them, against TensorFlow."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest

from hozon.errors import MismatchError
from hozon.graphs.tensorlist import empty_list, list_of
from tests.oracle.client import Oracle
from tests.unit.graphs.flow import Case, check, prepared, record

X = np.linspace(-1, 2, 6, dtype=np.float32).reshape(2, 3)
SEQUENCES = np.sin(np.arange(40, dtype=np.float32)).reshape(2, 5, 4)
MASKED = SEQUENCES * np.array([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]], np.float32)[:, :, None]


def _list(body: str, *inputs: Any, **options: Any) -> Case:
    source = f"""
        def f(*xs):
            from tensorflow.python.ops import list_ops
            raw, L, x = tf.raw_ops, list_ops, xs[0]
            l = L.tensor_list_from_tensor(x, element_shape=x.shape[1:])
            return {body}
        """
    return Case(source, inputs or (X,), **options)


def _layer(layer: str, x: Any = SEQUENCES, **options: Any) -> Case:
    source = f"""
        keras.utils.set_random_seed(3)
        layer = {layer}
        layer(np.zeros({x.shape}, np.float32))
        def f(x):
            return layer(x)
        """
    return Case(source, (x,), gradient=True, **options)


FLOAT = "element_dtype=tf.float32"
CASES = {
    "stack": _list("L.tensor_list_stack(l, tf.float32, element_shape=[3])", gradient=True),
    "get": _list("L.tensor_list_get_item(l, 1, tf.float32, [3])", gradient=True),
    "get_traced": _list(
        "L.tensor_list_get_item(l, xs[1], tf.float32, [3])", X, np.int32(1), gradient=True
    ),
    "set": _list(
        "L.tensor_list_stack(L.tensor_list_set_item(l, 0, x[1] * 2), tf.float32)", gradient=True
    ),
    "set_traced": _list(
        "L.tensor_list_stack(L.tensor_list_set_item(l, xs[1], x[1] * 2), tf.float32)",
        X,
        np.int32(0),
        gradient=True,
    ),
    "unset_is_zero": _list(
        "L.tensor_list_stack(L.tensor_list_set_item("
        "L.tensor_list_reserve([3], 3, tf.float32), 1, x[0]), tf.float32)"
    ),
    "never_set": _list(
        "L.tensor_list_stack(L.tensor_list_reserve([3], 2, tf.float32),"
        " tf.float32), L.tensor_list_get_item("
        "L.tensor_list_reserve([3], 2, tf.float32), 1, tf.float32)"
    ),
    "push_and_pop": _list(
        "L.tensor_list_pop_back(L.tensor_list_push_back(l, x[0] + x[1]),"
        " tf.float32)[1], L.tensor_list_length(L.tensor_list_push_back(l, x[0]))",
        gradient=True,
    ),
    "resize": _list(
        "L.tensor_list_stack(L.tensor_list_resize(l, 4), tf.float32,"
        " element_shape=[3]), L.tensor_list_stack("
        "L.tensor_list_resize(l, 1), tf.float32)"
    ),
    "concat": _list(
        "raw.TensorListConcatV2(input_handle=l, element_shape=[3],"
        f" leading_dims=tf.zeros([0], tf.int64), {FLOAT})[:]"
    ),
    "concat_lists": _list(
        f"L.tensor_list_stack(raw.TensorListConcatLists(input_a=l, input_b=l, {FLOAT}), tf.float32)"
    ),
    "split": _list(
        "L.tensor_list_get_item(raw.TensorListSplit(tensor=x[0], element_shape=[-1],"
        " lengths=tf.constant([1, 2], tf.int64)), 1, tf.float32)"
    ),
    "gather": _list(
        "L.tensor_list_gather(l, [1, 0], tf.float32), L.tensor_list_gather(l, xs[1], tf.float32)",
        X,
        np.array([1, 0], np.int32),
        gradient=True,
    ),
    "scatter": _list(
        "L.tensor_list_stack(L.tensor_list_scatter(x, [2, 0], [3]), tf.float32)", gradient=True
    ),
    "scatter_traced": _list(
        "L.tensor_list_stack(raw.TensorListScatterV2(tensor=x, indices=xs[1],"
        " element_shape=[3], num_elements=4), tf.float32)",
        X,
        np.array([3, 1], np.int32),
        gradient=True,
    ),
    "scatter_into": _list(
        "L.tensor_list_stack(raw.TensorListScatterIntoExistingList("
        "input_handle=l, tensor=x[:1] * 2, indices=[1]), tf.float32)"
    ),
    "element_shape": _list(
        "L.tensor_list_element_shape(l, tf.int32), L.tensor_list_element_shape("
        "L.tensor_list_reserve(None, 2, tf.float32), tf.int64)"
    ),
    "strings": _list(
        "tf.strings.join([L.tensor_list_get_item(l, 1, tf.string, []), 'x'])",
        np.array(["a", "b"]),
        host=True,
    ),
    "optional": Case(
        """
        def f(x):
            o = tf.raw_ops.OptionalFromValue(components=[x, x + 1])
            y, z = tf.raw_ops.OptionalGetValue(optional=o, output_types=[tf.float32] * 2,
                                               output_shapes=[x.shape] * 2)
            return y * z, tf.raw_ops.OptionalHasValue(optional=o), (
                tf.raw_ops.OptionalHasValue(optional=tf.raw_ops.OptionalNone()))
        """,
        (X,),
        gradient=True,
    ),
    "array_scatter_and_gather": Case(
        """
        def f(x):
            a = tf.TensorArray(tf.float32, size=3, element_shape=[3]).scatter([2, 0], x)
            return a.gather([0, 2]), a.stack(), a.concat() if False else a.size()
        """,
        (X,),
        gradient=True,
    ),
    "array_of_two_lengths": Case(
        """
        def f(x):
            a = tf.TensorArray(tf.float32, size=2, infer_shape=False)
            return a.write(0, x[0]).write(1, x[1, :1]).concat()
        """,
        (X,),
        gradient=True,
    ),
    "lstm": _layer("keras.layers.LSTM(3)"),
    "lstm_sequences": _layer("keras.layers.LSTM(3, return_sequences=True, return_state=True)"),
    "lstm_cell_backwards": _layer("keras.layers.RNN(keras.layers.LSTMCell(3), go_backwards=True)"),
    "lstm_sigmoid": _layer("keras.layers.LSTM(3, recurrent_activation='hard_sigmoid')"),
    "lstm_unknown_shape": _layer("keras.layers.RNN(keras.layers.LSTMCell(3))", known=False),
    "lstm_stacked": _layer(
        "keras.Sequential([keras.layers.RNN(keras.layers.LSTMCell(3),"
        " return_sequences=True), keras.layers.RNN(keras.layers.GRUCell(2))])"
    ),
    "gru": _layer("keras.layers.GRU(3, return_sequences=True)"),
    "gru_reset_before": _layer("keras.layers.GRU(3, reset_after=False)"),
    "simple": _layer("keras.layers.SimpleRNN(3, return_sequences=True)"),
    "time_major": _layer(
        "keras.layers.RNN(keras.layers.GRUCell(3), time_major=True, return_sequences=True)"
    ),
    "unrolled": _layer("keras.layers.SimpleRNN(3, unroll=True)"),
    "bidirectional": _layer(
        "keras.layers.Bidirectional(keras.layers.RNN("
        "keras.layers.LSTMCell(2), return_sequences=True))"
    ),
    "masked": _layer(
        "keras.Sequential([keras.layers.Masking(), keras.layers.RNN("
        "keras.layers.LSTMCell(3), return_sequences=True)])",
        MASKED,
    ),
    "masked_zero_output": _layer(
        "keras.Sequential([keras.layers.Masking(), keras.layers.RNN("
        "keras.layers.GRUCell(3), return_sequences=True,"
        " zero_output_for_mask=True)])",
        MASKED,
    ),
    "masked_simple": _layer(
        "keras.Sequential([keras.layers.Masking(), keras.layers.SimpleRNN(3)])", MASKED
    ),
    "conv_lstm": _layer("keras.layers.ConvLSTM1D(2, 3)", SEQUENCES.reshape(2, 5, 4, 1)),
    "time_distributed": _layer("keras.layers.TimeDistributed(keras.layers.Dense(2))"),
}


@pytest.fixture(scope="module")
def answers(oracle: Oracle) -> dict[str, Any]:
    return record(oracle, CASES)


@pytest.mark.parametrize("name", CASES)
def test_like_tensorflow(name: str, answers: dict[str, Any]) -> None:
    check(CASES[name], answers[name])


def test_variables_may_be_read_first_under_tracing(answers: dict[str, Any]) -> None:
    recorded = prepared(answers["lstm"])
    first = jax.jit(recorded)(SEQUENCES)
    np.testing.assert_allclose(first[0], answers["lstm"]["outputs"][0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(recorded(SEQUENCES)[0], first[0], rtol=1e-5, atol=1e-6)


def test_a_position_outside_of_a_list_is_refused() -> None:
    for items in (empty_list(2, np.dtype(np.float32), (3,)), list_of(X, (3,))):
        with pytest.raises(MismatchError):
            items.get(2)
        with pytest.raises(MismatchError):
            items.set(-1, X[0])


def test_an_empty_list_has_nothing_to_pop() -> None:
    with pytest.raises(MismatchError):
        empty_list(0, np.dtype(np.float32), (3,)).pop()


def test_a_list_is_a_value() -> None:
    items = list_of(X, (3,))
    changed = items.set(0, X[1])
    np.testing.assert_array_equal(items.get(0), X[0])
    np.testing.assert_array_equal(changed.get(0), X[1])
