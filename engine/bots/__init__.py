"""Bots: a strategy, an instrument, capital and a life of its own."""
