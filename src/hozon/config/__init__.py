"""Keras configs of every age, and the live objects they describe."""

from hozon.backend import require

require()
