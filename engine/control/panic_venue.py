"""Panic without a journal: accounts are emptied at the venue itself, when the books cannot be opened any more.

Nobody knows then which orders and coins are ours, so all of them count, and no bot can be told from another. Every
request is written to `logs/panic.log` before it is sent; the next recovery finds what was executed at the venue and
halts until a person has looked.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from engine import events as ev
from engine.errors import QuarterdeckError, UnknownOutcomeError, ValidationError
from engine.execution.ids import ClientIds
from engine.model.decimals import ZERO
from engine.model.dust import closable
from engine.model.ids import symbol_of
from engine.model.instrument import CASH_KINDS
from engine.model.market import BookMoved, BookUpdate
from engine.model.order import TERMINAL_STATUSES, OrderSide, OrderType
from engine.model.venue import OrderCommand
from engine.risk.scopes import EVERYTHING, scope_kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal
    from pathlib import Path

    from engine.clock import Clock
    from engine.control.panic import PanicReport
    from engine.model.account import Account
    from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.venue import Venue, VenueOrder

__all__ = ["PanicLog", "Part", "empty_accounts"]

LOOK_S = 0.2
PRICED_S = 5.0
"""Seconds that markets have to tell a price before it is tried without."""
ASK_AGAIN_LOOKS = 15
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Part(NamedTuple):
    """What of all venues is emptied; an empty name means all."""

    venue: str = ""
    account: str = ""
    symbol: str = ""
    """`BASE/QUOTE` anywhere, or an instrument with its venue."""

    @classmethod
    def of(cls, scope: str) -> Part:
        """Read a scope as a person writes it.

        Raises:
            ValidationError: It is a bot or a strategy, of which a venue knows nothing.
        """
        kind, name = scope_kind(scope)
        if kind == EVERYTHING:
            return cls()
        if kind not in cls._fields:
            raise ValidationError(
                f"Without the journal nobody knows what is of the {kind} {name}: name a venue, an account or a symbol."
            )
        return cls(**{kind: name if kind == "account" else name.upper()})

    def accounts(self, known: Sequence[Account]) -> list[Account]:
        """Those of a venue's accounts that are inside."""
        return [account for account in known if self.account in ("", account.id)]

    def covers(self, instrument: InstrumentId) -> bool:
        """Whether what is traded under an id is inside."""
        return self.symbol in ("", instrument, symbol_of(instrument))


class PanicLog:
    """What is about to be sent, a JSON object a line, on the disk before it is sent.

    Args:
        file: Where; its folder is made.
        clock: Stamps the lines.
        say: Told when the file cannot be written; every line goes there instead.
    """

    def __init__(self, file: Path, clock: Clock, say: Callable[[str], None]) -> None:
        self._clock, self._say = clock, say
        self._descriptor = -1
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        except OSError as error:
            say(f"{file} cannot be written ({error.strerror}); what is sent is written here.")

    def note(self, did: str, **facts: Any) -> None:
        """Write one line down."""
        line = json.dumps({"at": self._clock.now(), "did": did, **facts}, default=str)
        try:
            if self._descriptor < 0:
                raise OSError
            os.write(self._descriptor, line.encode() + b"\n")
            os.fsync(self._descriptor)
        except OSError:
            self._say(line)

    def close(self) -> None:
        """End."""
        if self._descriptor >= 0:
            os.close(self._descriptor)


async def empty_accounts(
    venue: Venue,
    accounts: Sequence[Account],
    part: Part,
    *,
    clock: Clock,
    log: PanicLog,
    wait_s: float,
    say: Callable[[str], None],
    report: PanicReport,
) -> None:
    """Cancel every open order of accounts at a venue, sell every coin, and close every position in derivatives.

    Where only a part of it is meant, what is outside is left.

    A coin is sold where it trades against the account's base currency.

    Raises:
        QuarterdeckError: The venue cannot be reached; what was said until then was done.
    """
    executed: list[ev.OrderFilled] = []
    priced: set[InstrumentId] = set()

    def hear(_account: AccountId, event: ev.VenueEvent) -> None:
        if isinstance(event, ev.OrderFilled):
            executed.append(event)

    def see(event: MarketEvent) -> None:
        if isinstance(event, BookUpdate | BookMoved):
            priced.add(event.instrument)

    await venue.start(hear, see)
    try:
        inside = [instrument for instrument in await venue.instruments() if part.covers(instrument.id)]
        for account in accounts:
            await _empty(
                venue,
                account,
                inside,
                part,
                priced,
                clock,
                log,
                wait_s,
                say,
                report,
            )
    finally:
        report.closed += [
            f"{'sold' if e.fill.side is OrderSide.SELL else 'bought'} {e.fill.quantity:f} of {e.fill.instrument} "
            f"at {e.fill.price:f}"
            for e in executed
        ]
        await venue.close()


async def _empty(
    venue: Venue,
    account: Account,
    instruments: Sequence[Instrument],
    part: Part,
    priced: set[InstrumentId],
    clock: Clock,
    log: PanicLog,
    wait_s: float,
    say: Callable[[str], None],
    report: PanicReport,
) -> None:
    deadline = clock.monotonic() + int(wait_s * 1e9)
    left = await _cancel_all(venue, account.id, part, clock, log, deadline, report)
    say(f"{account.id}: {len(report.cancelled)} orders are cancelled in all, {len(left)} are still open.")
    report.left += [f"order {o.client_id}: {o.side} {o.quantity:f} of {o.instrument} is {o.status}" for o in left]
    base = account.base_currency
    traded = {one.base: one for one in instruments if one.quote == base and one.kind in CASH_KINDS}
    held = [traded[balance.currency] for balance in await venue.balances(account.id) if balance.currency in traded]
    positions = [one for one in await venue.positions(account.id) if part.covers(one.instrument)]
    wanted = {instrument.id for instrument in held} | {position.instrument for position in positions}
    await venue.watch(sorted(wanted))
    # A venue on paper fills nothing before it has heard a price.
    patience = min(deadline, clock.monotonic() + int(PRICED_S * 1e9))
    while not wanted <= priced and clock.monotonic() < patience:
        await clock.sleep(LOOK_S)
    await _close_all(venue, account.id, traded, part, clock, log, deadline, report)
    # What cannot be sold here, because nothing trades it against the base currency, is held all the same.
    report.left += [
        f"{balance.total:f} {balance.currency} of the account {account.id}"
        for balance in await venue.balances(account.id)
        if balance.total and balance.currency != base and (not part.symbol or balance.currency in traded)
    ]
    report.left += [
        f"a position of {position.quantity:f} in {position.instrument}"
        for position in await venue.positions(account.id)
        if part.covers(position.instrument)
    ]


async def _cancel_all(
    venue: Venue, account: AccountId, part: Part, clock: Clock, log: PanicLog, deadline: int, report: PanicReport
) -> Sequence[VenueOrder]:
    asked: set[ClientOrderId] = set()
    looks = 0
    while True:
        found = [order for order in await venue.open_orders(account) if part.covers(order.instrument)]
        if not found or clock.monotonic() >= deadline:
            open_now = {order.client_id for order in found}
            report.cancelled += sorted(asked - open_now)
            return found
        # A cancel may be sent again at any time: at worst it finds nothing any more.
        due = [order for order in found if order.client_id not in asked or looks % ASK_AGAIN_LOOKS == 0]
        for order in due:
            log.note("cancel", client_id=order.client_id, instrument=order.instrument, quantity=order.quantity)
            asked.add(order.client_id)
        await asyncio.gather(*(_tolerant(log, o.client_id, venue.cancel(account, o.client_id)) for o in due))
        looks += 1
        await clock.sleep(LOOK_S)


async def _close_all(
    venue: Venue,
    account: AccountId,
    traded: dict[Currency, Instrument],
    part: Part,
    clock: Clock,
    log: PanicLog,
    deadline: int,
    report: PanicReport,
) -> None:
    ids = ClientIds("".join(secrets.choice(_DIGITS) for _ in range(8)), 0)
    wanted: list[tuple[InstrumentId, Decimal, bool]] = [
        (position.instrument, position.quantity, True)
        for position in await venue.positions(account)
        if part.covers(position.instrument)
    ]
    for balance in await venue.balances(account):
        instrument = traded.get(balance.currency)
        if instrument is not None and (quantity := closable(instrument, balance.total, None)):
            wanted.append((instrument.id, quantity if balance.total > ZERO else -quantity, False))
    commands = [
        OrderCommand(
            client_id=ids.make(number),
            account=account,
            instrument=name,
            side=OrderSide.SELL if quantity > ZERO else OrderSide.BUY,
            type=OrderType.MARKET,
            quantity=abs(quantity),
            reduce_only=derivative,
            urgent=True,
        )
        for number, (name, quantity, derivative) in enumerate(wanted, 1)
    ]
    for one in commands:
        log.note("close", client_id=one.client_id, instrument=one.instrument, side=one.side, quantity=one.quantity)
    # An order is sent once: what became of it is asked for, never tried again.
    taken = await asyncio.gather(*(_tolerant(log, one.client_id, venue.place(one)) for one in commands))
    for client_id in (one.client_id for one, known in zip(commands, taken, strict=True) if known):
        while clock.monotonic() < deadline:
            found = await venue.order(account, client_id)
            if found is not None and found.status in TERMINAL_STATUSES:
                break
            await clock.sleep(LOOK_S)


async def _tolerant(log: PanicLog, client_id: str, request: Awaitable[None]) -> bool:
    """Wait for a request; False when it certainly had no effect."""
    try:
        await request
    except UnknownOutcomeError as error:
        log.note("no answer", client_id=client_id, problem=error.message)
    except QuarterdeckError as error:
        log.note("refused", client_id=client_id, problem=error.message)
        return False
    return True
