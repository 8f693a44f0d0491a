"""Fee tiers: what was traded at a venue within the last 30 days decides what the next trades cost."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.backtest.markets.spec import FeeTier
    from engine.ledger import Ledger
    from engine.model.fill import Fill
    from engine.model.ids import VenueId
    from engine.model.instrument import Instrument
    from engine.venues.paper.exchange import PaperExchange

__all__ = ["FeeTiers"]

WINDOW_NS = 30 * 86_400 * 1_000_000_000


class FeeTiers:
    """Keeps the volume of each venue and changes the fees of its instruments when a tier is entered or left.

    Args:
        tiers: By volume.
        exchanges: Whose fees change.
        ledger: Where other rules are booked.
        told: Hears of an instrument with other fees.
    """

    def __init__(
        self,
        tiers: Sequence[FeeTier],
        exchanges: Mapping[VenueId, PaperExchange],
        ledger: Ledger,
        told: Callable[[Instrument], None],
    ) -> None:
        self._told = told
        self._tiers = sorted(tiers, key=lambda tier: tier.volume)
        self._exchanges = exchanges
        self._ledger = ledger
        self._traded: dict[VenueId, deque[tuple[int, Decimal]]] = {}
        self._sums: dict[VenueId, Decimal] = {}
        self._tier: dict[VenueId, FeeTier | None] = {}
        self.changes = 0

    def tier_at(self, volume: Decimal) -> FeeTier | None:
        """The tier of a volume; None below the first."""
        found = None
        for tier in self._tiers:
            if tier.volume > volume:
                break
            found = tier
        return found

    def on_fill(self, fill: Fill) -> None:
        """Count an execution; the fees of the next one follow from it."""
        traded = self._traded.setdefault(fill.venue, deque())
        value = fill.price * fill.quantity
        traded.append((fill.ts, value))
        total = self._sums.get(fill.venue, Decimal(0)) + value
        while traded and traded[0][0] <= fill.ts - WINDOW_NS:
            total -= traded.popleft()[1]
        self._sums[fill.venue] = total
        tier = self.tier_at(total)
        if tier is not None and tier is not self._tier.get(fill.venue):
            self._tier[fill.venue] = tier
            self._change(fill.venue, tier, fill.ts)

    def _change(self, venue: VenueId, tier: FeeTier, now: int) -> None:
        exchange = self._exchanges[venue]
        self.changes += 1
        for name in exchange.instruments():
            instrument = exchange.instrument(name)
            rules = msgspec.structs.replace(
                instrument.current_rules, valid_from=now, maker_fee=tier.maker, taker_fee=tier.taker
            )
            # Only what holds now is kept: a run looks at no earlier rules.
            changed = msgspec.structs.replace(instrument, rules=(msgspec.structs.replace(rules, valid_from=0),))
            exchange.take_rules(changed)
            self._ledger.record(ev.InstrumentDefined(instrument=changed))
            self._told(changed)
