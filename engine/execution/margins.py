"""Leverage and margin mode of derivatives: established at the venue before anything is opened on them.

What is booked was true when the venue was asked last; it may have been changed there since, and a venue's own default
is another than ours. So before the first order that opens something, after every start and every loss of the
connection, the venue is asked what holds. Where that is not what is wanted it is set, if nothing stands in the way:
with a position or orders open there it is taken over as it is, told, and risk counts with it. Where it cannot be
established nothing is opened. Orders that only reduce never come here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.errors import ExchangeBannedError, ExchangeRateLimitError, JournalError, QuarterdeckError, ValidationError
from engine.logs import get_logger
from engine.model.faults import Severity
from engine.model.instrument import CASH_KINDS
from engine.model.margin import MarginMode, MarginSetting, most_leverage

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from engine.ledger import Ledger
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.order import Order
    from engine.model.risk import Verdict
    from engine.model.venue import OrderCommand, Venue
    from engine.resilience.handler import ErrorHandler

__all__ = ["CHANGED", "UNVERIFIED", "Margins"]

log = get_logger(__name__)

UNVERIFIED = "margin_unverified"
"""Code of an order that did not leave because nobody could say what leverage and margin mode it would have."""
CHANGED = "margin_changed"
"""Code of an order that did not leave because they changed after risk had judged it."""
Key = tuple["AccountId", "InstrumentId"]


class Margins:
    """All accounts of one engine.

    Args:
        ledger: What is booked, and what is wanted.
        errors: Tells the person what was taken over.
    """

    def __init__(self, ledger: Ledger, errors: ErrorHandler) -> None:
        self._ledger = ledger
        self._errors = errors
        self._firm: set[Key] = set()
        """Instruments in which the venue is known to hold what is booked."""
        self._asking: dict[Key, asyncio.Future[None]] = {}
        self._moved: dict[Key, int] = {}
        """Number of the fact that changed an instrument's setting last."""
        self._forgotten: Counter[AccountId] = Counter()
        ledger.subscribe(self._hear)

    def _hear(self, record: ev.Record) -> None:
        if isinstance(record.event, ev.MarginSet):
            self._moved[record.event.account, record.event.instrument] = record.seq

    # --- what may have changed ---------------------------------------------------------------------------------------

    def forget(self, *accounts: AccountId) -> None:
        """The way to the venue was lost, or stands anew: what it holds is asked for again before anything is opened."""
        self._forgotten.update(accounts)
        self._firm = {key for key in self._firm if key[0] not in accounts}

    def leverage_moved(self, account: AccountId, instrument: InstrumentId, leverage: Decimal) -> None:
        """The venue tells of a leverage that somebody has set."""
        if self._ledger.state.margin(account, instrument).leverage != leverage:
            log.warning("leverage was changed at the venue", instrument=instrument, leverage=str(leverage))
            self._doubt(account, instrument)

    def mode_moved(self, account: AccountId, instrument: InstrumentId, mode: MarginMode) -> None:
        """The venue tells of a position in a margin mode, in which further orders go as well."""
        if self._ledger.state.margin(account, instrument).mode is not mode:
            log.warning("a position is held in another margin mode", instrument=instrument, mode=mode)
            self._doubt(account, instrument)

    def _doubt(self, account: AccountId, instrument: InstrumentId) -> None:
        self._forgotten[account] += 1
        self._firm.discard((account, instrument))

    async def review(self, venue: Venue, account: AccountId) -> None:
        """Look whether what was established still holds; what does not is established anew by the next order.

        Raises:
            ExchangeError: The venue did not answer.
        """
        for key in sorted(key for key in self._firm if key[0] == account):
            booked = self._ledger.state.margin(*key)
            try:
                same = await venue.margin(*key, booked.mode) == booked
            except ValidationError as error:
                log.warning("leverage and margin mode cannot be told", instrument=key[1], problem=error.message)
                same = False
            if not same and self._ledger.state.margin(*key) == booked:
                log.warning("leverage or margin mode were changed at the venue", instrument=key[1])
                self._doubt(*key)

    # --- before an order ---------------------------------------------------------------------------------------------

    async def check(
        self, venue: Venue, order: Order, judged: int, still_passes: Callable[[], Verdict], timeout_s: float
    ) -> None:
        """See whether an order, or a change of one, that opens something may leave.

        Args:
            venue: Where it is sent.
            order: As it is booked.
            judged: Number of the fact under which risk let it pass.
            still_passes: Judges once more what had to wait meanwhile.
            timeout_s: Seconds of real time that the venue has.

        Raises:
            ValidationError: It must not leave; as `establish`, and what risk says now.
            JournalError: What the venue holds cannot be booked.
        """
        try:
            async with asyncio.timeout(timeout_s):
                asked = await self.establish(venue, order.account, order.instrument, judged)
        except TimeoutError as error:
            raise _unverified(venue, (order.account, order.instrument), error) from None
        if asked and order.is_open:
            verdict = still_passes()
            if not verdict.passed:
                raise ValidationError(verdict.message, error_code=str(verdict.refusals[0].code))

    async def of_held(self, venue: Venue, command: OrderCommand) -> OrderCommand:
        """An order that the engine has held until its time came, as it may leave now. Raises as `establish`."""
        state, account, instrument = self._ledger.state, command.account, command.instrument
        order = state.orders.get(command.client_id)
        # One that reduces holds no funds.
        opens = order is not None and order.reserve_unit and not command.reduce_only
        if not opens or state.instruments[instrument].kind in CASH_KINDS:
            return command
        await self.establish(venue, account, instrument, self._ledger.seq)
        return msgspec.structs.replace(command, margin_mode=state.margin(account, instrument).mode)

    async def establish(self, venue: Venue, account: AccountId, instrument: InstrumentId, judged: int) -> bool:
        """See to it that the venue holds what risk has counted with, before an order that opens something leaves.

        Args:
            venue: Where it is sent.
            account: Whose it is.
            instrument: Which derivative.
            judged: Number of the fact under which risk let the order pass.

        Returns:
            Whether the venue had to be asked, so that time has gone by.

        Raises:
            ValidationError: The order must not leave: it is not known what it would have (`UNVERIFIED`), or that is
                not what risk has judged (`CHANGED`).
            JournalError: It cannot be booked.
        """
        key, asked = (account, instrument), False
        if not self._is_firm(key):
            asked = True
            await self._ask_once(venue, key)
        if self._moved.get(key, 0) > judged:
            now = self._ledger.state.margin(*key)
            raise ValidationError(
                f"The order was not sent: it was judged before {instrument} was at {_words(now)}. Place it again to "
                "trade at that, or set leverage and margin mode first.",
                error_code=CHANGED,
            )
        return asked

    def _is_firm(self, key: Key) -> bool:
        state = self._ledger.state
        if key not in self._firm:
            return False
        position = state.positions.get(key)
        # What was taken over under a position gives way to what is wanted once that is closed.
        return state.margin(*key) == state.wanted_margin(*key) or (position is not None and bool(position.lots))

    async def _ask_once(self, venue: Venue, key: Key) -> None:
        """Ask, or wait for the answer that somebody else has asked for."""
        running = self._asking.get(key)
        if running is not None:
            await asyncio.shield(running)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asking[key] = done
        try:
            await self._settle(venue, key)
        except BaseException as error:
            done.set_exception(error if isinstance(error, QuarterdeckError) else _unverified(venue, key, error))
            # Nobody may be waiting for it.
            done.exception()
            raise
        else:
            done.set_result(None)
        finally:
            del self._asking[key]

    async def _settle(self, venue: Venue, key: Key) -> None:
        forgotten, wanted = self._forgotten[key[0]], self._ledger.state.wanted_margin(*key)
        try:
            try:
                stands = await self._found(venue, key, wanted)
            except ExchangeBannedError:
                raise
            except ExchangeRateLimitError:
                # Nothing was done, and the limits let the next one leave when there is room.
                stands = await self._found(venue, key, wanted)
        except JournalError:
            raise
        except Exception as error:  # whatever it was, nothing is opened on what nobody knows
            log.warning("leverage and margin mode are not established", instrument=key[1], problem=str(error))
            self._errors.report(error, component="margins", operation="establish", venue=venue.id)
            raise _unverified(venue, key, error) from error
        self._book(venue, key, stands)
        if self._forgotten[key[0]] == forgotten:
            self._firm.add(key)

    async def _found(self, venue: Venue, key: Key, wanted: MarginSetting) -> MarginSetting:
        """What the venue holds, after what is wanted was set where that can be."""
        stands = await venue.margin(*key, wanted.mode)
        if stands == wanted or not await self._is_clear(venue, key):
            return stands
        await venue.set_margin(*key, wanted.leverage, wanted.mode)
        # An answer that says "done" is not yet what holds.
        stands = await venue.margin(*key, wanted.mode)
        if stands != wanted:
            raise ValidationError(f"it stays at {_words(stands)} although {_words(wanted)} was set")
        return stands

    async def _is_clear(self, venue: Venue, key: Key) -> bool:
        """Whether the account has neither a position nor orders in an instrument, anybody's."""
        account, instrument = key
        positions = await venue.positions(account)
        if any(position.instrument == instrument and position.quantity for position in positions):
            return False
        return all(order.instrument != instrument for order in await venue.open_orders(account))

    def _book(self, venue: Venue, key: Key, stands: MarginSetting) -> None:
        state = self._ledger.state
        wanted = state.wanted_margin(*key)
        if state.margin(*key) == stands:
            return
        account, instrument = key
        adopted = stands != wanted
        self._ledger.record(
            ev.MarginSet(
                account=account, instrument=instrument, leverage=stands.leverage, mode=stands.mode, adopted=adopted
            )
        )
        if adopted:
            self._errors.alert(
                Severity.HIGH,
                "margin",
                f"{venue.id} holds {instrument} of {account} at {_words(stands)} and not at {_words(wanted)} as is "
                "wanted here, and a position or orders there keep it from being set. It was taken over: risk counts "
                "with it. Close and cancel them, and the next order sets what is wanted; or set it at the venue.",
            )

    # --- by hand -----------------------------------------------------------------------------------------------------

    async def set(
        self, venue: Venue, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode
    ) -> None:
        """Set leverage and margin mode at the venue, and book them once it is seen to hold them.

        Raises:
            ValidationError: It is no derivative, the leverage is out of bounds, or the venue refuses.
            ExchangeError: The venue did not answer; what it has is asked for before anything is opened.
        """
        state, wanted = self._ledger.state, MarginSetting(leverage, mode)
        known = state.instruments.get(instrument)
        if known is None or known.kind in CASH_KINDS:
            raise ValidationError(f"{instrument} is no derivative: it is traded without leverage.")
        if mode not in venue.capabilities.margin_modes:
            raise ValidationError(f"{venue.id} has no {mode} margin.")
        tiers = known.current_rules.margin
        most = min(venue.capabilities.max_leverage, most_leverage(tiers) if tiers else venue.capabilities.max_leverage)
        if not 1 <= leverage <= most:
            raise ValidationError(f"The leverage of {instrument} must be 1 to {most.normalize():f}, not {leverage:f}.")
        # Whatever becomes of it, what held before is not known to hold any more.
        self._doubt(account, instrument)
        forgotten = self._forgotten[account]
        await venue.set_margin(account, instrument, leverage, mode)
        stands = await venue.margin(account, instrument, mode)
        if stands != wanted:
            raise ValidationError(
                f"{venue.id} holds {instrument} at {_words(stands)} although it took {_words(wanted)}; look there."
            )
        if state.margin(account, instrument) != wanted or state.wanted_margin(account, instrument) != wanted:
            self._ledger.record(ev.MarginSet(account=account, instrument=instrument, leverage=leverage, mode=mode))
        if self._forgotten[account] == forgotten:
            self._firm.add((account, instrument))


def _unverified(venue: Venue, key: Key, error: BaseException) -> ValidationError:
    words = (error.message if isinstance(error, QuarterdeckError) else str(error)) or type(error).__name__
    return ValidationError(
        f"The order was not sent: at which leverage and margin mode {venue.id} would open {key[1]} in {key[0]} is not "
        f"established ({words.rstrip('.')}). Nothing is opened on an assumption; look there, then place it again.",
        error_code=UNVERIFIED,
    )


def _words(setting: MarginSetting) -> str:
    return f"{setting.leverage.normalize():f}x {setting.mode}"
