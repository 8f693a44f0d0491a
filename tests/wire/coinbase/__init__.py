"""Coinbase Advanced Trade on loopback: requests, streams, keys, and what goes wrong with them."""
