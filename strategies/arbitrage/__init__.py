"""Strategies that trade a difference between markets."""
