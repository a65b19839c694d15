"""TensorFlow's tensor bundle: the `.index` and `.data-*` files of checkpoints since 2016."""

from hozon.formats.bundle.reader import Bundle, is_bundle, open_bundle
from hozon.formats.bundle.writer import write_bundle

__all__ = ["Bundle", "is_bundle", "open_bundle", "write_bundle"]
