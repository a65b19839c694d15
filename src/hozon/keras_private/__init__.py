"""Every use of what is not public in Keras, one file a subject.

Nothing else may touch it; `tests/unit/keras_private` names what each use needs.
"""
