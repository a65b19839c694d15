"""Live Keras models from records, and records from live models."""
