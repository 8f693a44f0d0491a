"""Coinbase: tables, parsers, streams and the adapter."""
