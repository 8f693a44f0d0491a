"""Binance on loopback: spot and USD-M perpetuals."""
