"""Strategies that trade a difference between markets, and the arithmetic and leg handling they share."""
