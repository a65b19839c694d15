"""Rows for the layers that Keras 2 made around TensorFlow functions, and for losses in graphs."""

from __future__ import annotations

from hozon.config.dialects.rules import Become, Entry, Table
from hozon.errors import UnsupportedError

FUNCTION = "Keras 2 wrapped a TensorFlow function; keras.ops computes it here"
IN_GRAPH = "Keras 3 has no losses or metrics that are layers of a graph"
WRAPPERS = ("TFOpLambda", "SlicingOpLambda", "InstanceProperty", "InstanceMethod")


def class_method(entry: Entry) -> None:
    """Class methods of TensorFlow's composite tensors, ragged and sparse ones."""
    what = f"{entry.config.get('cls_symbol')}.{entry.config.get('method_name')}"
    raise UnsupportedError(f"layer {entry.name!r} calls TensorFlow's {what}", feature=what)


TENSORFLOW: Table = {
    **{name: (Become(f"hozon>{name}", FUNCTION),) for name in WRAPPERS},
    "ClassMethod": (class_method,),
    "AddLoss": (Become("hozon>AddLoss", IN_GRAPH),),
    "AddMetric": (Become("hozon>AddMetric", IN_GRAPH),),
}
