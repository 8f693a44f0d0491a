"""Verified level-2 books of Binance, OKX and Coinbase, from the bytes of their streams.

Each venue has one class (`BinanceBooks`, `OkxBooks`, `CoinbaseBooks`) that keeps the books of all its instruments,
checks the venue's own sequence rules and says what became of every message. Two implementations stand behind each:
exact plain Python, and compiled kernels over the raw bytes that take its place once `prepare` has loaded them; whatever
a kernel does not know for certain takes the plain way. See `keeping.py` for how an adapter uses them.
"""
