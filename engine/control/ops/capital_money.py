"""Operations on money itself: deposits, withdrawals, transfers, spreading over venues, currencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.capital.distribution import VenueFigures, distribute
from engine.capital.routes import MarketFigures, cheapest_route
from engine.capital.withdrawals import deposit_rulings, withdrawal_rulings
from engine.control.live.admission import live_order
from engine.control.ops.capital import account_of
from engine.control.present.capital import capital_view, pool_flows, ruling_rows
from engine.control.present.money import distribution_view, exposure_view, route_view
from engine.control.present.orders import order_row
from engine.control.registry import Role, Tier, operation
from engine.control.requests import Empty
from engine.control.requests_capital import ConvertQuery, EndTransfer, HedgeRequest, MoneyRequest, TransferRequest
from engine.control.views_capital import MoneyView, RulingRow
from engine.errors import CapitalManagementError, ConflictError, ValidationError
from engine.execution.emulation import EmulatingVenue
from engine.model.account import TradingMode
from engine.model.capital import TransferKind
from engine.model.decimals import ONE, ZERO
from engine.model.ids import Currency
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderType
from engine.model.venue import Fundable, VenueStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from engine.control.context import Context
    from engine.control.views import OrderRow
    from engine.control.views_capital import CapitalView, DistributionView, ExposureView, FlowRow, RouteView
    from engine.engine import Engine
    from engine.model.capital import FundFlow
    from engine.model.ids import AccountId


DEPTH = 50
"""Levels of a book that a conversion is measured with."""


@operation("capital.deposit", MoneyRequest, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def deposit(context: Context, request: MoneyRequest) -> MoneyView:
    """Put paper money in; with real money: plan a deposit, which is booked when it arrives."""
    engine = context.need_engine()
    account, currency = _meant(engine, request)
    transfers = engine.capital.transfers
    value = transfers.value(account, currency, request.amount)
    rulings = deposit_rulings(engine.capital.figures, value, transfers.known(account))
    broken = [one.words for one in rulings if not one.passed]
    if request.check or broken:
        return _checked(request, value, ruling_rows(rulings), broken)
    paper = _paper(engine, account)
    transfer = transfers.plan(
        TransferKind.DEPOSIT, currency, request.amount, request.reason, context.actor, target=account
    )
    if paper is None:
        words = "It is planned. Send the money; it is booked as soon as the account has it (`capital confirm` looks)."
        return MoneyView(transfer=transfer, done=False, value=value, rules=ruling_rows(rulings), flows=(), words=words)
    kept = paper.fund(account, currency, request.amount)
    flows = transfers.came_in(transfer, request.amount, context.actor)
    await kept
    return MoneyView(
        transfer=transfer,
        done=True,
        value=value,
        rules=ruling_rows(rulings),
        flows=tuple(_flows(engine, flows, account, "deposit", request.reason, context.actor)),
        words=f"{request.amount:f} {currency} came into {account}.",
    )


@operation("capital.withdraw", MoneyRequest, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def withdraw(context: Context, request: MoneyRequest) -> MoneyView:
    """Take paper money out; with real money: plan a withdrawal, which is booked when it is gone."""
    engine = context.need_engine()
    account, currency = _meant(engine, request)
    transfers = engine.capital.transfers
    value = transfers.value(account, currency, request.amount)
    known, now = transfers.known(account), engine.clock.now()
    rulings = withdrawal_rulings(engine.capital.figures, value, known, now)
    broken = [one.words for one in rulings if not one.passed]
    free = engine.state.balance(account, currency).free
    if free < request.amount:
        broken.append(f"Only {free:f} {currency} of {account} is free.")
    if request.check or broken:
        return _checked(request, value, ruling_rows(rulings), broken)
    paper = _paper(engine, account)
    transfer = transfers.plan(
        TransferKind.WITHDRAWAL, currency, request.amount, request.reason, context.actor, source=account
    )
    flows = transfers.make_room(transfer, value, context.actor)
    words = "It is planned. Take the money out; it is booked as soon as the account is without it."
    if paper is not None:
        kept = paper.fund(account, currency, -request.amount)
        transfers.left(transfer, request.amount, context.actor)
        await kept
        words = f"{request.amount:f} {currency} left {account}."
    return MoneyView(
        transfer=transfer,
        done=paper is not None,
        value=value,
        rules=ruling_rows(rulings),
        flows=tuple(_flows(engine, flows, account, "withdrawal", request.reason, context.actor)),
        words=words,
    )


@operation("capital.transfer", TransferRequest, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def transfer_money(context: Context, request: TransferRequest) -> MoneyView:
    """Plan a transfer between two accounts; paper money moves at once, real money when somebody has sent it."""
    engine = context.need_engine()
    source, target = account_of(engine, request.source), account_of(engine, request.target)
    if source == target:
        raise ValidationError("Name two different accounts.")
    currency = Currency(request.currency.upper()) or engine.state.accounts[source].base_currency
    free = engine.state.balance(source, currency).free
    if free < request.amount:
        raise CapitalManagementError(f"Only {free:f} {currency} of {source} is free.")
    if why := engine.capital.figures.entry(source).preserved:
        raise CapitalManagementError(f"The capital of {source} is preserved ({why}).")
    transfers = engine.capital.transfers
    value = transfers.value(source, currency, request.amount)
    out, into = _paper(engine, source), _paper(engine, target)
    if (out is None) is not (into is None):
        raise ValidationError("Paper money and real money cannot be exchanged.")
    transfer = transfers.plan(
        TransferKind.TRANSFER, currency, request.amount, request.reason, context.actor, source=source, target=target
    )
    words = "It is planned. Send the money; both ends are booked as the accounts show it."
    if out is not None and into is not None:
        gone = out.fund(source, currency, -request.amount)
        here = into.fund(target, currency, request.amount)
        transfers.moved(transfer, context.actor)
        await gone
        await here
        words = f"{request.amount:f} {currency} went from {source} to {target}."
    return MoneyView(transfer=transfer, done=out is not None, value=value, rules=(), flows=(), words=words)


@operation("capital.confirm", EndTransfer, Role.TRADER, mutates=True)
async def confirm(context: Context, request: EndTransfer) -> CapitalView:
    """Look now whether a planned transfer has arrived, and book it."""
    engine = context.need_engine()
    planned = engine.capital.transfers.find(request.transfer)
    for account in (planned.source, planned.target):
        if account:
            await engine.accounts[account].upkeep[account].monitor.check()
    if request.transfer in engine.state.transfers:
        state = engine.state.transfers[request.transfer]
        where = "It has left and is on its way." if state.left else "Neither account shows it yet."
        raise ConflictError(f"The transfer {request.transfer} has not arrived. {where}")
    return capital_view(engine)


@operation("capital.drop", EndTransfer, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def drop(context: Context, request: EndTransfer) -> CapitalView:
    """Give a planned transfer up."""
    engine = context.need_engine()
    engine.capital.transfers.drop(request.transfer, request.reason, context.actor)
    return capital_view(engine)


@operation("capital.distribution", Empty)
async def distribution(context: Context, _: Empty) -> DistributionView:
    """How money is spread over venues, what it should be, and which transfers would bring it there."""
    engine = context.need_engine()
    found = distribute(list(_venues(engine)), engine.capital.figures.settings)
    return distribution_view(engine, found)


@operation("capital.exposure", Empty)
async def exposure(context: Context, _: Empty) -> ExposureView:
    """Exposure to currencies against their limits, and the orders that would hedge it."""
    engine = context.need_engine()
    return exposure_view(engine, engine.capital.exposures(), engine.capital.planned_hedges())


@operation("capital.hedge", HedgeRequest, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def hedge(context: Context, request: HedgeRequest) -> list[OrderRow]:
    """Send the hedges that `capital.exposure` plans, as market orders of the operator's."""
    engine = context.need_engine()
    wanted = [one for one in engine.capital.planned_hedges() if request.currency.upper() in ("", one.currency)]
    if not wanted:
        raise ConflictError("Nothing is to be hedged: no exposure is above the threshold, or no market fits.")
    rows = []
    for one in wanted:
        order = one.order()
        with live_order(context, order, request.live) as allowed:
            rows.append(order_row(engine, engine.desk.submit(allowed)))
    return rows


@operation("capital.route", ConvertQuery)
async def route(context: Context, request: ConvertQuery) -> RouteView:
    """The cheapest way from one currency into another over the watched spot markets of an account's venue."""
    engine = context.need_engine()
    account = account_of(engine, request.account)
    source, target = Currency(request.source.upper()), Currency(request.target.upper())
    found = cheapest_route(source, target, request.amount, _markets(engine, account))
    if found is None:
        raise ConflictError(
            f"No way from {source} to {target} has enough depth among the watched markets; watch more of them."
        )
    return route_view(account, found)


def _flows(
    engine: Engine, flows: Iterable[FundFlow], account: AccountId, kind: str, reason: str, actor: str
) -> list[FlowRow]:
    currency = engine.state.accounts[account].base_currency
    return pool_flows(engine, flows, account, currency, engine.clock.now(), kind, reason, actor)


def _meant(engine: Engine, request: MoneyRequest) -> tuple[AccountId, Currency]:
    account = account_of(engine, request.account)
    return account, Currency(request.currency.upper()) or engine.state.accounts[account].base_currency


def _checked(request: MoneyRequest, value: Decimal, rules: tuple[RulingRow, ...], broken: list[str]) -> MoneyView:
    """The answer to a mere check; a refusal of anything else.

    Raises:
        CapitalManagementError: A rule forbids it.
    """
    if broken and not request.check:
        raise CapitalManagementError(" ".join(broken), details={"rules": broken})
    words = " ".join(broken) if broken else "Every rule allows it."
    return MoneyView(transfer="", done=False, value=value, rules=rules, flows=(), words=words)


def _paper(engine: Engine, account: AccountId) -> Fundable | None:
    """The paper market that holds an account; None for real money.

    Raises:
        ValidationError: It is a process of its own, which takes no deposits.
    """
    if engine.state.accounts[account].mode is TradingMode.LIVE:
        return None
    unit = engine.accounts.get(account)
    venue = unit.plan.venue if unit is not None else None
    if isinstance(venue, EmulatingVenue):
        venue = venue.inner
    if not isinstance(venue, Fundable):
        raise ValidationError(
            f"The paper money of {account} is kept by another process, which takes no deposits and pays nothing out."
        )
    return venue


def _venues(engine: Engine) -> Iterator[VenueFigures]:
    """What is known of every venue with an account."""
    for account, unit in engine.accounts.items():
        known = engine.capital.figures.account(account)
        rate = ONE if known is None or known.currency == engine.base_currency else engine.rates.rate(
            known.currency, engine.base_currency
        )  # fmt: skip
        usable = unit.recovered and unit.guard.status is VenueStatus.ONLINE
        currency = unit.accounts[account].base_currency
        free = engine.state.balance(account, currency).free
        taker = [i.current_rules.taker_fee for i in engine.state.instruments.values() if i.venue == unit.id]
        standing = unit.guard.health()
        streams = [stream.up for stream in standing.streams]
        yield VenueFigures(
            venue=unit.id,
            account=account,
            currency=currency,
            rate=rate or ONE,
            value=ZERO if known is None or rate is None else known.equity * rate,
            movable=free * (rate or ZERO),
            usable=usable and known is not None,
            why="" if usable and known is not None else "It cannot be reached, or is not known yet.",
            spread_bps=_spread(engine, unit.id),
            fee_bps=float(min(taker)) * 10_000 if taker else None,
            slippage_bps=_slippage(engine, account),
            reliability=sum(streams) / len(streams) if streams else (1.0 if usable else 0.0),
        )


def _spread(engine: Engine, venue: str) -> float | None:
    """Median spread of a venue's markets in basis points."""
    found = []
    for instrument in engine.state.instruments.values():
        quote = engine.hub.quote(instrument.id) if instrument.venue == venue else None
        if quote is not None and quote.bid is not None and quote.ask is not None and quote.bid > ZERO:
            found.append(float((quote.ask - quote.bid) / quote.bid) * 10_000)
    return sorted(found)[len(found) // 2] if found else None


def _slippage(engine: Engine, account: AccountId) -> float | None:
    """Mean distance of the last market orders' prices from the mark they were decided at, in basis points."""
    found = []
    for order in engine.state.recent.values():
        mark = order.decision.mark
        if order.account != account or order.type is not OrderType.MARKET or not mark or not order.filled:
            continue
        size = order.filled * engine.state.instruments[order.instrument].multiplier
        found.append(float(order.side.sign * (order.cost / size - mark) / mark) * 10_000)
    return sum(found) / len(found) if found else None


def _markets(engine: Engine, account: AccountId) -> Iterator[MarketFigures]:
    venue = engine.state.accounts[account].venue
    for instrument in engine.state.instruments.values():
        market = engine.hub.markets.get(instrument.id)
        if instrument.venue != venue or instrument.kind is not InstrumentKind.SPOT or market is None:
            continue
        price, size = instrument.price_from_int, instrument.quantity_from_int
        book = market.book
        yield MarketFigures(
            instrument=instrument,
            bids=tuple((price(p), size(q)) for p, q in book.top_bids(DEPTH)),
            asks=tuple((price(p), size(q)) for p, q in book.top_asks(DEPTH)),
            fee=instrument.current_rules.taker_fee,
        )
