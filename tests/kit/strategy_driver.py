"""Drives a strategy over bars with a book of its own that fills every wish at the next open."""

from __future__ import annotations

from engine.strategy.practice import INSTRUMENT, Book, drive_batch, drive_live

__all__ = ["INSTRUMENT", "Book", "drive_batch", "drive_live"]
