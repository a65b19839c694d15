"""From a SavedModel to a live Keras model: the ladder and what each rung needs."""
