"""The venues of a home folder as its settings want them: exchanges, and what of them stays on paper."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from engine.control.live.gate import ConsentedKeys, held_to_stage
from engine.model.account import Account, TradingMode
from engine.model.ids import Currency, InstrumentId
from engine.venue_unit import VenuePlan

if TYPE_CHECKING:
    from pathlib import Path

    from engine.clock import Clock
    from engine.config import Settings
    from engine.model.credentials import CredentialSource
    from engine.model.ids import AccountId
    from engine.model.venue import Venue
    from engine.venue_settings import VenueSettings
    from engine.venues.limits.coordinator import Coordinator

__all__ = ["SETTINGS_SEEN", "exchange_adapter", "exchange_plans", "live_paper_file", "meant_venue"]


SETTINGS_SEEN = "settings-seen.json"
"""The settings of the last start, to tell what has changed since."""


def meant_venue(home: Path) -> dict[str, str]:
    """The venue that the last engine was told to trade at when it was started; nothing where the settings say it all.

    Returns:
        A setting that outranks all sources.
    """
    try:
        seen = json.loads(json.loads((home / SETTINGS_SEEN).read_text(encoding="utf-8")).get("venue", '""'))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return {"venue": seen} if isinstance(seen, str) and seen else {}


def live_paper_file(home: Path, venue: VenueSettings) -> Path:
    """Where what is on paper at an exchange's prices is kept."""
    return home / f"paper-{venue.id}.db"


def exchange_plans(
    home: Path, settings: Settings, clock: Clock, credentials: CredentialSource, coordinator: Coordinator
) -> list[VenuePlan]:
    """Build the exchanges of the settings, the default one first; blocks for the imports.

    Args:
        home: The home folder.
        settings: Validated settings.
        clock: The engine's clock.
        credentials: Gives the keys of live accounts.
        coordinator: Lets requests leave.

    Raises:
        ConfigurationError: This release has no adapter for one of them.
    """
    wanted = sorted(settings.venues.values(), key=lambda venue: venue.id != settings.default_venue)
    return [_plan(home, venue, clock, credentials, coordinator) for venue in wanted]


def _plan(
    home: Path, wanted: VenueSettings, clock: Clock, credentials: CredentialSource, coordinator: Coordinator
) -> VenuePlan:
    on_paper = wanted.trading_mode is TradingMode.PAPER
    make = _on_paper if on_paper else _at_the_exchange
    base = Currency(wanted.valued_in)
    return VenuePlan(
        venue=make(home, wanted, clock, credentials, coordinator),
        accounts=tuple(
            Account(id=account, venue=wanted.id, mode=wanted.trading_mode, base_currency=base)
            for account in wanted.account_ids
        ),
        dead_man_s=0.0 if on_paper else wanted.dead_man_s,
        dead_man_spares=wanted.dead_man_takes == "entries",
        watched=tuple(InstrumentId(f"{wanted.id}:{symbol}") for symbol in wanted.watched),
    )


def exchange_adapter(
    wanted: VenueSettings,
    clock: Clock,
    credentials: CredentialSource | None,
    coordinator: Coordinator,
    *,
    account: AccountId | None = None,
) -> Venue:
    """Build the adapter of an exchange; blocks for the imports.

    Args:
        wanted: The venue as it is set.
        clock: The engine's clock.
        credentials: Gives the keys of live accounts; None for market data alone, which is always the real one.
        coordinator: Lets requests leave.
        account: Only this one of its accounts; None for all.

    Raises:
        ConfigurationError: This release has no such adapter, or it cannot be built as it is set.
    """
    from engine.venues.factory import NoKeys, make_adapter
    from engine.venues.native.options import VenueOptions

    traded = credentials is not None
    options = VenueOptions(
        id=wanted.id,
        exchange=wanted.exchange,
        accounts=() if not traded else wanted.account_ids if account is None else (account,),
        # Prices on paper are the real ones.
        testnet=wanted.testnet and traded,
        addresses=wanted.addresses,
        ca_file=wanted.ca_file,
        timeout_s=wanted.timeout_s,
        limits=wanted.limits,
    )
    return make_adapter(wanted.kind, options, credentials or NoKeys(), clock, coordinator=coordinator)


def _at_the_exchange(
    home: Path, wanted: VenueSettings, clock: Clock, credentials: CredentialSource, coordinator: Coordinator
) -> Venue:
    venue = exchange_adapter(wanted, clock, ConsentedKeys(credentials, home, wanted), coordinator)
    return held_to_stage(home, wanted, venue)


def _on_paper(
    home: Path, wanted: VenueSettings, clock: Clock, credentials: CredentialSource, coordinator: Coordinator
) -> Venue:
    from engine.venues.markets.live import LiveMarket
    from engine.venues.paper.live import LivePaperVenue
    from engine.venues.paper.settings import LatencySettings, PaperSettings
    from engine.venues.paper.store import PaperStore

    feed = exchange_adapter(wanted, clock, None, coordinator)
    settings = PaperSettings(
        balances=wanted.opening,
        latency=LatencySettings(
            request_ms=wanted.latency_ms / 2, report_ms=wanted.latency_ms / 2, jitter_ms=wanted.latency_jitter_ms
        ),
    )
    market = LiveMarket(feed, clock, maker_fee=wanted.maker_fee, taker_fee=wanted.taker_fee)
    return LivePaperVenue(
        market, PaperStore(live_paper_file(home, wanted)), clock, settings, accounts=wanted.account_ids
    )
