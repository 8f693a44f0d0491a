"""docs/venues.md is made from the adapters' tables: `python -m tests.kit.venues_doc` writes it anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.model.order import OrderType, TimeInForce
from engine.venue_settings import KINDS
from engine.venues.binance import spot_table, usdm_table
from engine.venues.coinbase import table as coinbase_table
from engine.venues.limits import rules
from engine.venues.okx import tables as okx_tables
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.venue import Capabilities

__all__ = ["PAGE", "SHOWN_BY", "venues_page"]

PAGE = ROOT / "docs" / "venues.md"
TIMEOUT_S = 30.0

NATIVE: dict[str, Capabilities] = {
    "binance": spot_table.CAPABILITIES,
    "binanceusdm": usdm_table.CAPABILITIES,
    "okx": okx_tables.CAPABILITIES,
    "coinbase": coinbase_table.capabilities(TIMEOUT_S),
}
NAMES = {
    "binance": "Binance spot",
    "binanceusdm": "Binance USD-M",
    "okx": "OKX",
    "coinbase": "Coinbase Advanced",
}
LIMITS = {
    "binance": rules.BINANCE_LIMITS,
    "binanceusdm": rules.BINANCE_USDM_LIMITS,
    "okx": rules.OKX_LIMITS,
    "coinbase": rules.COINBASE_LIMITS,
}
PRIVATE = {
    "binance": "WebSocket API, signed subscription",
    "binanceusdm": "listen key, renewed",
    "okx": "login; ordinary and algo orders over a connection each",
    "coinbase": "user channel, a fresh token per subscription",
}
SHOWN_BY = {
    "binance": (
        "tests/venues/binance/test_contract_spot.py",
        "tests/venues/binance/test_adapter_spot.py",
        "tests/wire/test_live_engine.py",
        "tests/control/test_venue_check.py",
    ),
    "binanceusdm": (
        "tests/venues/binance/test_contract_usdm.py",
        "tests/venues/binance/test_adapter_usdm.py",
        "tests/control/test_venue_check.py",
    ),
    "okx": (
        "tests/venues/okx/test_contract.py",
        "tests/venues/okx/test_venue.py",
        "tests/wire/test_live_engine.py",
        "tests/control/test_venue_check.py",
    ),
    "coinbase": (
        "tests/venues/coinbase/test_contract.py",
        "tests/venues/coinbase/test_adapter.py",
        "tests/control/test_venue_check.py",
    ),
    "ccxt": (
        "tests/venues/generic/test_contract.py",
        "tests/venues/generic/test_late_executions.py",
        "tests/venues/generic/test_not_found.py",
        "tests/wire/test_live_engine.py",
    ),
}
"""Test modules that an adapter passes over the simulated exchange."""

HEAD = """# Venues

What each adapter can do, made from the adapters' own tables (`python -m tests.kit.venues_doc` writes this page; a test
holds it to them), and how far that is shown.

**Verified on the wire simulator** means: the tests named below pass against a server on this machine that speaks the
exchange's protocol, and that ccxt's own client accepts. It shows that the adapter does what the exchange documents. It
cannot show that the exchange does. **Verified on the real venue** is what `quarterdeck venue check NAME --trade` has
shown there, with its date. No exchange could be reached while this release was made, so that column says *nowhere yet*
for all of them. Testnets take live orders at once, an exchange itself step by step (see
[operating.md](operating.md#live-accounts)); prices, and paper trading on them, need no key.

"""

NOTES = """
## What to know of each

**Binance spot.** Changing an order means cancelling it and placing another one. An order is found by its symbol, so
the adapter asks the engine's books where an order was after a restart. There is no dead-man's switch.

**Binance USD-M.** One-way mode only; an account in hedge mode is refused with a sentence. Every symbol begins at 20x in
cross mode; before anything is opened it is set to what is wanted (see [operating](operating.md#live-accounts)). Stop
and take-profit orders are orders of another kind at the exchange (algo orders); listing, query, cancel and the
emergency stop cover both. Quantities are contracts of one unit of the base currency.

**OKX.** Spot and linear swaps are in one account. One-way mode only. A swap has a leverage for each margin mode, and
every order names its mode: that of the open position, else the one that is wanted. An order carries the time until
which it is good, so one whose answer was lost cannot come to life later; OKX documents that for ordinary orders, not
for algo orders. Market buys are counted in the base currency. OKX keeps orders that have ended for seven days, those
cancelled without an execution for two hours. It knows stops and targets as algo orders; it does not say whether its
dead-man's switch cancels those that wait, and nothing relies on its doing so. Reduce-only holds for swaps.

**Coinbase Advanced.** No network for trying things out: like every exchange itself it is opened step by step (see
[operating.md](operating.md#live-accounts)), and the orders of its check are real ones. No look-up by our order id: an
order whose answer was lost is looked for in whole listings, and counts as not found after two of them, the later one
asked for 30 s or more after the request's deadline. Stop and take-profit orders become limit orders within a collar
when they are triggered. Only resting limit orders can be changed in place.

**Any other exchange, through ccxt.** `kind = "ccxt"`, `exchange = "kraken"`; of addresses it has `rest` and `ws`. Spot
is traded; perpetuals are looked at only, for ccxt does not say how an account holds them. Books are not verified: a gap
could go unnoticed, and screens say so. No stop rests at the exchange, also where ccxt would hand one on, for ccxt does
not say how it is listed, cancelled and reported there: the engine holds stops and targets, which work only while it
lives, and screens mark them so. Nothing is changed in place. What is claimed of an exchange (times in force, post-only,
market orders, candles) is ccxt's word; where a market buy would name its value it is sent as a limit order, now or
never. No order leaves without our order id in it, and an order's end is told after all executions that the exchange
promises: while it does not list them, the order is unknown and says why. Binance and OKX find orders by our id; at all
others an order whose answer was lost is looked for in whole listings of every status, as at Coinbase. Where ccxt cannot
list ended orders to the end (Kraken's cancelled ones, pages that are cut, histories that are too short), or the
exchange was never seen to list our ids, it is never taken for not sent: it stays unknown and holds what it reserved,
and the error says where to look. Tried over the simulators of Binance spot, OKX spot and Coinbase.

## Checking a venue yourself

```
quarterdeck venue check binance                    # the market alone, without a key
quarterdeck venue check okx --json                 # a venue of the settings, with its key
quarterdeck venue check okx --trade                # places orders of the least size, and takes all of them back
```

No engine may run in the home folder meanwhile. Each check says what was seen. The report is kept in `venue-checks` of
the home folder, as JSON and for reading; it names no key, no account, no balance, and no order but the check's own.
What could not be cancelled or sold again is named at the end. `--trade` wants the account's consent (`quarterdeck live
consent ACCOUNT`) and the words VENUE/ACCOUNT, and is refused where live orders are.
"""


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _names(values: Any) -> str:
    return ", ".join(sorted(str(value.value).replace("_", " ") for value in values)) or "none"


def _kept(seconds: float | None) -> str:
    return "for all time" if seconds is None else f"{seconds / 86_400:g} days"


def _switch(able: Capabilities) -> str:
    if not able.countdown:
        return "none"
    return (
        f"yes, spares {_names(able.countdown_spares)}" if able.countdown_spares else "yes; spares nothing for certain"
    )


ROWS: tuple[tuple[str, Callable[[str, Capabilities], str]], ...] = (
    ("kinds", lambda _, c: _names(c.kinds)),
    ("orders at the venue", lambda _, c: _names(c.order_types)),
    ("orders held by the engine", lambda _, c: _names(set(OrderType) - c.order_types)),
    ("time in force", lambda _, c: ", ".join(t.value.upper() for t in TimeInForce if t in c.times_in_force)),
    ("post-only", lambda _, c: _yes(c.post_only)),
    ("reduce-only at the venue", lambda _, c: _yes(c.reduce_only)),
    ("amend in place", lambda _, c: _yes(c.amend)),
    ("OCO", lambda _, c: "at the venue" if c.oco else "by the engine"),
    ("look-up by our order id", lambda _, c: _yes(c.lookup_by_client_id)),
    ("*not found* counts after", lambda _, c: f"{c.visibility_delay_s:g} s"),
    ("dead-man's switch", lambda _, c: _switch(c)),
    ("margin modes", lambda _, c: _names(c.margin_modes)),
    ("leverage up to", lambda _, c: f"{c.max_leverage:f}"),
    ("books", lambda _, c: "sequence verified" if c.verified_books else "not verified"),
    ("executions kept", lambda _, c: _kept(c.fills_kept_s)),
    ("private stream", lambda name, _: PRIVATE[name]),
    ("testnet", lambda name, _: _yes(KINDS[name].testnet)),
    ("verified on the wire simulator", lambda name, _: "yes, see below" if name in SHOWN_BY else "no"),
    ("verified on the real venue", lambda _name, _: "nowhere yet"),
)


def venues_page() -> str:
    """The page as it must be."""
    lines = [f"| | {' | '.join(NAMES.values())} |", f"|---|{'---|' * len(NAMES)}"]
    for title, cell in ROWS:
        lines.append(f"| {title} | {' | '.join(cell(name, able) for name, able in NATIVE.items())} |")
    lines.append(
        "\n## Rate limits kept to\n\nBy default, and lower where `venues.NAME.limits` says so. Cancels and the "
    )
    lines[-1] += "emergency stop go first.\n"
    lines.append("| venue | limit | at most | in |\n|---|---|---|---|")
    for name, limits in LIMITS.items():
        for limit in limits:
            span = f"{limit.per_s:g} s" if limit.per_s else "at a time, for its markets"
            apart = f" (each {', '.join(limit.scope)})" if limit.scope else ""
            lines.append(f"| {NAMES[name]} | `{limit.name}`{apart} | {limit.capacity:,g} | {span} |")
    lines.append("\n## What shows it\n\n| adapter | tests over the simulated exchange |\n|---|---|")
    for name, tests in SHOWN_BY.items():
        title = NAMES.get(name, "ccxt, any exchange")
        lines.append(f"| {title} | {', '.join(f'`{test}`' for test in tests)} |")
    return HEAD + "\n".join(lines) + "\n" + NOTES


if __name__ == "__main__":
    PAGE.write_text(venues_page(), encoding="utf-8")
