"""The nouns: instruments, accounts, orders, fills, positions, candles, books, signals."""
