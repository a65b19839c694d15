"""Saves of several processes."""
