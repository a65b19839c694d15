"""TensorFlow functions as JAX functions: an intermediate form, op tables, an interpreter."""
