"""Imports every module of operations, so that the table is complete."""

from __future__ import annotations

from engine.control.ops import (
    alerts,
    api,
    backtests,
    backup,
    bots,
    clients,
    data,
    engine,
    errors,
    handover,
    health,
    history,
    jobs,
    logs,
    orders,
    replay,
    risk,
    settings,
    state,
    strategies,
)

__all__ = [
    "alerts",
    "api",
    "backup",
    "backtests",
    "bots",
    "clients",
    "data",
    "engine",
    "errors",
    "handover",
    "health",
    "history",
    "jobs",
    "logs",
    "orders",
    "replay",
    "risk",
    "settings",
    "state",
    "strategies",
]
