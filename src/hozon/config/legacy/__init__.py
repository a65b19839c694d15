"""What Keras 3 removed, or gave another meaning, as Keras 2 had it."""
