"""Operations on trading real money: who has agreed to it, and which console is armed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.live.arming import Armed
from engine.control.live.consent import Consents, target_of, words_for
from engine.control.live.gate import refusal
from engine.control.registry import Role, operation
from engine.control.requests import Empty
from engine.control.requests_live import ArmLive, Consenting, LiveAccount
from engine.control.views_live import ArmedRow, LiveAccountRow, LiveView
from engine.errors import NotFoundError, ValidationError
from engine.model.account import TradingMode
from engine.model.ids import AccountId, Currency

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.venue_settings import VenueSettings


@operation("live.status", Empty, offline=True)
async def status(context: Context, _: Empty) -> LiveView:
    """Accounts that the settings want to be live, who has agreed to them, and which consoles are armed."""
    return await _view(context)


@operation("live.consent", Consenting, Role.ADMIN, mutates=True, offline=True)
async def consent(context: Context, request: Consenting) -> LiveView:
    """Let an account trade real money from this home folder; type its venue and name."""
    venue, account = _account(context, request.account)
    consents = Consents(context.home)
    now = context.clock.now()
    await asyncio.to_thread(consents.give, venue, account, request.typed, context.actor, now)
    if context.on_keys is not None:
        context.on_keys()
    return await _view(context)


@operation("live.withdraw", LiveAccount, Role.ADMIN, mutates=True, offline=True)
async def withdraw(context: Context, request: LiveAccount) -> LiveView:
    """Take the consent back: from the next start on the account stays out of reach."""
    venue, account = _account(context, request.account)
    if not await asyncio.to_thread(Consents(context.home).withdraw, venue.id, account):
        raise NotFoundError(f"Nobody had agreed that {words_for(venue.id, account)} trades real money.")
    return await _view(context)


@operation("live.arm", ArmLive, Role.TRADER, mutates=True)
async def arm(context: Context, request: ArmLive) -> LiveView:
    """Let this console send orders with real money for a time, up to an amount; type venue and account."""
    engine, wanted = context.need_engine(), context.settings.live
    known = engine.state.accounts.get(AccountId(request.account.rpartition("/")[2]))
    if known is None or known.mode is not TradingMode.LIVE:
        live = [account.id for account in engine.state.accounts.values() if account.mode is TradingMode.LIVE]
        raise NotFoundError(f"{request.account} is not live in this engine; live are: {', '.join(live) or 'none'}.")
    expected = words_for(known.venue, known.id)
    if request.typed.strip() != expected:
        raise ValidationError(f"Type {expected} to arm; nothing was changed.")
    minutes = request.minutes or wanted.minutes
    max_order = request.max_order or wanted.max_order
    context.arming.arm(
        Armed(
            connection=context.connection,
            actor=context.actor,
            venue=known.venue,
            account=known.id,
            until=context.clock.now() + int(minutes * 60e9),
            currency=known.base_currency,
            max_order=max_order,
            max_total=request.max_total or max(wanted.max_total, max_order),
        )
    )
    return await _view(context)


@operation("live.disarm", Empty, Role.TRADER, mutates=True, emergency=True)
async def disarm(context: Context, _: Empty) -> LiveView:
    """Take this console's permission to send orders with real money back."""
    context.arming.disarm(context.connection)
    return await _view(context)


def _account(context: Context, name: str) -> tuple[VenueSettings, AccountId]:
    live = {
        account: venue
        for venue in context.settings.venues.values()
        if venue.trading_mode is TradingMode.LIVE
        for account in venue.account_ids
    }
    found = live.get(AccountId(name.rpartition("/")[2]))
    if found is None:
        known = ", ".join(live) or "none; set mode = live for a venue first"
        raise NotFoundError(f"There is no live account {name!r}; there are: {known}.")
    return found, AccountId(name.rpartition("/")[2])


async def _view(context: Context) -> LiveView:
    consents = Consents(context.home)
    rows = []
    for venue in context.settings.venues.values():
        if venue.trading_mode is not TradingMode.LIVE:
            continue
        for account in venue.account_ids:
            rows.append(
                LiveAccountRow(
                    venue=venue.id,
                    account=account,
                    target=target_of(venue),
                    words=words_for(venue.id, account),
                    currency=Currency(venue.valued_in),
                    consented=await asyncio.to_thread(consents.holds, venue, account),
                    refused=await asyncio.to_thread(refusal, context.home, venue),
                )
            )
    armed = tuple(
        ArmedRow(
            actor=found.actor,
            venue=found.venue,
            account=found.account,
            mine=found.connection == context.connection,
            until=found.until,
            currency=found.currency,
            max_order=found.max_order,
            max_total=found.max_total,
            used=found.used,
        )
        for found in context.arming.standing()
    )
    wanted = context.settings.live
    return LiveView(
        accounts=tuple(rows),
        armed=armed,
        minutes=wanted.minutes,
        max_order=wanted.max_order,
        max_total=wanted.max_total,
    )
