"""What a venue allows: its limits as rows of a table, with the defaults that hold unless the settings lower them."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BINANCE_LIMITS",
    "BINANCE_USDM_LIMITS",
    "COINBASE_LIMITS",
    "GENERIC_LIMITS",
    "OKX_LIMITS",
    "Limit",
    "Meter",
    "Reading",
    "lowered",
]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """At most so much of something in any stretch of time."""

    name: str
    """As it is called in settings and figures, such as `weight_per_minute`."""
    unit: str
    """What an endpoint's cost calls it, such as `weight`; several limits may count the same unit. `requests` counts
    every request without being named."""
    capacity: float
    per_s: float = 0.0
    """Length of the stretch, in seconds; 0 for what is held and given back: connections of a venue's markets."""
    scope: tuple[str, ...] = ()
    """What the venue counts apart: `account`, or the name of a request's parameter, such as `instId`; empty for one
    count of the whole host."""


class Meter(enum.StrEnum):
    """What a header of an answer tells."""

    USED = "used"
    """How much was used in the present stretch, this request included."""
    REMAINING = "remaining"
    """How much is left of the venue's own capacity, which the last number in `Reading.of` names where it is known."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A header that tells how far a limit is used, as seen by the venue."""

    header: str
    """Its lower-case name."""
    limit: str
    meter: Meter = Meter.USED
    of: float = 0.0
    """The venue's own capacity, for what remains; 0 for the limit's."""


BINANCE_LIMITS = (
    Limit(name="weight_per_minute", unit="weight", capacity=1200, per_s=60),
    Limit(name="requests_per_minute", unit="requests", capacity=1200, per_s=60),
    Limit(name="orders_per_second", unit="orders", capacity=10, per_s=1),
    Limit(name="orders_per_10_seconds", unit="orders", capacity=50, per_s=10, scope=("account",)),
    Limit(name="orders_per_24_hours", unit="orders", capacity=160_000, per_s=86_400, scope=("account",)),
    Limit(name="websocket_connections", unit="connection", capacity=5),
    Limit(name="websocket_connections_per_5_minutes", unit="connection", capacity=300, per_s=300),
    Limit(name="websocket_messages_per_second", unit="message", capacity=5, per_s=1, scope=("connection",)),
)
BINANCE_USDM_LIMITS = (
    Limit(name="weight_per_minute", unit="weight", capacity=1200, per_s=60),
    Limit(name="requests_per_minute", unit="requests", capacity=1200, per_s=60),
    Limit(name="orders_per_second", unit="orders", capacity=10, per_s=1),
    Limit(name="orders_per_10_seconds", unit="orders", capacity=50, per_s=10, scope=("account",)),
    Limit(name="orders_per_minute", unit="orders", capacity=1200, per_s=60, scope=("account",)),
    Limit(name="websocket_connections", unit="connection", capacity=5),
    Limit(name="websocket_connections_per_5_minutes", unit="connection", capacity=300, per_s=300),
    Limit(name="websocket_messages_per_second", unit="message", capacity=5, per_s=1, scope=("connection",)),
)
OKX_LIMITS = (
    Limit(name="requests_per_minute", unit="requests", capacity=600, per_s=60),
    Limit(name="orders_per_second", unit="orders", capacity=20, per_s=1),
    Limit(name="orders_per_2_seconds", unit="orders", capacity=1000, per_s=2, scope=("account",)),
    Limit(name="requests_per_2_seconds", unit="endpoint", capacity=60, per_s=2, scope=("account", "endpoint")),
    Limit(name="websocket_connections", unit="connection", capacity=3),
    Limit(name="websocket_connections_per_second", unit="connection", capacity=3, per_s=1),
    Limit(name="websocket_messages_per_hour", unit="message", capacity=480, per_s=3600, scope=("connection",)),
)
"""Rows of single endpoints that allow less than 60 per 2 s, or count by instrument, come from the adapter's table."""
COINBASE_LIMITS = (
    Limit(name="points_per_minute", unit="points", capacity=8000, per_s=60),
    Limit(name="requests_per_minute", unit="requests", capacity=600, per_s=60),
    Limit(name="orders_per_second", unit="orders", capacity=15, per_s=1),
    Limit(name="private_requests_per_second", unit="private", capacity=30, per_s=1, scope=("account",)),
    Limit(name="public_requests_per_second", unit="public", capacity=10, per_s=1),
    Limit(name="websocket_connections", unit="connection", capacity=4),
    Limit(name="websocket_messages_per_second", unit="message", capacity=8, per_s=1),
)
GENERIC_LIMITS = (
    Limit(name="requests_per_minute", unit="requests", capacity=600, per_s=60),
    Limit(name="requests_per_second", unit="requests", capacity=10, per_s=1),
    Limit(name="orders_per_second", unit="orders", capacity=5, per_s=1),
)


def lowered(limits: tuple[Limit, ...], settings: Mapping[str, float]) -> tuple[Limit, ...]:
    """The limits with lower capacities from the settings, by the limits' names.

    Raises:
        ConfigurationError: A name is unknown, or a value is not above 0, or higher than what the venue allows.
    """
    known = {limit.name: limit for limit in limits}
    for name, value in settings.items():
        if name not in known:
            raise ConfigurationError(f"There is no rate limit called {name}; there are {', '.join(sorted(known))}.")
        if not 0 < value <= known[name].capacity:
            raise ConfigurationError(
                f"The rate limit {name} can only be lowered: give a number above 0 and up to {known[name].capacity:g}."
            )
    return tuple(
        msgspec.structs.replace(limit, capacity=settings[limit.name]) if limit.name in settings else limit
        for limit in limits
    )
