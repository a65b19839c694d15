"""Sizes that travel beside symbolic tensors while a model is put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import keras

#: Attribute of a KerasTensor: the sizes it will hold, None for those unknown yet.
SIZES = "_hozon_sizes"
Sizes = Any


def sizes_of(value: Any) -> Sizes:
    """The sizes that a value holds: of a marked symbolic tensor, a number, a list of these.

    None for a size that is not known yet; `Unknown` for what is no size.
    """
    if isinstance(value, keras.KerasTensor):
        return getattr(value, SIZES, Unknown)
    if isinstance(value, (list, tuple)):
        parts = [sizes_of(item) for item in value]
        return Unknown if any(part is Unknown for part in parts) else tuple(parts)
    return value if value is None or isinstance(value, int) else Unknown


class Unknown:
    """What is no size."""


def marked(sizes: Sizes) -> Any:
    """A symbolic int32 tensor that will hold these sizes."""
    shape = (len(sizes),) if isinstance(sizes, tuple) else ()
    tensor = keras.KerasTensor(shape, "int32")
    setattr(tensor, SIZES, sizes)
    return tensor


def symbolic_result(symbol: str, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """The symbolic result of a function that gives or takes sizes, None for other functions."""
    rule = RULES.get(symbol.rpartition(".")[2])
    return None if rule is None else rule(*args, **kwargs)


def _shape(input: Any = None, **rest: Any) -> Any:
    return marked(tuple(input.shape)) if isinstance(input, keras.KerasTensor) else None


def _size(input: Any = None, **rest: Any) -> Any:
    if not isinstance(input, keras.KerasTensor):
        return None
    return marked(None if None in input.shape else prod(input.shape))


def _unstack(value: Any, num: Any = None, axis: int = 0, **rest: Any) -> Any:
    sizes = sizes_of(value)
    return [marked(size) for size in sizes] if isinstance(sizes, tuple) else None


def _range(start: Any, limit: Any = None, delta: Any = 1, **rest: Any) -> Any:
    if not _symbolic([start, limit, delta]):
        return None
    ends = [0, sizes_of(start)] if limit is None else [sizes_of(start), sizes_of(limit)]
    numbers = [*ends, sizes_of(delta)]
    known = all(isinstance(number, int) for number in numbers)
    return keras.KerasTensor((len(range(*numbers)) if known else None,), "int32")


def _fill(dims: Any, value: Any = None, **rest: Any) -> Any:
    return _filled(dims, "float32" if isinstance(value, float) else "int32")


def _getitem(inputs: Any, slice_spec: Any = None, **rest: Any) -> Any:
    sizes = sizes_of(inputs)
    if not isinstance(sizes, tuple):
        return None
    spec = (
        slice_spec[0]
        if isinstance(slice_spec, (list, tuple)) and len(slice_spec) == 1
        else (slice_spec)
    )
    if isinstance(spec, Mapping):
        spec = slice(*(spec.get(key) for key in ("start", "stop", "step")))
    return marked(sizes[spec]) if isinstance(spec, (int, slice)) else None


def _reshape(tensor: Any, shape: Any = None, **rest: Any) -> Any:
    return _sized(tensor, shape, infer=True)


def _broadcast(tensor: Any, shape: Any = None, **rest: Any) -> Any:
    return _sized(tensor, shape, infer=False)


def _sized(tensor: Any, shape: Any, *, infer: bool) -> Any:
    """A tensor of a shape in which some sizes are symbolic."""
    sizes = sizes_of(shape)
    if not _symbolic(shape) or not isinstance(sizes, tuple):
        return None
    known = [None if size == -1 else size for size in sizes]
    if infer and known.count(None) == 1 and None not in tensor.shape:
        whole, rest = 1, 1
        for size in tensor.shape:
            whole *= size
        for size in known:
            rest *= size or 1
        known[known.index(None)] = whole // rest
    return keras.KerasTensor(tuple(known), tensor.dtype)


def _symbolic(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_symbolic(item) for item in value)
    return isinstance(value, keras.KerasTensor)


def _tile(input: Any, multiples: Any = None, **rest: Any) -> Any:
    sizes = sizes_of(multiples)
    if not _symbolic(multiples) or not isinstance(sizes, tuple):
        return None
    shape = [
        None if a is None or b is None else a * b for a, b in zip(input.shape, sizes, strict=True)
    ]
    return keras.KerasTensor(tuple(shape), input.dtype)


def _filled(shape: Any, dtype: Any = "float32", **rest: Any) -> Any:
    sizes = sizes_of(shape)
    if not _symbolic(shape) or not isinstance(sizes, tuple):
        return None
    return keras.KerasTensor(sizes, dtype if isinstance(dtype, str) else "float32")


def _random(shape: Any, *rest: Any, dtype: Any = "float32", **more: Any) -> Any:
    return _filled(shape, "int32" if "int" in str(dtype) else dtype)


def _stack(values: Any, axis: int = 0, **rest: Any) -> Any:
    sizes = sizes_of(values)
    return marked(sizes) if isinstance(sizes, tuple) and _symbolic(values) else None


def _concat(values: Any, axis: int = 0, **rest: Any) -> Any:
    parts = sizes_of(values)
    if not isinstance(parts, tuple) or not _symbolic(values):
        return None
    return (
        marked(tuple(size for part in parts for size in part))
        if all(isinstance(part, tuple) for part in parts)
        else None
    )


def _arithmetic(function: Callable[[int, int], int]) -> Callable[..., Any]:
    def compute(x: Any, y: Any = None, **rest: Any) -> Any:
        a, b = sizes_of(x), sizes_of(y)
        if (
            not _symbolic([x, y])
            or Unknown in (a, b)
            or isinstance(a, tuple)
            or isinstance(b, tuple)
        ):
            return None
        return marked(None if a is None or b is None else function(a, b))

    return compute


ADD, MULTIPLY = _arithmetic(lambda a, b: a + b), _arithmetic(lambda a, b: a * b)
SUBTRACT, DIVIDE = _arithmetic(lambda a, b: a - b), _arithmetic(lambda a, b: a // b)
RULES: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(
        ("normal", "random_normal", "uniform", "random_uniform", "truncated_normal"), _random
    ),
    "shape": _shape,
    "size": _size,
    "unstack": _unstack,
    "range": _range,
    "fill": _fill,
    "getitem": _getitem,
    "reshape": _reshape,
    "broadcast_to": _broadcast,
    "tile": _tile,
    "zeros": _filled,
    "ones": _filled,
    "stack": _stack,
    "concat": _concat,
    "add": ADD,
    "radd": ADD,
    "mul": MULTIPLY,
    "rmul": MULTIPLY,
    "multiply": MULTIPLY,
    "sub": SUBTRACT,
    "subtract": SUBTRACT,
    "floordiv": DIVIDE,
}
