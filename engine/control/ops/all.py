"""Imports every module of operations, so that the table is complete."""

from __future__ import annotations

from engine.control.ops import bots, engine, orders, risk

__all__ = ["bots", "engine", "orders", "risk"]
