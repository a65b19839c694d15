"""Models that take strings, which no compiled program does."""
