"""Servers on this machine that speak as those far away do; see `make stores`."""
