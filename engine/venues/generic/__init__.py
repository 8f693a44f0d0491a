"""Any exchange that ccxt knows, through ccxt's unified methods and streams; its books are not verified."""

from engine.venues.generic.venue import GenericVenue

__all__ = ["GenericVenue"]
