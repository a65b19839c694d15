"""The saved forms of models and weights, each with how it is told, read and written.

Two visible, ordered tables: `whole.MODEL_FORMS` and `weights.WEIGHT_FORMS`. What a file is, is told
by what is in it, never by its suffix; a suffix only chooses what to write.
"""
