"""Threads that load, save, inspect and predict beside one that builds and trains."""
