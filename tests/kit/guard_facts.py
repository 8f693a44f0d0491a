"""What breakers, loss periods and locks add to a history."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.ids import AccountId

if TYPE_CHECKING:
    from tests.kit.histories import HistoryMaker

__all__ = ["guard"]

PAPER = AccountId("paper")
HOUR = 3_600_000_000_000


def guard(maker: HistoryMaker) -> None:
    """A breaker trips, is tried, held or closes; a period begins; a trade ends; a lock comes or goes."""
    rng, now = maker.rng, maker.records[-1].ts
    choice, breaker = rng.randrange(7), rng.choice(("daily_loss", "weekly_loss", "price_shock"))
    scope = "instrument:SIM:BTC/USDT" if breaker == "price_shock" else str(PAPER)
    if choice == 0:
        held, reduces = rng.choice(("", "anna")), breaker == "weekly_loss"
        maker.book(
            ev.BreakerTripped(
                breaker=breaker, scope=scope, value="0.1", threshold="0.05", reason="a loss", held=held,
                reduces=reduces, until=now + HOUR if reduces else 0,
            )
        )  # fmt: skip
    elif choice == 1:
        maker.book(ev.BreakerHalfOpened(breaker=breaker, scope=scope, until=now + HOUR, reason="it is gone"))
    elif choice == 2:
        maker.book(ev.BreakerHeld(breaker=breaker, scope=scope, actor="anna", reason="looking into it"))
    elif choice == 3:
        start = Decimal(rng.randrange(1, 1_000_000)) / 100 if rng.random() < 0.5 else None
        maker.book(
            ev.BreakerReset(
                breaker=breaker, scope=scope, actor="anna", reason="fine", week_start=start, day_start=start
            )
        )
    elif choice == 4:
        equity = Decimal(rng.randrange(1, 1_000_000)) / 100
        period = rng.choice(("day", "week", "month"))
        maker.book(ev.PeriodBegan(account=PAPER, period=period, start=now, end=now + 24 * HOUR, equity=equity))
        maker.book(ev.PeakRecorded(account=PAPER, equity=equity, ts=now))
    elif choice == 5 and maker.state.bots:
        owner, instrument = rng.choice(list(maker.state.bots)), maker.pick_instrument()
        profit = Decimal(rng.randrange(-10_000, 10_000)) / 100
        before = maker.state.trade_totals.get((owner, PAPER, instrument.id), Decimal(0))
        maker.book(
            ev.TradeEnded(
                owner=owner, account=PAPER, instrument=instrument.id, profit=profit, total=before + profit,
                stopped=rng.random() < 0.5, ts=now,
            )
        )  # fmt: skip
        if rng.random() < 0.5:
            maker.book(
                ev.LockPlaced(
                    lock=f"cooldown:{owner}:{instrument.id}", kind="cooldown", scope=owner, instrument=instrument.id,
                    until=now + HOUR, reason="it has just left",
                )
            )  # fmt: skip
    elif maker.state.locks:
        maker.book(ev.LockEnded(lock=rng.choice(list(maker.state.locks)), reason="its time is over"))
