"""Live objects of a loaded SavedModel at graph level, without Keras."""
