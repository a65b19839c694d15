"""Facts of HDF5 and of Keras' use of it (HDF5 file format specification 3.0; keras and tf_keras,
``legacy_h5_format.py`` and ``hdf5_format.py``)."""

from __future__ import annotations

#: The first bytes of a file.
SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: Bytes that Keras allows one attribute, a little below the 64 KB of an object header. An array
#: of names that takes more is split into attributes ``<name>0``, ``<name>1`` ...
ATTRIBUTE_BYTES = 64512
#: Filters of chunks by their registered numbers: those that a reader undoes.
DEFLATE, SHUFFLE, FLETCHER32, LZF = 1, 2, 3, 32000
FILTERS = frozenset({DEFLATE, SHUFFLE, FLETCHER32, LZF})
COMPRESSORS = frozenset({DEFLATE, LZF})
#: Bytes that a stored value may always expand to.
EXPANSION_FLOOR = 1 << 20
#: The attribute under which Keras 3 keeps a type that HDF5 has no name for.
DTYPE_ATTRIBUTE = "dtype"
