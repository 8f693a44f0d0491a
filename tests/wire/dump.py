"""Everything a simulated exchange knows, as plain JSON values: the oracle of chaos tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.wire.exchange import Exchange

__all__ = ["dump"]


def dump(exchange: Exchange) -> dict[str, Any]:
    """Balances and positions of every account, and the ledger."""
    now, accounts = exchange.time(), sorted({key.account for key in exchange.keys.all()})
    balances = {
        a: {b.currency: {"total": str(b.total), "locked": str(b.locked)} for b in exchange.balances(a)}
        for a in accounts
    }
    positions = {a: {p.instrument: str(p.quantity) for p in exchange.paper.positions(a, now)} for a in accounts}
    return {
        "venue": exchange.venue,
        "now": now,
        "balances": balances,
        "positions": positions,
        **exchange.ledger.dump(),
    }
