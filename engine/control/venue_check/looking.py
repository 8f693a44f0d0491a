"""Checks that only look: at the market, and at the account where there is one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from engine.control.venue_check.subject import CheckFailedError, CheckSkippedError, CheckWarning
from engine.model.candle import timeframe_ns
from engine.model.instrument import CASH_KINDS
from engine.model.market import BookUpdate, MarketTrade, OrderBook
from engine.model.venue import VenueStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.control.venue_check.subject import Subject

    Check = Callable[[Subject], Awaitable[str]]

__all__ = ["LIMITS", "MARKET", "PRIVATE", "demand"]

_UPDATES = 20
_SKEW_CARE_MS, _SKEW_MOST_MS = 500, 5_000
_SAMPLES = 3
_PAGE = 5
_DEPTH = 20


def demand(true: object, otherwise: str) -> None:
    """Raise CheckFailedError unless something holds."""
    if not true:
        raise CheckFailedError(otherwise)


async def online(s: Subject) -> str:
    """It says that it can be traded."""
    await s.until(lambda: s.venue.status is VenueStatus.ONLINE, f"The venue is {s.venue.status}; it did not come up")
    return "The venue is online."


async def clock(s: Subject) -> str:
    """Its clock is near ours: the answer with the shortest way counts."""
    found: list[tuple[float, float]] = []
    for _ in range(_SAMPLES):
        begun = s.clock.monotonic()
        before = s.clock.now()
        theirs = await s.venue.server_time()
        way = (s.clock.monotonic() - begun) / 1e6
        found.append((way, (theirs - before) / 1e6 - way / 2))
    way, offset = min(found)
    words = f"The venue's clock is {offset:+.0f} ms from ours, give or take {way / 2:.0f} ms; an answer takes {way:.0f}"
    demand(abs(offset) - way / 2 <= _SKEW_MOST_MS, f"{words} ms: set this machine's clock.")
    if abs(offset) - way / 2 > _SKEW_CARE_MS:
        raise CheckWarning(f"{words} ms. Signed requests are corrected by it; this machine's clock should be set.")
    return f"{words} ms."


async def instruments(s: Subject) -> str:
    """It lists instruments with rules that can be kept."""
    listed = await s.venue.instruments()
    found = next((one for one in listed if one.id == s.wanted), None)
    demand(found is not None, f"{s.wanted} is not among the {len(listed)} instruments that are listed.")
    assert found is not None
    s.instrument = found
    bad = [i.id for i in listed if not i.rules or i.current_rules.price_tick <= 0 or i.current_rules.lot <= 0]
    demand(not bad, f"{len(bad)} of {len(listed)} instruments have no usable rules, such as {bad[:3]}.")
    rules = found.current_rules
    return (
        f"{len(listed):,} instruments. {found.id}: tick {rules.price_tick:f}, lot {rules.lot:f}, least quantity "
        f"{rules.min_quantity:f}, least value {rules.min_notional:f} {found.quote}, fees {rules.maker_fee:.4%} and "
        f"{rules.taker_fee:.4%}."
    )


async def book(s: Subject) -> str:
    """A book that is asked for is sorted, not crossed and no deeper than asked."""
    shown = await s.venue.book(s.wanted, _DEPTH)
    bids, asks = [price for price, _ in shown.bids], [price for price, _ in shown.asks]
    demand(bids and asks, "A side of the book is empty.")
    demand(len(bids) <= _DEPTH and len(asks) <= _DEPTH, f"The book is deeper than the {_DEPTH} levels asked for.")
    demand(bids == sorted(bids, reverse=True) and asks == sorted(asks), "The book is not sorted by price.")
    demand(bids[0] < asks[0], "The book is crossed.")
    demand(all(size > 0 for _, size in (*shown.bids, *shown.asks)), "The book has a level without a size.")
    return f"{len(bids)} bids and {len(asks)} asks, best {s.instrument.price_from_int(bids[0]).normalize():f} / " + (
        f"{s.instrument.price_from_int(asks[0]).normalize():f}."
    )


async def stream(s: Subject) -> str:
    """A watched book begins with a snapshot, and every update follows the one before."""
    await s.venue.watch([s.wanted])

    def updates() -> list[BookUpdate]:
        return [event for event in s.market if isinstance(event, BookUpdate)]

    await s.until(lambda: len(updates()) > _UPDATES, f"Fewer than {_UPDATES} book updates came", seconds=s.quiet_s)
    heard = updates()
    demand(heard[0].snapshot, "The first thing that was told of the book is no snapshot.")
    kept = OrderBook(s.wanted)
    for number, update in enumerate(heard):
        demand(kept.apply(update), f"Update {number} does not follow the one before it: a gap.")
        demand(not kept.crossed, f"The book is crossed after update {number}.")
    begun_anew = sum(update.snapshot for update in heard) - 1
    verified = "its sequence is verified" if s.venue.capabilities.verified_books else "a gap could go unnoticed"
    words = f"{len(heard)} updates without a gap, {len(kept.bids)} bids and {len(kept.asks)} asks kept; {verified}."
    if not s.venue.capabilities.verified_books:
        raise CheckWarning(words)
    return words if not begun_anew else f"{words} It began anew {begun_anew} times."


async def stream_trades(s: Subject) -> str:
    """Public trades arrive, on the grid of prices."""

    def heard() -> list[MarketTrade]:
        return [event for event in s.market if isinstance(event, MarketTrade)]

    try:
        await s.until(heard, "No public trade was heard", seconds=s.quiet_s)
    except CheckFailedError:
        raise CheckWarning(f"No public trade was heard in {s.quiet_s:g} s; the market may be that quiet.") from None
    tick = s.instrument.price_to_int(s.instrument.current_rules.price_tick)
    off = [one for one in heard() if one.price % tick or one.quantity <= 0]
    demand(not off, f"{len(off)} of {len(heard())} trades are off the price grid or have no size.")
    return f"{len(heard())} public trades, all on the price grid."


async def unwatch(s: Subject) -> str:
    """What is not watched any more falls silent."""
    await s.venue.unwatch([s.wanted])
    await s.clock.sleep(1.0)
    s.market.clear()
    await s.clock.sleep(2.0)
    demand(not s.market, f"{len(s.market)} messages came after the market was not watched any more.")
    return "Nothing came any more."


async def trades(s: Subject) -> str:
    """Public trades that are asked for are in order of time."""
    shown = await s.venue.trades(s.wanted, 50)
    demand(all(trade.price > 0 and trade.quantity > 0 for trade in shown), "A public trade has no price or no size.")
    demand([t.ts for t in shown] == sorted(t.ts for t in shown), "Public trades are not in order of time.")
    if not shown:
        raise CheckWarning("The venue shows no public trade.")
    return f"{len(shown)} public trades, oldest first."


async def tickers(s: Subject) -> str:
    """The last 24 hours of the instrument are told."""
    found = [ticker for ticker in await s.venue.tickers([s.wanted]) if ticker.instrument == s.wanted]
    demand(found, f"There is no ticker of {s.wanted}.")
    shown = found[0]
    if shown.bid is not None and shown.ask is not None:
        demand(shown.bid <= shown.ask, "The ticker's bid is above its ask.")
    if shown.low is not None and shown.high is not None:
        demand(shown.low <= shown.high, "The ticker's low is above its high.")
    missing = [name for name in ("bid", "ask", "last", "high", "low", "base_volume") if getattr(shown, name) is None]
    return f"The ticker is told{', without ' + ', '.join(missing) if missing else ' whole'}."


async def candles(s: Subject) -> str:
    """Candles come closed, in order, and in pages that follow each other without overlap."""
    if not s.venue.capabilities.candles:
        raise CheckSkippedError("The venue has no candles.")
    length = timeframe_ns("1m")
    newest = list(await s.venue.candles(s.wanted, "1m", limit=_PAGE))
    demand(newest, "There is not one candle of a minute.")
    earlier = list(await s.venue.candles(s.wanted, "1m", end=newest[0].ts, limit=_PAGE))
    both = [*earlier, *newest]
    stamps = [candle.ts for candle in both]
    demand(stamps == sorted(set(stamps)), "Two pages of candles overlap, or are not in order.")
    demand(all(ts % length == 0 for ts in stamps), "A candle does not begin at a full minute.")
    demand(all(candle.closed for candle in both), "A candle is still open.")
    demand(all(c.low <= min(c.open, c.close) <= max(c.open, c.close) <= c.high for c in both), "A candle is not one.")
    gaps = sum(later - sooner != length for sooner, later in pairwise(stamps))
    return f"Two pages, {len(both)} candles, {gaps} minutes without one between them."


async def limits(s: Subject) -> str:
    """What is used of the rate limits is known, and nothing is forbidden."""
    health = s.venue.health()
    demand(health.paused_until <= s.clock.now(), "The venue has forbidden requests for a time; try again later.")
    used = ", ".join(f"{name} {share:.1%}" for name, share in sorted(health.limits.items()) if share) or "nothing"
    down = [stream.name for stream in health.streams if not stream.up]
    demand(not down, f"{len(down)} of {len(health.streams)} connections are down.")
    again = sum(stream.reconnects for stream in health.streams)
    latency = f"{health.latency_ms:.0f} ms" if health.latency_ms is not None else "unknown"
    return f"Used: {used}. {len(health.streams)} connections, {again} times connected anew, usual answer {latency}."


# --- the account -----------------------------------------------------------------------------------------------------


async def permissions(s: Subject) -> str:
    """The key may do what is needed, and nothing that is not."""
    may = await s.venue.permissions(s.who)
    demand(may.read, "The key may not read the account.")
    said = [
        "read",
        *(["trade"] if may.trade else []),
        *(["derivatives"] if may.derivatives else []),
        *(["WITHDRAW"] if may.withdraw else []),
    ]
    bound = {True: "bound to addresses", False: "bound to no address", None: "whether bound to addresses is not told"}
    words = f"The key may {', '.join(said)}; {bound[may.ip_restricted]}."
    if may.withdraw:
        raise CheckWarning(f"{words} Take the permission to withdraw away: nothing here needs it.")
    if may.note:
        raise CheckWarning(f"{words} {may.note}")
    return words


async def balances(s: Subject) -> str:
    """Balances are told and make sense; amounts are left out."""
    shown = await s.venue.balances(s.who)
    names = [balance.currency for balance in shown]
    demand(len(set(names)) == len(names), "A currency is told twice.")
    cash = s.instrument.kind in CASH_KINDS
    odd = [b.currency for b in shown if b.locked < 0 or (cash and b.locked > b.total)]
    demand(not odd, f"More is locked than there is of {', '.join(odd)}.")
    return f"Balances of {len(shown)} currencies."


async def open_orders(s: Subject) -> str:
    """Working orders are listed and can each be read."""
    shown = await s.venue.open_orders(s.who)
    ended = [order for order in shown if order.filled >= order.quantity]
    demand(not ended, f"{len(ended)} of {len(shown)} open orders are filled whole.")
    return f"{len(shown)} orders work."


async def positions(s: Subject) -> str:
    """Positions in derivatives are told."""
    if not s.venue.capabilities.kinds - CASH_KINDS:
        raise CheckSkippedError("The venue has no derivatives.")
    shown = [position for position in await s.venue.positions(s.who) if position.quantity]
    return f"{len(shown)} open positions."


async def fills(s: Subject) -> str:
    """Executions are read on from a cursor, none of them twice."""
    first, cursor = await s.venue.fills_since(s.who, "")
    keys = [fill.key for fill in first]
    demand(len(set(keys)) == len(keys), "An execution is told twice.")
    again, s.cursor = await s.venue.fills_since(s.who, cursor)
    demand(not {fill.key for fill in again} & set(keys), "Executions before the cursor are told again.")
    kept = s.venue.capabilities.fills_kept_s
    reach = "all time" if kept is None else f"{kept / 86_400:g} days"
    return f"{len(first)} executions, read once; the venue keeps them for {reach}."


MARKET: tuple[tuple[str, str, Check], ...] = (
    ("online", "It is online", online),
    ("clock", "Its clock is near ours", clock),
    ("instruments", "Instruments and their rules", instruments),
    ("book", "A book that is asked for", book),
    ("stream", "A book that is watched", stream),
    ("stream_trades", "Public trades as they happen", stream_trades),
    ("unwatch", "Silence after watching", unwatch),
    ("trades", "Public trades that are asked for", trades),
    ("tickers", "The last 24 hours", tickers),
    ("candles", "Candles in pages", candles),
)
"""Name, subject and function of every check that needs no key."""
PRIVATE: tuple[tuple[str, str, Check], ...] = (
    ("permissions", "What the key may do", permissions),
    ("balances", "Balances", balances),
    ("open_orders", "Working orders", open_orders),
    ("positions", "Positions in derivatives", positions),
    ("fills", "Executions", fills),
)
"""Checks that need a key and place nothing."""
LIMITS: tuple[str, str, Check] = ("limits", "Rate limits and connections", limits)
"""The last one: after everything was asked."""
