"""The capital that is given to bots."""
