"""TensorFlow checkpoints: a tensor bundle, object-based or name-based."""
