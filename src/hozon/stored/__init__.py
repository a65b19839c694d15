"""Tensors as files hold them: dtypes, lazy tensors, tensor messages."""
