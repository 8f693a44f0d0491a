"""Strategies that adapt themselves to the market."""
