"""Binance: tables, parsers, streams and the adapters, against recordings and the simulated exchange."""
