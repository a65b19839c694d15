"""Fast forms of heavy operations, as plain functions of JAX arrays."""
