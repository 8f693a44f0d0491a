"""Drives an event strategy over made-up quotes, with a small exchange that fills what the market reaches."""

from __future__ import annotations

from engine.strategy.event_practice import START_NS, EventDriver, Tick, make_instrument, walk_ticks

__all__ = ["START_NS", "EventDriver", "Tick", "make_instrument", "walk_ticks"]
