"""Operations on capital: what there is, the plan and its flows, profit, preservation, and the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.journal_tools import journal_file
from engine.control.live.admission import need_deliberate
from engine.control.money_book import EntryFilter, MoneyBook
from engine.control.present.capital import capital_view, flow_rows, plan_view
from engine.control.registry import Role, Tier, operation
from engine.control.requests import Empty
from engine.control.requests_capital import (
    AccountOnly,
    FlowQuery,
    LedgerQuery,
    PreserveCapital,
    Rebalance,
    ReleaseCapital,
    UnlockProfit,
)
from engine.control.views_capital import FlowPage, LedgerPage, LedgerRow, PlaceRow
from engine.errors import NotFoundError
from engine.model.ids import AccountId
from storage.journal.reader import Query

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views_capital import CapitalPlanView, CapitalView
    from engine.engine import Engine

FLOWS = ("Deposited", "Withdrawn", "Transferred", "FundsMoved", "ProfitSettled", "CapitalPreserved")
"""Facts that move capital."""


def account_of(engine: Engine, name: str) -> AccountId:
    """The account that is meant.

    Raises:
        NotFoundError: There is none of that name.
    """
    account = AccountId(name) if name else engine.account
    if account not in engine.state.accounts:
        raise NotFoundError(
            f"There is no account {name!r}; there is: {', '.join(engine.state.accounts) or 'none yet'}."
        )
    return account


def _accounts(engine: Engine, name: str) -> list[AccountId]:
    return [account_of(engine, name)] if name else list(engine.state.accounts)


@operation("capital.overview", Empty)
async def overview(context: Context, _: Empty) -> CapitalView:
    """All capital: reserve, locked profit, pools, what is free, what is due next."""
    return capital_view(context.need_engine())


@operation("capital.plan", Empty)
async def plan(context: Context, _: Empty) -> CapitalPlanView:
    """What rebalancing would do now; nothing is moved."""
    engine = context.need_engine()
    obstacles = engine.capital.obstacles(engine.clock.now())
    return plan_view(engine, engine.capital.plan(), context.actor, obstacles)


@operation("capital.rebalance", Rebalance, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def rebalance(context: Context, request: Rebalance) -> CapitalPlanView:
    """Carry out what `capital.plan` shows; with real money an armed console is asked for."""
    engine = context.need_engine()
    need_deliberate(context, request.live)
    done = engine.capital.rebalance(context.actor, request.reason)
    return plan_view(engine, done, context.actor)


@operation("capital.settle", AccountOnly, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def settle(context: Context, request: AccountOnly) -> CapitalView:
    """Lock a part of the profit made since the last settlement and put the rest to work, before its time."""
    engine = context.need_engine()
    engine.capital.settle(account_of(engine, request.account), context.actor)
    return capital_view(engine)


@operation("capital.unlock", UnlockProfit, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def unlock(context: Context, request: UnlockProfit) -> CapitalView:
    """Ask for locked profit before its time; it opens when the notice has run."""
    engine = context.need_engine()
    engine.capital.unlock(account_of(engine, request.account), request.lock, request.reason, context.actor)
    return capital_view(engine)


@operation("capital.preserve", PreserveCapital, Role.TRADER, mutates=True, tier=Tier.CONFIRM, emergency=True)
async def preserve(context: Context, request: PreserveCapital) -> CapitalView:
    """Stop flows and new allocations and bring what is not at work into the reserve."""
    engine = context.need_engine()
    for account in _accounts(engine, request.account):
        if request.account or not engine.capital.figures.entry(account).preserved:
            engine.capital.preserve(account, request.reason, context.actor)
    return capital_view(engine)


@operation("capital.release", ReleaseCapital, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def release(context: Context, request: ReleaseCapital) -> CapitalView:
    """Let preserved capital flow again; with real money an armed console is asked for."""
    engine = context.need_engine()
    need_deliberate(context, request.live)
    for account in _accounts(engine, request.account):
        if request.account or engine.capital.figures.entry(account).preserved:
            engine.capital.release(account, request.reason, context.actor)
    return capital_view(engine)


@operation("capital.flows", FlowQuery)
async def flows(context: Context, request: FlowQuery) -> FlowPage:
    """Every movement of capital with its reason, the newest first."""
    engine = context.need_engine()
    if context.reader is None:
        return FlowPage(rows=(), cursor=0)
    until = min(request.before, engine.state.seq + 1) if request.before else engine.state.seq + 1
    records = await context.reader.latest(request.limit, Query(kinds=FLOWS), before=until)
    rows = tuple(
        row
        for record in records
        for row in flow_rows(engine, record)
        if not request.account or request.account in (row.account, row.source, row.target)
    )
    return FlowPage(rows=rows, cursor=records[-1].seq if len(records) == request.limit else 0)


@operation("capital.ledger", LedgerQuery)
async def ledger(context: Context, request: LedgerQuery) -> LedgerPage:
    """The money-flow ledger in double entry, the newest entries first."""
    engine = context.need_engine()
    pool = request.pool
    if pool:
        found = [bot.id for bot in engine.state.bots.values() if pool in (bot.id, bot.name)]
        pool = found[0] if found else pool
    wanted = EntryFilter(request.account, pool, request.kind, request.currency, request.since, request.until)
    page = await _book(context).page(wanted, request.page, request.size, await _durable(context))
    rows = tuple(
        LedgerRow(
            seq=entry.seq,
            ts=entry.ts,
            kind=entry.kind,
            place=posting.place,
            currency=posting.currency,
            amount=posting.amount,
            words=entry.words,
        )
        for entry in page.entries
        for posting in entry.postings
    )
    return LedgerPage(
        rows=rows, page=request.page, pages=-(-page.total // request.size), total=page.total, until=page.until
    )


@operation("capital.balances", Empty)
async def balances(context: Context, _: Empty) -> list[PlaceRow]:
    """What every place of the ledger holds; all places together hold nothing, in every currency."""
    totals = await _book(context).totals(await _durable(context))
    return [
        PlaceRow(place=place, currency=currency, amount=amount) for (place, currency), amount in sorted(totals.items())
    ]


def _book(context: Context) -> MoneyBook:
    if context.money_book.book is None:
        context.money_book.book = MoneyBook(journal_file(context.home))
    return context.money_book.book


async def _durable(context: Context) -> int:
    """Number of the last fact so far, once it can be read."""
    engine = context.need_engine()
    seq = engine.state.seq
    if context.replay is None and engine.ledger.failed is None:
        await engine.journal.wait_durable(seq)
    return seq
