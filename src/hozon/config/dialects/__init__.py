"""Differences between Keras' config dialects, one row each."""
