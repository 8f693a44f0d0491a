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
from engine.model.order import TERMINAL_STATUSES, OrderSide, OrderType
from engine.model.venue import OrderCommand

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal
    from pathlib import Path

    from engine.clock import Clock
    from engine.control.panic import PanicReport
    from engine.model.ids import AccountId, ClientOrderId, Currency
    from engine.model.instrument import Instrument
    from engine.model.venue import Venue, VenueOrder

__all__ = ["PanicLog", "empty_account"]

LOOK_S = 0.2
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


async def empty_account(
    venue: Venue,
    account: AccountId,
    base_currency: str,
    *,
    clock: Clock,
    log: PanicLog,
    wait_s: float,
    say: Callable[[str], None],
    report: PanicReport,
) -> None:
    """Cancel every open order of an account and sell every coin that trades against its base currency.

    Raises:
        QuarterdeckError: The venue cannot be reached; what was said until then was done.
    """
    executed: list[ev.OrderFilled] = []

    def hear(_account: AccountId, event: ev.VenueEvent) -> None:
        if isinstance(event, ev.OrderFilled):
            executed.append(event)

    await venue.start(hear, lambda _event: None)
    try:
        instruments = await venue.instruments()
        await venue.watch([instrument.id for instrument in instruments])
        deadline = clock.monotonic() + int(wait_s * 1e9)
        left = await _cancel_all(venue, account, clock, log, deadline, report)
        say(f"{len(report.cancelled)} orders are cancelled at the venue, {len(left)} are still open.")
        report.left += [f"order {o.client_id}: {o.side} {o.quantity:f} of {o.instrument} is {o.status}" for o in left]
        traded = {instrument.base: instrument for instrument in instruments if instrument.quote == base_currency}
        await _close_all(venue, account, traded, clock, log, deadline, report)
        # What cannot be sold here, because nothing trades it against the base currency, is held all the same.
        report.left += [
            f"{balance.total:f} {balance.currency} of the account"
            for balance in await venue.balances(account)
            if balance.total and balance.currency != base_currency
        ]
    finally:
        report.closed += [
            f"{'sold' if e.fill.side is OrderSide.SELL else 'bought'} {e.fill.quantity:f} of {e.fill.instrument} "
            f"at {e.fill.price:f}"
            for e in executed
        ]
        await venue.close()


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
    for number, balance in enumerate(await venue.balances(account), 1):
        instrument = traded.get(balance.currency)
        if instrument is None or not _closable(instrument, balance.total):
            continue
        command = OrderCommand(
            client_id=ids.make(number),
            account=account,
            instrument=instrument.id,
            side=OrderSide.SELL if balance.total > ZERO else OrderSide.BUY,
            type=OrderType.MARKET,
            quantity=instrument.floor_quantity(abs(balance.total)),
        )
        log.note(
            "close", client_id=command.client_id, instrument=instrument.id, side=command.side, quantity=command.quantity
        )
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
