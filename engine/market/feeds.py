"""Watches over the feeds: notices markets that fall silent, lets something stand in, and says when all is well.

What stands in, in the order of the settings: books asked for one by one (`backup_feed`), then the last known values as
they are (`static_data`), which are shown with their age and never entered upon. Until the feed itself is heard again,
nothing is opened on that market and trading goes on with care elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.logs import get_logger
from engine.model.ids import symbol_of
from engine.model.scenario import ScenarioKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.market.hub import Market, MarketHub
    from engine.model.ids import InstrumentId
    from engine.resilience.caution import Caution
    from engine.resilience.scenario import Scenario, Scenarios
    from engine.resilience.settings import FeedSettings

__all__ = ["FeedWatch"]

log = get_logger(__name__)

NS = 1_000_000_000
SOURCE = "feeds"
OUTSIDE = 3
"""Trades beyond a book's best prices from which on it is not the market that stands still."""
NAMED = 5
"""Markets named in a sentence; more are counted."""


class FeedWatch:
    """Looks at every market of the hub. Plain and synchronous.

    Args:
        hub: The markets.
        settings: When a feed counts as interrupted, and what stands in.
        caution: Told where nothing may be opened.
        scenarios: Where an interruption is written down: one for all markets that are silent at the same time.
        renew: Has a market's book begun anew at the venue; None where nobody can.
    """

    def __init__(
        self,
        hub: MarketHub,
        settings: FeedSettings,
        caution: Caution,
        scenarios: Scenarios,
        renew: Callable[[InstrumentId], None] | None = None,
    ) -> None:
        self.silent: dict[InstrumentId, int] = {}
        """Markets whose feed is interrupted, with the UTC nanoseconds at which each was heard last."""
        self.frozen: dict[InstrumentId, int] = {}
        """Markets whose book stands still while trades go by outside it, with the time since when it does."""
        self._renew = renew
        self._hub = hub
        self._settings = settings
        self._caution = caution
        self._scenarios = scenarios
        self._scenario: Scenario | None = None

    def tick(self, now: int) -> None:
        """Look at every market; call it about once a second.

        Args:
            now: UTC nanoseconds of the engine's clock.
        """
        for gone in [key for key in self.silent if key not in self._hub.markets]:
            # Nobody watches it any more.
            del self.silent[gone]
            self._caution.heard(gone)
        self._look_for_frozen(now)
        most = int(self._settings.max_staleness * NS)
        fell = [market for market in self._hub.markets.values() if self._is_silent(market, now, most)]
        back = [key for key in self.silent if self._hub.markets[key].streamed > self.silent[key]]
        for market in fell:
            self._fell_silent(market)
        if fell:
            self._stand_in(fell)
        for key in back:
            del self.silent[key]
            if key not in self.frozen:
                self._caution.heard(key)
        if fell or back:
            self._tell(back)
        if "backup_feed" in self._settings.fallback_sources:
            # Asked for again and again: a book is only as fresh as its last answer.
            self._hub.needs_snapshot.update(key for key in self.silent if self._is_due(self._hub.markets[key], now))

    def _look_for_frozen(self, now: int) -> None:
        """A book that does not move while its market does prices orders wrongly: nothing is entered by it."""
        most = int(self._settings.max_frozen * NS)
        for key, market in self._hub.markets.items():
            if key in self.frozen:
                if market.top_moved > self.frozen[key]:
                    del self.frozen[key]
                    self._thawed(key)
            elif market.outside >= OUTSIDE and now - market.top_moved > most:
                self.frozen[key] = market.top_moved
                self._froze(key, (now - market.top_moved) / NS)

    def _froze(self, key: InstrumentId, seconds: float) -> None:
        symbol = symbol_of(key)
        log.warning("a book is frozen", instrument=key, seconds=seconds)
        self._caution.unheard(key, f"The book of {symbol} has stood still for {seconds:.0f} s while trades went by.")
        scenario = self._scenarios.begin(ScenarioKind.FEED, symbol, f"The book of {symbol} is frozen.")
        if self._renew is None:
            self._hub.needs_snapshot.add(key)
        else:
            self._renew(key)
        scenario.step("the book is fetched anew")
        scenario.end("Nothing is opened there until it moves.", succeeded=True)

    def _thawed(self, key: InstrumentId) -> None:
        if key not in self.silent:
            self._caution.heard(key)

    def _is_silent(self, market: Market, now: int, most: int) -> bool:
        if market.instrument.id in self.silent or not market.streamed:
            return False
        return now - market.streamed > most

    def _is_due(self, market: Market, now: int) -> bool:
        return now - market.heard > int(self._settings.max_staleness * NS) // 2

    def _fell_silent(self, market: Market) -> None:
        key = market.instrument.id
        self.silent[key] = market.streamed
        why = market.reason.rstrip(".") or f"nothing was heard for {self._settings.max_staleness:g} s"
        self._caution.unheard(key, f"The feed of {symbol_of(key)} is interrupted ({why}).")

    def _stand_in(self, fell: list[Market]) -> None:
        names = _names(market.instrument.id for market in fell)
        if self._scenario is None:
            cause = f"Nothing is heard of {names}."
            self._scenario = self._scenarios.begin(ScenarioKind.FEED, names, cause)
        else:
            self._scenario.step(f"{names} fell silent too")
        for source in self._settings.fallback_sources:
            if source == "backup_feed":
                self._scenario.step(f"{names}: books are asked for one by one")
            else:
                self._scenario.step(f"{names}: the last known values stay in sight, with their age")

    def _tell(self, back: list[InstrumentId]) -> None:
        if self._scenario is not None and back:
            self._scenario.step(f"{_names(back)} heard again")
        if self.silent:
            if self._settings.conservative_trading:
                self._caution.careful(SOURCE, f"Nothing is heard of {_names(self.silent)}.")
            return
        self._caution.well(SOURCE)
        if self._scenario is not None:
            self._scenario.end("All feeds are heard again.", succeeded=True)
            self._scenario = None


def _names(instruments: Iterable[InstrumentId]) -> str:
    names = [symbol_of(key) for key in instruments]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
