"""Tests of the analyses of backtests."""
