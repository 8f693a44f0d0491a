"""A download of candles from beginning to end: the venue that is meant, its adapter without keys, and the store."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from pydantic import ValidationError as PydanticError

from engine.errors import ValidationError
from engine.model.ids import SIMULATED
from engine.venue_settings import KINDS, VenueSettings, venue_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.clock import Clock
    from engine.config import Settings
    from engine.control.downloading import DownloadReport
    from engine.model.ids import VenueId
    from storage.candle_sets import CandleSet

__all__ = ["download", "venue_for"]


def venue_for(settings: Settings, venue: VenueId) -> VenueSettings:
    """The exchange of that name: as the settings have it, else as its adapter is by default, else through ccxt.

    Raises:
        ValidationError: There is none of that name; the nearest one is named.
    """
    known = {each.id: each for each in settings.venues.values()}
    if venue in known:
        return known[venue]
    if venue == SIMULATED:
        raise ValidationError("The simulated market has no history to download; its bars are made as they are needed.")
    name = venue.lower()
    group = {} if name in KINDS and name != "ccxt" else {"kind": "ccxt", "exchange": name, "mode": "paper"}
    if group and name not in _exchanges():
        near = difflib.get_close_matches(name, [*KINDS, *_exchanges()], 1, 0.6)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValidationError(f"There is no exchange {name}.{hint}")
    try:
        return VenueSettings.model_validate(venue_settings({name: group})[name])
    except (PydanticError, ValueError) as error:
        raise ValidationError(f"The venue {name} cannot be used: {error}") from None


def _exchanges() -> list[str]:
    import ccxt.async_support

    return list(ccxt.async_support.exchanges)


async def download(
    home: Path,
    settings: Settings,
    key: CandleSet,
    start: int | None,
    end: int | None,
    progress: Callable[[float, str], None],
    clock: Clock | None = None,
) -> DownloadReport:
    """Fetch an exchange's candles that are not stored, with no key and no engine.

    Args:
        home: Home folder.
        settings: Its settings, for addresses and rate limits.
        key: What is wanted.
        start: UTC nanoseconds; None for the first stored bar.
        end: UTC nanoseconds, exclusive; None for now.
        progress: Told the share done and a sentence.
        clock: Time; None for the system's.

    Raises:
        QuarterdeckError: As `Download.run`, or the exchange cannot be reached.
    """
    from engine.clock import SystemClock
    from engine.control.downloading import Download
    from engine.control.home_venues import exchange_adapter
    from engine.venues.limits.coordinator import Coordinator
    from storage.candles import CandleStore

    clock = clock or SystemClock()
    coordinator = Coordinator(clock)
    venue = exchange_adapter(venue_for(settings, key.venue), clock, None, coordinator)
    try:
        await venue.start(lambda account, event: None, lambda event: None)
        await venue.instruments()
        return await Download(venue, CandleStore(home / "candles"), key, clock, progress).run(start, end)
    finally:
        await venue.close()
        coordinator.close()
