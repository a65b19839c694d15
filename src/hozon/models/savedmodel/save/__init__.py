"""A live Keras model as the content of a SavedModel: see `content.describe`."""
