"""Panic without a journal: the account is emptied at the venue itself, when the books cannot be opened any more.

Nobody knows then which orders and coins are ours, so all of them count. Every request is written to `logs/panic.log`
before it is sent; the next recovery finds what was executed at the venue and halts until a person has looked.
"""

from __future__ import annotations

import json
import os
import secrets
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.errors import QuarterdeckError, UnknownOutcomeError
from engine.execution.ids import ClientIds
from engine.model.decimals import ZERO
from engine.model.instrument import CASH_KINDS
from engine.model.market import BookMoved, BookUpdate
from engine.model.order import TERMINAL_STATUSES, OrderSide, OrderType
from engine.model.venue import OrderCommand

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

__all__ = ["PanicLog", "empty_accounts"]

LOOK_S = 0.2
PRICED_S = 5.0
"""Seconds that markets have to tell a price before it is tried without."""
ASK_AGAIN_LOOKS = 15
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


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
    *,
    clock: Clock,
    log: PanicLog,
    wait_s: float,
    say: Callable[[str], None],
    report: PanicReport,
) -> None:
    """Cancel every open order of accounts at a venue, sell every coin, and close every position in derivatives.

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
        instruments = await venue.instruments()
        for account in accounts:
            await _empty(venue, account, instruments, priced, clock, log, wait_s, say, report)
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
    priced: set[InstrumentId],
    clock: Clock,
    log: PanicLog,
    wait_s: float,
    say: Callable[[str], None],
    report: PanicReport,
) -> None:
    deadline = clock.monotonic() + int(wait_s * 1e9)
    left = await _cancel_all(venue, account.id, clock, log, deadline, report)
    say(f"{account.id}: {len(report.cancelled)} orders are cancelled in all, {len(left)} are still open.")
    report.left += [f"order {o.client_id}: {o.side} {o.quantity:f} of {o.instrument} is {o.status}" for o in left]
    base = account.base_currency
    traded = {one.base: one for one in instruments if one.quote == base and one.kind in CASH_KINDS}
    held = [traded[balance.currency] for balance in await venue.balances(account.id) if balance.currency in traded]
    positions = await venue.positions(account.id)
    wanted = {instrument.id for instrument in held} | {position.instrument for position in positions}
    await venue.watch(sorted(wanted))
    # A venue on paper fills nothing before it has heard a price.
    patience = min(deadline, clock.monotonic() + int(PRICED_S * 1e9))
    while not wanted <= priced and clock.monotonic() < patience:
        await clock.sleep(LOOK_S)
    await _close_all(venue, account.id, traded, clock, log, deadline, report)
    # What cannot be sold here, because nothing trades it against the base currency, is held all the same.
    report.left += [
        f"{balance.total:f} {balance.currency} of the account {account.id}"
        for balance in await venue.balances(account.id)
        if balance.total and balance.currency != base
    ]
    report.left += [
        f"a position of {position.quantity:f} in {position.instrument}"
        for position in await venue.positions(account.id)
    ]


async def _cancel_all(
    venue: Venue, account: AccountId, clock: Clock, log: PanicLog, deadline: int, report: PanicReport
) -> Sequence[VenueOrder]:
    asked: set[ClientOrderId] = set()
    looks = 0
    while True:
        found = await venue.open_orders(account)
        if not found or clock.monotonic() >= deadline:
            open_now = {order.client_id for order in found}
            report.cancelled += sorted(asked - open_now)
            return found
        for order in found:
            # A cancel may be sent again at any time: at worst it finds nothing any more.
            if order.client_id not in asked or looks % ASK_AGAIN_LOOKS == 0:
                log.note("cancel", client_id=order.client_id, instrument=order.instrument, quantity=order.quantity)
                asked.add(order.client_id)
                await _tolerant(log, order.client_id, venue.cancel(account, order.client_id))
        looks += 1
        await clock.sleep(LOOK_S)


async def _close_all(
    venue: Venue,
    account: AccountId,
    traded: dict[Currency, Instrument],
    clock: Clock,
    log: PanicLog,
    deadline: int,
    report: PanicReport,
) -> None:
    ids = ClientIds("".join(secrets.choice(_DIGITS) for _ in range(8)), 0)
    sent: list[ClientOrderId] = []
    wanted: list[tuple[InstrumentId, Decimal, bool]] = [
        (position.instrument, position.quantity, True) for position in await venue.positions(account)
    ]
    for balance in await venue.balances(account):
        instrument = traded.get(balance.currency)
        if instrument is not None and _closable(instrument, balance.total):
            quantity = instrument.floor_quantity(abs(balance.total))
            wanted.append((instrument.id, quantity if balance.total > ZERO else -quantity, False))
    for number, (name, quantity, derivative) in enumerate(wanted, 1):
        command = OrderCommand(
            client_id=ids.make(number),
            account=account,
            instrument=name,
            side=OrderSide.SELL if quantity > ZERO else OrderSide.BUY,
            type=OrderType.MARKET,
            quantity=abs(quantity),
            reduce_only=derivative,
        )
        log.note("close", client_id=command.client_id, instrument=name, side=command.side, quantity=command.quantity)
        # An order is sent once: what became of it is asked for, never tried again.
        if await _tolerant(log, command.client_id, venue.place(command)):
            sent.append(command.client_id)
    for client_id in sent:
        while clock.monotonic() < deadline:
            found = await venue.order(account, client_id)
            if found is not None and found.status in TERMINAL_STATUSES:
                break
            await clock.sleep(LOOK_S)


def _closable(instrument: Instrument, total: Decimal) -> bool:
    return instrument.floor_quantity(abs(total)) >= max(
        instrument.current_rules.min_quantity, instrument.current_rules.lot
    )


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
