"""Binance: spot and USD-M perpetuals, as tables, parsers from bytes to model objects, and two adapters."""

from engine.venues.binance.spot import BinanceVenue
from engine.venues.binance.usdm import BinanceUsdmVenue

__all__ = ["BinanceUsdmVenue", "BinanceVenue"]
