"""Hozon saves and loads Keras models in every format, without TensorFlow."""
