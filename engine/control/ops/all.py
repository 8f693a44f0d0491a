"""Imports every module of operations, so that the table is complete."""

from __future__ import annotations

from engine.control.ops import backtests, bots, data, engine, health, history, jobs, orders, replay, risk

__all__ = ["backtests", "bots", "data", "engine", "health", "history", "jobs", "orders", "replay", "risk"]
