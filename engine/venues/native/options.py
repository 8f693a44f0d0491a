"""What an adapter is told about its venue by the settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine.model.ids import AccountId, VenueId

__all__ = ["VenueOptions"]


class VenueOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One venue as it is configured."""

    id: VenueId
    exchange: str = ""
    """ccxt's name of the exchange, for the adapter of any exchange."""
    accounts: tuple[AccountId, ...] = ()
    """Accounts whose orders are traded; empty for market data alone."""
    testnet: bool = True
    addresses: Mapping[str, str] = {}
    """Address by its name in the adapter's table (`rest`, `public`, `private` …), replacing that of the venue or its
    testnet; plain `http` and `ws` only on loopback."""
    ca_file: Path | None = None
    """Certificate authorities to trust instead of the system's."""
    timeout_s: float = 30.0
    """Longest time one request may take."""
    limits: Mapping[str, float] = {}
    """Rate limits by their name in the adapter's table, replacing the venue's; only lower ones are taken."""
