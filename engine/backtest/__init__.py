"""Simulated runs over recorded bars, on the same path as live trading."""
