"""Strategies that quote both sides of a market."""
