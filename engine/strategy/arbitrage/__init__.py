"""Arithmetic and leg handling of arbitrage."""
