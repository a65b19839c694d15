"""Bytes: where they are, how to reach them without copying, and how not to run past their end."""
