"""SavedModels <-> live Keras models, one room a direction."""
