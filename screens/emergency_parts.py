"""Which parts of trading an emergency stop can be about, as far as they are seen on the screen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.model.ids import symbol_of, venue_of
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.control.views import BotRow, EngineStatus, OrderRow, PositionRow

__all__ = ["ALL", "Part", "parts"]


@dataclass(frozen=True)
class Part:
    """A part of trading.

    Args:
        scope: As `risk.emergency_stop` wants it.
        words: What it is, in a sentence: the venue OKX.
        owners: Ids of the bots of a strategy.
    """

    scope: str
    words: str
    owners: frozenset[str] = field(default_factory=frozenset)

    @property
    def everything(self) -> bool:
        """Whether it is all trading."""
        return self.scope == "all"

    def covers(self, row: OrderRow | PositionRow) -> bool:
        """Whether an order or a position is inside."""
        kind, _, name = self.scope.partition(":")
        match kind:
            case "venue":
                return venue_of(row.instrument) == name
            case "account":
                return row.account == name
            case "symbol":
                return row.instrument == name
            case "bot":
                return row.owner_name == name
            case "strategy":
                return row.owner in self.owners
        return True


ALL = Part("all", "everything")


def parts(
    status: EngineStatus | None,
    orders: Sequence[OrderRow],
    positions: Sequence[PositionRow],
    bots: Sequence[BotRow],
) -> list[Part]:
    """Return all trading, then every part of it that is less: venues, accounts, markets, owners, strategies.

    A venue or an account is a part only where there are several; a market only where something is open, an owner only
    where something is open or a bot stands.
    """
    found = [ALL]
    places = [place for place in status.places if place.account] if status is not None else []
    venues = sorted({place.venue for place in places})
    accounts = sorted({place.account for place in places})
    found += [Part(f"venue:{one}", f"the venue {clean(one)}") for one in venues if len(venues) > 1]
    found += [Part(f"account:{one}", f"the account {clean(one)}") for one in accounts if len(accounts) > 1]
    rows: list[OrderRow | PositionRow] = [*positions, *orders]
    markets = sorted({row.instrument for row in rows})
    found += [Part(f"symbol:{one}", f"{symbol_of(one)} at {venue_of(one)}") for one in markets]
    owners = sorted({row.owner_name for row in rows} | {bot.name for bot in bots})
    found += [Part(f"bot:{one}", "orders by hand" if one == "manual" else f"the bot {clean(one)}") for one in owners]
    strategies = sorted({bot.strategy for bot in bots})
    for strategy in strategies:
        its = frozenset(str(bot.id) for bot in bots if bot.strategy == strategy)
        found.append(Part(f"strategy:{strategy}", f"the strategy {clean(strategy)}", its))
    return found
