"""Reading checkpoints tensor by tensor, object-based and name-based alike."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from hozon.arguments import checked, path_to_read, text
from hozon.containers.checkpoint.read import read
from hozon.containers.savedmodel.read import detect as is_savedmodel
from hozon.formats.bundle import Bundle, open_bundle
from hozon.raw.collection import collection_paused
from hozon.raw.stores import join, place
from hozon.stored.dtypes import DType


def open_checkpoint(path: str | os.PathLike[str]) -> Bundle:
    """Open the checkpoint that a prefix, a folder, or a SavedModel's folder means.

    Raises:
        MissingFileError: there is nothing.
        ForeignFileError: there is something else.
    """
    where = place(path)
    if is_savedmodel(where):
        return open_bundle(join(where, "variables", "variables"))
    return read(where)


class CheckpointReader:
    """The tensors of a checkpoint by key (``layer/kernel/.ATTRIBUTES/VARIABLE_VALUE``) or name."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    @checked(tensor_str=text)
    def get_tensor(self, tensor_str: str) -> Any:
        """A tensor as a NumPy array, read-only; a scalar string as `bytes`.

        Raises MismatchError when there is none of that name, FormatError when it is damaged.
        """
        value: np.ndarray[Any, Any] = self._bundle[tensor_str].read()
        return value.item() if value.dtype == object and not value.shape else value

    @checked(tensor_str=text)
    def has_tensor(self, tensor_str: str) -> bool:
        """Whether there is a tensor of that name."""
        return tensor_str in self._bundle

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shape of each tensor."""
        with collection_paused():
            return {name: list(shape) for name, shape in self._bundle.shapes()}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        """The type of each tensor."""
        return {name: tensor.dtype for name, tensor in self._bundle.items()}


@checked(ckpt_dir_or_file=path_to_read)
def load_checkpoint(ckpt_dir_or_file: str | os.PathLike[str]) -> CheckpointReader:
    """A reader of a checkpoint's tensors.

    Args:
        ckpt_dir_or_file: the prefix of a checkpoint, or a folder, whose latest is meant.

    Example:
        >>> reader = hozon.train.load_checkpoint("ckpt-1")
        >>> reader.get_variable_to_shape_map()
    """
    return CheckpointReader(open_checkpoint(ckpt_dir_or_file))


@checked(ckpt_dir_or_file=path_to_read)
def list_variables(ckpt_dir_or_file: str | os.PathLike[str]) -> list[tuple[str, list[int]]]:
    """(name, shape) of each tensor of a checkpoint, sorted by name."""
    bundle = open_checkpoint(ckpt_dir_or_file)
    # Sorted, as the file has them.
    with collection_paused():
        return [(name, list(shape)) for name, shape in bundle.shapes()]


@checked(ckpt_dir_or_file=path_to_read, name=text)
def load_variable(ckpt_dir_or_file: str | os.PathLike[str], name: str) -> Any:
    """The value of one tensor of a checkpoint; a name may end in ``:0``."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))
