"""Strategies that quote both sides of a market, and the arithmetic they share."""
