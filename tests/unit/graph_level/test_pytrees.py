"""Pytrees of JAX's libraries become SavedModels that TensorFlow serves as they compute."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import hozon
from hozon import SaveError
from tests.oracle.client import Oracle

X = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
SPECS = {"x": ((None, 4), "float32")}
Tree = tuple[Any, Callable[..., Any]]

ASK = """
loaded = tf.saved_model.load(path)
out["y"] = loaded.signatures["serving_default"](x=tf.constant(x))["y"].numpy()
out["variables"] = sorted(v.name for v in loaded.signatures["serving_default"].variables)
"""


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Linear:
    kernel: Any
    bias: Any

    def __call__(self, x: Any) -> Any:
        return x @ self.kernel + self.bias


def registered_class() -> Tree:
    tree = {"low": Linear(jnp.eye(4)[:, :3], jnp.ones(3)), "top": [Linear(jnp.ones((3, 1)), 0.5)]}
    return tree, lambda p, x: {"y": p["top"][0](jnp.tanh(p["low"](x)))}


def equinox_module() -> Tree:
    import equinox

    module = equinox.nn.MLP(4, 3, 8, 2, key=jax.random.key(0))
    return module, lambda m, x: {"y": jax.vmap(m)(x)}


def _nnx_module() -> Any:
    from flax import nnx

    rngs = nnx.Rngs(0)
    return nnx.Sequential(
        nnx.Linear(4, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs, use_running_average=True)
    )


def nnx_module() -> Tree:
    return _nnx_module(), lambda m, x: {"y": m(x)}


def nnx_state() -> Tree:
    from flax import nnx

    definition, state = nnx.split(_nnx_module())
    return state, lambda s, x: {"y": nnx.merge(definition, s)(x)}


def keys_and_constants() -> Tree:
    tree = {
        "key": jax.random.key(3),
        "raw": jax.random.PRNGKey(1),
        "none": None,
        "pair": (jnp.arange(4.0), [np.float32(3)]),
        "scale": 2.0,
    }

    def apply(p: Any, x: Any) -> Any:
        noise = jax.random.normal(p["key"], (4,)) + jax.random.normal(p["raw"], (4,))
        return {"y": x * p["pair"][0] * p["scale"] + noise * p["pair"][1][0]}

    return tree, apply


def shared_array() -> Tree:
    table = jnp.ones((4, 4)) / 3
    return {"a": table, "b": {"c": table}}, lambda p, x: {"y": x @ p["a"] @ p["b"]["c"]}


TREES = [registered_class, equinox_module, nnx_module, nnx_state, keys_and_constants, shared_array]


@pytest.mark.parametrize("make", TREES, ids=lambda make: make.__name__)
def test_served_as_computed(make: Callable[[], Tree], tmp_path: Path, oracle: Oracle) -> None:
    tree, apply = make()
    expected = np.asarray(apply(tree, X)["y"])
    hozon.saved_model.save(tree, tmp_path / "m", {"serving_default": (apply, SPECS)})
    mine = hozon.saved_model.load(tmp_path / "m")
    np.testing.assert_allclose(mine.signatures["serving_default"](x=X)["y"], expected, rtol=1e-5)
    told = oracle.python(ASK, path=str(tmp_path / "m"), x=X)
    np.testing.assert_allclose(told["y"], expected, rtol=1e-5, atol=1e-6)


def test_names_follow_the_tree(tmp_path: Path) -> None:
    tree, apply = registered_class()
    hozon.saved_model.save(tree, tmp_path / "m", {"serving_default": (apply, SPECS)})
    loaded = hozon.saved_model.load(tmp_path / "m")
    assert sorted(v.name for v in loaded.variables) == ["low/bias", "low/kernel", "top/0/kernel"]
    np.testing.assert_array_equal(loaded.low.bias.numpy(), np.ones(3))


@pytest.mark.parametrize(
    ("tree", "message"),
    [({1: np.ones(1), "1": np.ones(1)}, "take the tree apart"), ({"o": object()}, "o is of type")],
)
def test_what_no_file_can_hold(tree: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(SaveError, match=message):
        hozon.saved_model.save(tree, tmp_path / "m")
    assert not (tmp_path / "m").exists()
