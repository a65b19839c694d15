"""Resizing, cropping and colour conversion of images."""

from __future__ import annotations

from hozon.graphs.table import OpTable

IMAGE = OpTable("image")
