"""What a crash day came to, in words and tables."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.order import Decision, OrderRequest, OrderSide, OrderStatus, OrderType
from tests.crash_days.world import ACCOUNT, SECOND, SHARE

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from tests.crash_days.days import Day
    from tests.crash_days.world import World

__all__ = ["Watched", "page"]

HEAD = f"""# Crash days

Written by `python -m tests.crash_days` from recorded bars (the folder of recorded data beside the checkout); no figure
is typed by hand. Five bots trade each day: three on the first market (one follows trends, two buy what has fallen, with
stops too far away to help), two on the second. Each entry is {SHARE * 100:.0f} % of equity and positions may reach 80 %
of it: far more than the defaults, so that a crash hurts. Ledger, gate, sizing, breakers, feed watch, technical breaker,
bots, desk and bar matching are the engine's own, with their defaults, on simulated time in steps of 15 seconds; the
connection to the venue is played by the replay. Orders take at most a tenth of what trades, so exits take their time.

Each day is replayed three times: with all breakers, with those on equity alone (losses of day, week and month,
drawdown), and with none. A breaker is no forecast: it stops what is opened while nobody can say what a price means.
Where prices come back, that costs the recovery; the lowest point is what it is for. One replay of a day is no proof of
either.
"""
NAMES = {
    "volatility_spike": "volatility spike", "price_shock": "price shock", "stale_feed": "stale feed",
    "frozen_price": "frozen price", "daily_loss": "loss of the day", "weekly_loss": "loss of the week",
    "monthly_loss": "loss of the month", "max_drawdown": "hard drawdown",
}  # fmt: skip


class Watched:
    """A replay with everything noted that acts.

    Args:
        world: Not run yet.
        attempts: At which times (UTC nanoseconds) somebody tries to buy and to sell by hand.
    """

    def __init__(self, world: World, attempts: tuple[int, ...] = ()) -> None:
        self.world = world
        self.rows: list[tuple[int, str, str, Decimal]] = []
        """Time, what acted, positions, equity."""
        self.refused: dict[str, int] = {}
        self._attempts = list(attempts)
        self._moments = 0
        world.ledger.subscribe(self._hear)

    def run(self) -> None:
        """Replay it."""
        self.world.run(self._each)
        self._take_moments()

    def _hear(self, record: ev.Record) -> None:
        event = record.event
        if isinstance(event, ev.OrderRefused):
            for code in dict.fromkeys(event.codes):
                self.refused[code] = self.refused.get(code, 0) + 1
        said = _said(event)
        if said:
            self._note(record.ts, said)

    def _note(self, ts: int, said: str) -> None:
        held = ", ".join(
            f"{quantity.normalize():f} {self.world.markets[key].instrument.base}"
            for key, quantity in sorted(self.world.held().items())
        )
        self.rows.append((ts, said, held or "none", self.world.worth()))

    def _each(self, world: World) -> None:
        self._take_moments()
        now = world.clock.now()
        while self._attempts and self._attempts[0] <= now:
            self._attempts.pop(0)
            self._try_by_hand(now)

    def _take_moments(self) -> None:
        for ts, said in self.world.moments[self._moments :]:
            self._note(ts, said)
        self._moments = len(self.world.moments)

    def _try_by_hand(self, now: int) -> None:
        """Somebody lets a bot that holds nothing enter, and closes the one that holds something."""
        world = self.world
        flat = next(bot for bot in world.bots.values() if not bot.quantity)
        holding = next((bot for bot in world.bots.values() if bot.quantity), None)
        lot = flat.instrument.current_rules.lot
        request = OrderRequest(
            account=ACCOUNT,
            instrument=flat.instrument.id,
            owner=flat.owner,
            side=OrderSide.BUY,
            type=OrderType.MARKET,
            quantity=lot * 10,
            decision=Decision(reason="a trial"),
        )
        verdict = world.risk.gate.check(request, now)
        codes = ", ".join(dict.fromkeys(str(refusal.code) for refusal in verdict.refusals))
        self._note(now, f"an entry of {flat.owner} would be refused: {codes}")
        if holding is None:
            return
        quantity = holding.quantity
        holding.close("closed by hand")
        waiting = [order for order in holding.orders() if order.cancel_requested or order.status is OrderStatus.UNKNOWN]
        self._note(
            now,
            f"{holding.owner} is told to leave ({quantity.normalize():f}): no limit stands in the way; {len(waiting)} "
            "request is under way that the venue does not answer, so it is asked for until it is known",
        )


def _said(event: ev.Event) -> str:
    match event:
        case ev.BreakerTripped():
            name, where = NAMES.get(event.breaker, event.breaker), event.scope.removeprefix("instrument:")
            return f"**{name}** opens for {where} ({event.value}, limit {event.threshold})"
        case ev.BreakerHalfOpened():
            return f"{NAMES.get(event.breaker, event.breaker)} tries {event.scope.removeprefix('instrument:')} again"
        case ev.BreakerReset():
            return f"{NAMES.get(event.breaker, event.breaker)} closes for {event.scope.removeprefix('instrument:')}"
        case ev.TradingStateChanged():
            return f"trading is {event.state}"
        case ev.LockPlaced():
            return f"lock {event.kind}: {event.reason}"
        case _:
            return ""


def page(parts: list[str]) -> str:
    """The whole document."""
    return "\n".join([HEAD, *parts])


def day_part(day: Day, data: Path) -> str:
    """One day as a part of the document."""
    attempts = () if day.silent is None else (day.silent[0] + 1200 * SECOND,)
    runs = {}
    for guards in ("all", "equity", "none"):
        run = Watched(day.world(data, guards=guards), attempts if guards == "all" else ())
        run.run()
        runs[guards] = run
    lines = [f"\n## {day.title}\n", textwrap.fill(day.text, 120) + "\n"]
    lines += _summary(runs)
    lines += ["\nWhat acted, with all breakers (positions and equity at that moment):\n"]
    lines += ["| UTC | what | positions | equity | with none |", "|---|---|---|---:|---:|"]
    lines += [
        f"| {_clock(ts)} | {said} | {held} | {equity:,.0f} | {_at(runs['none'].world, ts):,.0f} |"
        for ts, said, held, equity in _joined(runs["all"].rows)
    ]
    lines += ["\nWith those on equity alone:\n"]
    lines += [
        f"- {_clock(ts)}: {said}; positions {held}; equity {equity:,.0f}"
        for ts, said, held, equity in _joined(runs["equity"].rows)
    ] or ["- none of them opened"]
    lines += [
        "\nEquity by the hour:\n",
        "| UTC | first market | all | equity alone | none |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += _hours(day, runs)
    return "\n".join(lines) + "\n"


def _summary(runs: dict[str, Watched]) -> list[str]:
    names = {"all": "all breakers", "equity": "those on equity", "none": "none"}
    lines = ["| breakers | lowest equity | at the end | entries refused |", "|---|---:|---:|---|"]
    for guards, run in runs.items():
        low = run.world.lowest
        refused = ", ".join(f"{code} {count}" for code, count in sorted(run.refused.items())) or "none"
        lines.append(f"| {names[guards]} | {low:,.0f} | {run.world.worth():,.0f} | {refused} |")
    return lines


def _joined(rows: list[tuple[int, str, str, Decimal]]) -> list[tuple[int, str, str, Decimal]]:
    """Rows, with the many attempts of a technical breaker between its first and its last told once."""
    found: list[tuple[int, str, str, Decimal]] = []
    again = 0
    for ts, said, held, equity in sorted(rows, key=lambda row: row[0]):
        if said.startswith("technical breaker") and any(row[1] == said for row in found):
            again += 1
            continue
        if again and said.endswith("closed"):
            said = f"{said}, after {again // 2} attempts in between"
        found.append((ts, said, held, equity))
    return found


def _hours(day: Day, runs: dict[str, Watched]) -> list[str]:
    first = next(iter(runs["all"].world.markets.values()))
    bars, hour = first.bars, 3600 * SECOND
    lines = []
    for ts in range(day.begin + hour, day.end + 1, hour):
        i = int(bars.ts.searchsorted(ts)) - 1
        values = " | ".join(f"{_at(run.world, ts):,.0f}" for run in runs.values())
        lines.append(f"| {_clock(ts)} | {bars.close[i]:,.1f} | {values} |")
    return lines


def _at(world: World, ts: int) -> Decimal:
    """Equity at the last end of a bar at or before a time."""
    times = [one for one in world.equity if one <= ts]
    return world.equity[max(times)] if times else next(iter(world.equity.values()))


def _clock(ts: int) -> str:
    moment = datetime.fromtimestamp(ts // SECOND, UTC)
    return f"{moment:%m-%d %H:%M:%S}" if moment.second else f"{moment:%m-%d %H:%M}"
