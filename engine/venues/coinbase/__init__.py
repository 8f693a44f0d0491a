"""Coinbase Advanced Trade, spot: tables, parsers, tokens, streams and the adapter made of them."""

from engine.venues.coinbase.venue import CoinbaseVenue

__all__ = ["CoinbaseVenue"]
