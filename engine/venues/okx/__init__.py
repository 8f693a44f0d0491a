"""OKX: spot and linear perpetual swaps in one unified account, over its v5 interface."""

from engine.venues.okx.venue import OkxVenue

__all__ = ["OkxVenue"]
