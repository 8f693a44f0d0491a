"""Makes the adapter of an exchange; what an adapter needs is loaded only when it is wanted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.clock import Clock
    from engine.model.credentials import Credentials, CredentialSource
    from engine.model.ids import AccountId, VenueId
    from engine.model.venue import Venue
    from engine.venues.limits.coordinator import Coordinator
    from engine.venues.native.options import VenueOptions

__all__ = ["ADAPTERS", "NoKeys", "make_adapter"]

ADAPTERS: Mapping[str, tuple[str, str]] = {
    "binance": ("engine.venues.binance", "BinanceVenue"),
    "binanceusdm": ("engine.venues.binance", "BinanceUsdmVenue"),
    "okx": ("engine.venues.okx", "OkxVenue"),
    "coinbase": ("engine.venues.coinbase", "CoinbaseVenue"),
    "ccxt": ("engine.venues.generic", "GenericVenue"),
}
"""Module and class of each kind of venue."""


class NoKeys:
    """A source of credentials (`engine.model.credentials.CredentialSource`) that has none: for prices alone."""

    def credentials(self, venue: VenueId, account: AccountId) -> Credentials | None:
        """None."""
        return None


def make_adapter(
    kind: str, options: VenueOptions, credentials: CredentialSource, clock: Clock, *, coordinator: Coordinator
) -> Venue:
    """Build an adapter; blocks for the imports, so call it in a thread.

    Args:
        kind: One of `ADAPTERS`.
        options: The venue as it is configured.
        credentials: Gives the keys of its accounts.
        clock: The engine's clock.
        coordinator: Lets requests leave; one for the whole process.

    Raises:
        ConfigurationError: There is no such adapter, or it cannot be built as it is configured.
    """
    if kind not in ADAPTERS:
        raise ConfigurationError(f"There is no adapter {kind!r}; there are {', '.join(ADAPTERS)}.")
    module, name = ADAPTERS[kind]
    try:
        made = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise ConfigurationError(f"This release has no adapter for {kind}.") from error
    return cast("Venue", made(options, credentials, clock, coordinator=coordinator))
