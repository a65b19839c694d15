"""Whole saved forms: bytes on disk to plain records."""
