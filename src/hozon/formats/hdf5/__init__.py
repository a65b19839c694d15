"""HDF5 files as plain records: groups, attributes, lazy tensors; and a writer of the same.

The only door to h5py. Files are opened through their bytes, never by a path, so that nothing a
file names can make the library open another one.
"""
