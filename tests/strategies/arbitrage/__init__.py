"""Arbitrage against hand-computed values and on simulated venues."""
