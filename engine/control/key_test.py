"""Asks a venue what a key may do; nothing is ordered, and it works without an engine."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from engine.control.live.consent import target_of
from engine.control.views_keys import KeyTest
from engine.errors import ConfigurationError, NotFoundError, QuarterdeckError
from engine.execution.permissions import warnings_of
from engine.model.account import TradingMode
from engine.venue_settings import KINDS, VenueSettings

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.config import Settings
    from engine.control.vault import Vault
    from engine.keys.ring import KeyRing
    from engine.model.ids import AccountId, VenueId
    from engine.model.venue import Venue

__all__ = ["ask_open", "ask_venue"]

ANSWER_S = 30.0
"""Longest time in seconds for the whole test."""
TEST = "test-"
"""Before the names of accounts of testnets."""


def those_there(ring: KeyRing) -> str:
    """A sentence on whose keys there are, for who named another."""
    names = sorted(ring.names())
    return f"There are keys of {', '.join(names)}." if names else "There are no keys yet."


async def ask_venue(settings: Settings, vault: Vault, clock: Clock, venue: VenueId, account: AccountId) -> KeyTest:
    """Ask a venue about the key of an account.

    Args:
        settings: Say where the venue is reached; one that they do not name is reached as usual.
        vault: Has the key.
        clock: Ours.
        venue: The venue.
        account: The account there.

    Raises:
        NotFoundError: The account has no key.
        SecurityError: The keys are locked or cannot be read.
        ConfigurationError: There is no such venue.
        ExchangeError: The venue does not answer, or refuses the key.
    """
    if vault.credentials(venue, account) is None:
        there = await asyncio.to_thread(those_there, vault.ring())
        raise NotFoundError(f"{venue}/{account} has no key; add one with `quarterdeck keys add`. {there}")
    wanted = _settings_of(settings, venue, account)
    adapter = await asyncio.to_thread(_adapter, wanted, vault, clock)
    try:
        async with asyncio.timeout(ANSWER_S):
            await adapter.start(_unheard, _unheard)
            return await _ask(adapter, wanted, account, clock)
    except TimeoutError:
        from engine.errors import ExchangeConnectionError

        raise ExchangeConnectionError(f"{venue} did not answer within {ANSWER_S:g} s; try again later.") from None
    finally:
        with suppress(QuarterdeckError, OSError):
            await adapter.close()


async def ask_open(settings: Settings, venue: Venue, account: AccountId, clock: Clock) -> KeyTest:
    """Ask a venue that is connected already; a second connection could take the first one's streams away.

    Raises:
        ExchangeError: The venue does not answer.
    """
    return await _ask(venue, settings.venues[venue.id.lower()], account, clock)


async def _ask(venue: Venue, wanted: VenueSettings, account: AccountId, clock: Clock) -> KeyTest:
    permissions = await venue.permissions(account)
    balances = len(await venue.balances(account)) if permissions.read else None
    offset = venue.health().clock_offset_ms
    return KeyTest(
        venue=venue.id,
        account=account,
        target=target_of(wanted),
        read=permissions.read,
        trade=permissions.trade,
        withdraw=permissions.withdraw,
        derivatives=permissions.derivatives,
        ip_restricted=permissions.ip_restricted,
        expires=permissions.expires,
        note=permissions.note,
        clock_offset_ms=offset,
        balances=balances,
        warnings=warnings_of(venue.id, permissions, clock.now(), offset),
    )


def _unheard(*_: object) -> None:
    """What the venue tells by itself meanwhile is not asked for."""


def _settings_of(settings: Settings, venue: VenueId, account: AccountId) -> VenueSettings:
    name, testnet = venue.lower(), account.startswith(TEST)
    plain = account.removeprefix(TEST)
    known = settings.venues.get(name)
    if known is not None:
        live = known.trading_mode is TradingMode.LIVE and account in known.account_ids
        changes = {} if live else {"testnet": testnet}
        return known.model_copy(update={"mode": "live", "accounts": (plain,), **changes})
    if name not in KINDS or name == "ccxt":
        raise ConfigurationError(
            f"There is no venue {venue} in the settings; add [venues.{name}] with its kind and exchange."
        )
    return VenueSettings(name=name, kind=name, mode="live", testnet=testnet, accounts=(plain,))


def _adapter(wanted: VenueSettings, vault: Vault, clock: Clock) -> Venue:
    from engine.control.home_venues import exchange_adapter
    from engine.venues.limits.coordinator import Coordinator

    return exchange_adapter(wanted, clock, vault, Coordinator(clock))
