"""What happens to capital in a history: flows between pools, settled and locked profit, planned transfers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.capital import FREE, LOCKED, NS_PER_DAY, RESERVE, FlowCause, FundFlow, PoolMeasure, PoolResult
from engine.model.capital import TransferKind as Kind
from engine.model.ids import AccountId, Currency, Owner

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kit.histories import HistoryMaker

__all__ = ["capital"]

PAPER, SPARE = AccountId("paper"), AccountId("spare")
USDT = Currency("USDT")


def capital(maker: HistoryMaker) -> None:
    """Any of it."""
    maker.rng.choice(_HAPPENINGS)(maker)


def _amount(maker: HistoryMaker) -> Decimal:
    return Decimal(maker.rng.randrange(1, 50_000)) / 100


def _flows(maker: HistoryMaker) -> tuple[FundFlow, ...]:
    pools = [FREE, RESERVE, *maker.state.bots]
    found = []
    for _ in range(maker.rng.randrange(4)):
        source, target = maker.rng.choice(pools), maker.rng.choice(pools)
        if source != target:
            found.append(FundFlow(source, target, _amount(maker)))
    return tuple(found)


def _moved(maker: HistoryMaker) -> None:
    cause = maker.rng.choice(list(FlowCause))
    maker.book(
        ev.FundsMoved(
            account=PAPER, currency=USDT, cause=cause, flows=_flows(maker), reason="towards the plan", actor="engine"
        )
    )


def _settled(maker: HistoryMaker) -> None:
    owners = [Owner("manual"), *maker.state.bots]
    results = tuple(PoolResult(owner, _amount(maker) * maker.rng.choice((-1, 1))) for owner in owners)
    flows, locked, lock = list(_flows(maker)), Decimal(0), ""
    if maker.rng.random() < 0.7:
        locked, lock = _amount(maker), f"lock-{maker.state.seq}"
        flows.append(FundFlow(FREE, LOCKED, locked))
    maker.book(
        ev.ProfitSettled(
            account=PAPER, currency=USDT, profit=sum((one.net for one in results), Decimal(0)), results=results,
            flows=tuple(flows), lock=lock, locked=locked, unlocks_at=maker.records[-1].ts + NS_PER_DAY,
        )
    )  # fmt: skip


def _unlocked(maker: HistoryMaker) -> None:
    entry = maker.state.capital.get(PAPER)
    if entry is None or not entry.locks:
        _settled(maker)
        return
    lock, now = maker.rng.choice(list(entry.locks)), maker.records[-1].ts
    if maker.rng.random() < 0.5:
        maker.book(ev.ProfitUnlockAsked(account=PAPER, lock=lock, due=now + 2, reason="needed", actor="operator"))
    else:
        maker.book(ev.ProfitUnlocked(account=PAPER, lock=lock, reason="its time has come"))


def _preserved(maker: HistoryMaker) -> None:
    maker.book(
        ev.CapitalPreserved(
            account=PAPER, on=maker.rng.random() < 0.5, reason="drawdown", actor="engine", currency=USDT,
            flows=_flows(maker),
        )
    )  # fmt: skip


def _measured(maker: HistoryMaker) -> None:
    pools = tuple(PoolMeasure(bot, entry.capital, _amount(maker)) for bot, entry in maker.state.bots.items())
    day = maker.records[-1].ts // NS_PER_DAY + maker.rng.randrange(3)
    maker.book(ev.PoolsMeasured(account=PAPER, day=day, pools=pools))


def _transfer(maker: HistoryMaker) -> None:
    planned = maker.state.transfers
    if planned and maker.rng.random() < 0.5:
        transfer = maker.rng.choice(list(planned))
        if maker.rng.random() < 0.3:
            maker.book(ev.TransferLeft(transfer=transfer))
        maker.book(ev.TransferEnded(transfer=transfer, arrived=maker.rng.random() < 0.5, actor="operator"))
        return
    kind = maker.rng.choice(list(Kind))
    maker.book(
        ev.TransferPlanned(
            transfer=f"t{maker.state.seq}", kind=kind, currency=USDT, amount=_amount(maker), actor="operator",
            source=AccountId("") if kind is Kind.DEPOSIT else PAPER,
            target=AccountId("") if kind is Kind.WITHDRAWAL else SPARE,
        )
    )  # fmt: skip


_HAPPENINGS: tuple[Callable[[HistoryMaker], None], ...] = (
    _moved,
    _settled,
    _unlocked,
    _preserved,
    _measured,
    _transfer,
)
