"""Vocabularies of layers, which Keras keeps as files beside the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hozon.config.text_layers.lookup import IndexLookup
from hozon.config.text_layers.vectorization import TextVectorization
from hozon.errors import UnsupportedError
from hozon.keras_private.paths import saveables
from hozon.record import ModelRecord

if TYPE_CHECKING:
    import keras

FILE = "vocabulary.txt"
#: The lookup inside a text vectorization, as Keras' paths name it.
INNER = "_lookup_layer"


def give_assets(model: keras.Model, record: ModelRecord) -> None:
    """Give text layers the vocabularies that a record holds for them."""
    if not record.assets:
        return
    by_path = dict(saveables(model, keras2=record.dialect == "keras2"))
    for name, content in record.assets.items():
        folder, _, file = name.rpartition("/")
        layer = by_path.get(folder.removesuffix(f"/{INNER}"))
        if file == FILE and isinstance(layer, (IndexLookup, TextVectorization)):
            layer.set_vocabulary(_tokens(content(), layer))


def _tokens(data: bytes, layer: keras.Layer) -> list[Any]:
    """The lines of a vocabulary file. Integer vocabularies are written as numbers."""
    lines = data.decode().split("\n")
    lines = lines[:-1] if lines and not lines[-1] else lines
    integers = isinstance(layer, IndexLookup) and layer.key_dtype != "string"
    return [int(line) for line in lines] if integers else lines


def assets_of(model: keras.Model) -> Mapping[str, Callable[[], bytes]]:
    """The vocabularies of a model's text layers, as Keras names their files."""
    return dict(_assets(model))


def _assets(model: keras.Model) -> Iterator[tuple[str, Callable[[], bytes]]]:
    for path, layer in saveables(model):
        if isinstance(layer, TextVectorization):
            yield f"{path}/{INNER}/{FILE}", _file(layer)
        elif isinstance(layer, IndexLookup) and path.rsplit("/", 1)[-1] != INNER:
            yield f"{path}/{FILE}", _file(layer)


def _file(layer: keras.Layer) -> Callable[[], bytes]:
    words = [str(word) for word in layer.get_vocabulary(include_special_tokens=False)]
    lost = next((word for word in words if "\n" in word or "\r" in word), None)
    if lost is None and words and not words[-1]:
        lost = ""
    if lost is not None:
        raise UnsupportedError(
            f"the vocabulary of layer {layer.name!r} holds {lost!r}, which a .keras file cannot: "
            "it keeps a token a line",
            feature=f"the token {lost!r}",
            instead="a SavedModel or an .h5 file",
        )
    return lambda: "\n".join(words).encode()
