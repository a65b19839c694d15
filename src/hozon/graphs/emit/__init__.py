"""JAX functions written as TensorFlow functions of native ops."""
