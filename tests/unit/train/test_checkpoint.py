"""Checkpoints of live objects: round trips, deferred restoration, statuses, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import hozon.train
from hozon.errors import FormatError, MismatchError, UnsupportedError
from hozon.formats.bundle.writer import write_bundle
from hozon.objects.keys import tensor_key

L = keras.layers
X = np.linspace(-1, 1, 12, dtype="float32").reshape(3, 4)


def network(units: int = 3) -> keras.Model:
    inputs = keras.Input((4,))
    x = L.Dense(units, name="a")(inputs)
    return keras.Model(inputs, L.Dense(2, name="b")(L.BatchNormalization()(x)))


def randomize(target: Any) -> None:
    generator = np.random.default_rng(0)
    for variable in target.weights:
        variable.assign(generator.normal(size=variable.shape))


def values(target: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(v.value) for v in target.weights]


def assert_same(one: Any, other: Any) -> None:
    assert len(values(one)) == len(values(other)) > 0
    for a, b in zip(values(one), values(other), strict=True):
        np.testing.assert_array_equal(a, b)


class Later(keras.Model):
    """Everything that can come late does."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = [L.Dense(3), L.Dense(3)]
        self.named = {"deep": (L.Dense(3),)}
        self.own = keras.Variable(np.zeros(3, "float32"), name="different")

    def build(self, _: Any) -> None:
        self.extra = [L.Dense(3)]
        self.blocks.append(L.Dense(3))
        self.added = self.add_weight(name="gain", shape=(3,))

    def call(self, x: Any) -> Any:
        for layer in [*self.blocks, *self.extra, *self.named["deep"]]:
            x = layer(x)
        return x * self.added + self.own


def test_objects_built_later_get_their_values(tmp_path: Path) -> None:
    saved = Later()
    saved(X)
    randomize(saved)
    path = hozon.train.Checkpoint(net=saved).save(tmp_path / "late")
    model = Later()
    status = hozon.train.Checkpoint(net=model).restore(path)
    with pytest.raises(AssertionError, match="nothing takes the stored net/gain"):
        status.assert_consumed()
    model(X)
    status.assert_consumed().assert_existing_objects_matched()
    assert_same(model, saved)


def test_a_model_built_by_fit_starts_from_the_file(tmp_path: Path) -> None:
    saved = Later()
    saved(X)
    randomize(saved)
    saved.compile(keras.optimizers.Adam(0.0), "mse")
    saved.fit(X, X[:, :3], epochs=2, verbose=0)
    prefix = hozon.train.save_weights(saved, tmp_path / "w")
    model = Later()
    status = hozon.train.load_weights(model, prefix)
    model.compile(keras.optimizers.Adam(0.0), "mse")
    model.fit(X, X[:, :3], verbose=0)
    status.assert_consumed()
    assert_same(model, saved)
    assert int(model.optimizer.iterations.value) == 3
    assert not {"_setattr_hook", "_track_variable"} & vars(model.blocks[0]).keys()


def test_attributes_assigned_later(tmp_path: Path) -> None:
    layer = L.Dense(2)
    layer.build((None, 3))
    randomize(layer)
    path = hozon.train.Checkpoint(
        layer=layer, nested=hozon.train.Checkpoint(array=np.arange(3.0))
    ).write(tmp_path / "c")
    checkpoint = hozon.train.Checkpoint(nested=hozon.train.Checkpoint())
    status = checkpoint.read(path)
    checkpoint.layer = L.Dense(2)
    checkpoint.layer.build((None, 3))
    checkpoint.nested.array = np.zeros(3)
    status.assert_consumed()
    assert_same(checkpoint.layer, layer)
    np.testing.assert_array_equal(checkpoint.nested.array, [0, 1, 2])


def test_variables_made_later_outside_of_build(tmp_path: Path) -> None:
    def make(value: float) -> keras.Variable:
        return keras.Variable(np.full(2, value), name="named_otherwise")

    class Holder(L.Layer):
        pass

    saved, late = Holder(), Holder()
    saved.one, saved.many = make(1), [make(2), {"x": make(3)}]
    path = hozon.train.Checkpoint(holder=saved).write(tmp_path / "c")
    status = hozon.train.Checkpoint(holder=late, other=np.zeros(1)).read(path)
    late.one = make(0)
    late.many = [make(0), {"x": make(0)}]
    assert [float(v.value[0]) for v in (late.one, late.many[0], late.many[1]["x"])] == [1, 2, 3]
    assert status.missing == ["other"]


def test_arrays_are_replaced_in_their_containers(tmp_path: Path) -> None:
    def state(fill: float) -> dict[str, Any]:
        return {
            "w": jnp.full((2, 3), fill, "bfloat16"),
            "list": [np.full(2, fill), {"deep": jnp.full((), int(fill))}],
        }

    path = hozon.train.Checkpoint(state=state(3), step=np.int64(3)).save(tmp_path / "c")
    checkpoint = hozon.train.Checkpoint(state=state(0), step=np.int64(0))
    checkpoint.restore(path).assert_consumed()
    restored = checkpoint.state
    assert isinstance(restored["w"], jnp.ndarray)
    assert restored["w"].dtype == "bfloat16"
    np.testing.assert_array_equal(restored["w"].astype("float32"), np.full((2, 3), 3))
    np.testing.assert_array_equal(restored["list"][0], [3, 3])
    assert (int(restored["list"][1]["deep"]), int(checkpoint.step)) == (3, 3)
    assert int(checkpoint.save_counter) == 1


def test_an_array_in_a_tuple_is_refused(tmp_path: Path) -> None:
    path = hozon.train.Checkpoint(pair=(np.ones(1),)).write(tmp_path / "c")
    with pytest.raises(UnsupportedError, match="tuple"):
        hozon.train.Checkpoint(pair=(np.zeros(1),)).read(path)


@pytest.mark.parametrize("value", [3, "text", None, object()])
def test_what_cannot_be_tracked_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="'thing'"):
        hozon.train.Checkpoint(thing=value)


def test_shared_objects_and_cycles(tmp_path: Path) -> None:
    layer = L.Dense(2)
    layer.build((None, 2))
    cycle: dict[str, Any] = {"layer": layer}
    cycle["self"] = cycle
    path = hozon.train.Checkpoint(a=layer, b=[layer], cycle=cycle).write(tmp_path / "c")
    names = [name for name, _ in hozon.train.list_variables(path)]
    assert tensor_key(("a", "kernel")) in names
    assert len(names) == 3
    hozon.train.Checkpoint(a=layer, b=[layer], cycle=cycle).read(path).assert_consumed()


def test_guide_transfer_learning(tmp_path: Path) -> None:
    """The guide's cases: fewer layers saved than loaded, parts, and other classes."""
    whole = network()
    part = keras.Model(whole.inputs, whole.layers[-1].input)
    randomize(part)
    prefix = hozon.train.save_weights(part, tmp_path / "pretrained")
    fresh = network()
    status = hozon.train.load_weights(fresh, prefix)
    assert status.unexpected == []
    assert status.missing == ["layer_with_weights-2/kernel", "layer_with_weights-2/bias"]
    for a, b in zip(values(part), values(fresh), strict=False):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(MismatchError, match="no stored value for layer_with_weights-2/kernel"):
        status.assert_consumed()


def test_guide_custom_layer_goes_by_attribute(tmp_path: Path) -> None:
    class Custom(L.Layer):
        def __init__(self, value: int) -> None:
            super().__init__()
            self.var = keras.Variable(value, name="var_a", dtype="int32")

    path = hozon.train.Checkpoint(layer=Custom(5)).save(tmp_path / "custom")
    types = hozon.train.load_checkpoint(path).get_variable_to_dtype_map()
    assert {name: dtype.name for name, dtype in types.items()} == {
        "save_counter/.ATTRIBUTES/VARIABLE_VALUE": "int64",
        "_CHECKPOINTABLE_OBJECT_GRAPH": "string",
        "layer/var/.ATTRIBUTES/VARIABLE_VALUE": "int32",
    }


def test_the_guides_trap_is_an_error(tmp_path: Path) -> None:
    pretrained = keras.Sequential([keras.Input((4,)), L.Dense(4, name="x"), L.Dense(4, name="y")])
    prefix = hozon.train.save_weights(pretrained, tmp_path / "pretrained")
    model = keras.Sequential([keras.Input((4,)), pretrained])
    with pytest.raises(MismatchError) as caught:
        hozon.train.load_weights(model, prefix)
    text = str(caught.value)
    assert "the file holds: layer_with_weights-0/bias" in text
    assert "the program wants: layer_with_weights-0/layer_with_weights-0/kernel" in text
    assert "nearest: layer_with_weights-0/layer_with_weights-0/kernel (wanted)" in text


def test_other_shapes_change_nothing(tmp_path: Path) -> None:
    prefix = hozon.train.save_weights(network(3), tmp_path / "w")
    model = network(5)
    before = values(model)
    with pytest.raises(MismatchError, match=r"kernel: stored float32 \(4, 3\).*\(4, 5\)"):
        hozon.train.load_weights(model, prefix)
    for a, b in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(a, b)
    status = hozon.train.load_weights(model, prefix, skip_mismatch=True)
    assert status.matched == ["layer_with_weights-2/bias"]
    assert len(status.mismatched) == 7


def test_weights_write_a_state_file(tmp_path: Path) -> None:
    model = network()
    randomize(model)
    prefix = hozon.train.save_weights(model, tmp_path / "folder" / "w")
    assert hozon.train.latest_checkpoint(tmp_path / "folder") == prefix
    other = network()
    hozon.train.load_weights(other, tmp_path / "folder").assert_consumed()
    assert_same(model, other)


def test_no_checkpoint(tmp_path: Path) -> None:
    checkpoint = hozon.train.Checkpoint(model=network())
    with pytest.raises(FormatError, match=r"missing\.index does not exist"):
        checkpoint.restore(tmp_path / "missing")
    with pytest.raises(AssertionError):
        checkpoint.restore(None).assert_consumed()
    checkpoint.restore(None).expect_partial()


def test_a_failed_save_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    checkpoint = hozon.train.Checkpoint(model=network())
    with pytest.raises(OSError):
        checkpoint.save(tmp_path / "file" / "c")
    assert int(checkpoint.save_counter) == 0


@pytest.mark.parametrize("graph", [np.zeros(2), np.asarray([b"", b""], object), np.array(b"x")])
def test_a_damaged_object_graph(graph: Any, tmp_path: Path) -> None:
    write_bundle(tmp_path / "c", [("_CHECKPOINTABLE_OBJECT_GRAPH", graph), ("x", np.zeros(1))])
    with pytest.raises(FormatError, match=r"CHECKPOINTABLE|TrackableObjectGraph"):
        hozon.train.Checkpoint(x=np.zeros(1)).restore(tmp_path / "c")


def test_the_trap_with_compiled_models_is_an_error(tmp_path: Path) -> None:
    """Counters of optimizers always match; they must not hide that no weight does."""
    pretrained = keras.Sequential([keras.Input((4,)), L.Dense(4), L.Dense(4)])
    pretrained.compile("adam", "mse")
    pretrained.train_on_batch(X, X)
    prefix = hozon.train.save_weights(pretrained, tmp_path / "w")
    model = keras.Sequential([keras.Input((4,)), pretrained])
    model.compile("adam", "mse")
    with pytest.raises(MismatchError, match="the file holds"):
        hozon.train.load_weights(model, prefix)
    assert int(model.optimizer.iterations.value) == 0
    optimizer = hozon.train.Checkpoint(optimizer=pretrained.optimizer).write(tmp_path / "o")
    status = hozon.train.Checkpoint(optimizer=model.optimizer, model=model).read(optimizer)
    assert int(model.optimizer.iterations.value) == 1
    assert "model/layer_with_weights-0/layer_with_weights-0/kernel" in status.missing


def test_a_damaged_value_changes_nothing(tmp_path: Path) -> None:
    saved, model = network(), network()
    randomize(saved)
    prefix = hozon.train.save_weights(saved, tmp_path / "w")
    data = Path(f"{prefix}.data-00000-of-00001")
    damaged = bytearray(data.read_bytes())
    damaged[-1] ^= 1
    data.write_bytes(damaged)
    before = values(model)
    with pytest.raises(FormatError):
        hozon.load_weights(model, prefix)
    for a, b in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_by_name(tmp_path: Path) -> None:
    """Variables are found by layer and name where positions differ."""
    saved = network()
    randomize(saved)
    prefix = hozon.train.save_weights(saved, tmp_path / "w")
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, name="b"), L.Dense(5, name="c")])
    report = hozon.load_weights(model, prefix, by_name=True)
    assert report.matched == ["layer_with_weights-0/kernel", "layer_with_weights-0/bias"]
    assert report.missing == ["layer_with_weights-1/kernel", "layer_with_weights-1/bias"]
    for ours, theirs in zip(model.layers[0].weights, saved.layers[-1].weights, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value)


@pytest.mark.parametrize(
    ("optimizer", "key", "shape"),
    [
        (lambda: keras.optimizers.Lamb(0.1, use_ema=True), "_velocities/0", [4, 6]),
        (lambda: keras.optimizers.Muon(0.1), "adam_velocities/1", [6]),
        (lambda: keras.optimizers.ScheduleFreeAdamW(0.1), "_momentums/1", [6]),
    ],
    ids=["Lamb", "Muon", "ScheduleFreeAdamW"],
)
def test_optimizers_that_keras_2_has_not(
    optimizer: Any, key: str, shape: list[int], tmp_path: Path
) -> None:
    def made() -> Any:
        model = keras.Sequential([keras.Input((4,)), L.Dense(6), L.Dense(3), L.Dense(2)])
        model.compile(optimizer(), "mse")
        return model

    saved, built, late = made(), made(), made()
    for _ in range(2):
        saved.train_on_batch(X, X[:, :2])
    prefix = hozon.train.save_weights(saved, tmp_path / "w")
    names = dict(hozon.train.list_variables(prefix))
    assert names[tensor_key(("optimizer", *key.split("/")))] == shape
    built.optimizer.build(built.trainable_variables)
    hozon.train.load_weights(built, prefix).assert_consumed()
    for ours, theirs in zip(built.optimizer.variables, saved.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours.value, theirs.value)
    status = hozon.train.load_weights(late, prefix)
    for model in (saved, late):
        model.train_on_batch(X, X[:, :2])
    status.assert_consumed()
    assert_same(late, saved)
