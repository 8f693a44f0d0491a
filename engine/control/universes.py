"""Universes over stored candles: who would have been a member when, looking back at each refresh alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import NotFoundError
from engine.market.universe import facts_from_bars, judge, seats_after
from engine.model.candle import timeframe_ns

if TYPE_CHECKING:
    from engine.model.candle import Bars
    from engine.model.universe import Seat, UniverseRule, Verdict
    from storage.candle_sets import StoredSet
    from storage.candles import CandleStore

__all__ = ["PastUniverse", "best_sets", "stored_universe"]

NS_PER_S = 1_000_000_000
MOST_REFRESHES = 20_000


def best_sets(store: CandleStore, venue: str) -> list[StoredSet]:
    """Of each stored market of a venue the set that tells most about its past: of an hour or a day, the longest."""
    chosen: dict[str, StoredSet] = {}
    for stored in store.all():
        if stored.key.venue != venue.upper() or timeframe_ns(stored.key.timeframe) > timeframe_ns("1d"):
            continue
        known = chosen.get(stored.key.symbol)
        rank = (stored.end - stored.start, stored.key.length)
        if known is None or rank > (known.end - known.start, known.key.length):
            chosen[stored.key.symbol] = stored
    return [chosen[symbol] for symbol in sorted(chosen)]


class PastUniverse:
    """The members of a universe through time, from stored candles.

    Args:
        rule: Its rule.
        store: Where the candles are.
        venue: Whose markets.

    Raises:
        NotFoundError: Nothing of the venue is stored.
    """

    def __init__(self, rule: UniverseRule, store: CandleStore, venue: str) -> None:
        sets = best_sets(store, venue)
        if not sets:
            raise NotFoundError(
                f"No candles of {venue.lower()} are stored; `quarterdeck data download` or `quarterdeck data import` "
                "brings some."
            )
        self.rule = rule
        self.sets = sets
        self._bars: dict[str, Bars] = {stored.key.symbol: store.read(stored.key) for stored in sets}

    @property
    def start(self) -> int:
        """First moment of which anything is stored, UTC nanoseconds."""
        return min(stored.start for stored in self.sets)

    @property
    def end(self) -> int:
        """Last such moment."""
        return max(stored.end for stored in self.sets)

    def verdicts(self, ts: int) -> list[Verdict]:
        """What the rule said of each stored market at a moment."""
        facts = [
            facts_from_bars(
                stored.key.symbol,
                "perpetual" if ":" in stored.key.symbol else "spot",
                self._bars[stored.key.symbol],
                stored.key.length,
                ts,
                self.rule.volatility_days,
            )
            for stored in self.sets
        ]
        return judge(self.rule, facts)

    def members(self, start: int, end: int) -> list[tuple[int, frozenset[str]]]:
        """Who was a member from when on, one entry at the start and at each change; refreshed as live."""
        step = max(int(self.rule.refresh_s * NS_PER_S), (end - start) // MOST_REFRESHES, 1)
        seats: dict[str, Seat] = {}
        found: list[tuple[int, frozenset[str]]] = []
        for ts in range(start, end, step):
            seats = seats_after(self.rule, self.verdicts(ts), seats)
            now = frozenset(seats)
            if not found or found[-1][1] != now:
                found.append((ts, now))
        return found


def stored_universe(rule: UniverseRule, store: CandleStore, venue: str, at: int | None) -> tuple[int, list[Verdict]]:
    """The verdicts at a moment (None for the last stored one), and that moment.

    Raises:
        NotFoundError: Nothing of the venue is stored.
    """
    past = PastUniverse(rule, store, venue)
    ts = past.end if at is None else at
    return ts, past.verdicts(ts)
