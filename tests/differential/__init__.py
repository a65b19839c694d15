"""Models drawn at random, written and read by everyone, and compared; see ``campaign.py``."""
