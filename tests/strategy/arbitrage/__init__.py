"""The arithmetic and the legs of arbitrage."""
