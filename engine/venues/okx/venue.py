"""The OKX adapter: spot and linear perpetual swaps of one unified account, as the venue contract wants them.

Orders and changes carry `expTime`: OKX refuses what reaches its engine later than the request may take, so that an
order whose answer was lost cannot come to life afterwards (OKX documents it for ordinary orders, not for algo orders).

Trading and funding account count as one balance (see `parse_balances`). Swaps are traded in one-way mode only. The
dead-man's switch cancels ordinary orders; stop and take-profit orders that wait are no orders in the book yet, and OKX
does not say that it cancels them, so they are counted on to stay.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from engine.errors import (
    ConflictError,
    DataValidationError,
    ExchangeError,
    NotVisibleYetError,
    OrderRejectionError,
    ValidationError,
)
from engine.model.candle import timeframe_ns
from engine.model.ids import ClientOrderId
from engine.model.instrument import InstrumentKind
from engine.model.margin import MarginSetting
from engine.venues.limits.rules import lowered
from engine.venues.native.books.loading import prepare
from engine.venues.native.transport import CcxtTransport, VenueTable
from engine.venues.native.venue import visible_after
from engine.venues.okx import public_data
from engine.venues.okx.account_data import (
    FUNDING_BILLS,
    mode_note,
    parse_balances,
    parse_funding,
    parse_permissions,
    parse_positions,
)
from engine.venues.okx.codes import FAILURES, SAME
from engine.venues.okx.feed import OkxFeed
from engine.venues.okx.listing import (
    Fees,
    Listing,
    family_of,
    is_foreign,
    is_ours,
    named,
    parse_fees,
    parse_instruments,
    parse_tiers,
)
from engine.venues.okx.messages import (
    AssetRow,
    BalanceRow,
    BillRow,
    BookRow,
    ConfigRow,
    FeeRow,
    FillRow,
    InstrumentRow,
    LeverageRow,
    PositionRow,
    TickerRow,
    TierRow,
    TimeRow,
    TradeRow,
    decode_rows,
    exact,
    maybe,
    ms,
)
from engine.venues.okx.order_data import client_id_of, parse_fill
from engine.venues.okx.order_requests import text
from engine.venues.okx.orders import OkxOrders
from engine.venues.okx.private import OkxPrivateStream
from engine.venues.okx.tables import BAR_OF, CAPABILITIES, ENDPOINTS, KINDS, LIMITS, addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.model.candle import Candle
    from engine.model.credentials import Credentials, CredentialSource
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.margin import MarginMode, MarginTier
    from engine.model.market import BookUpdate, MarketTrade, Ticker
    from engine.model.venue import FundingPayment, Permissions, VenueBalance, VenuePosition
    from engine.venues.limits.coordinator import Coordinator
    from engine.venues.native.line import AccountLine
    from engine.venues.native.options import VenueOptions
    from engine.venues.native.request import Transport

__all__ = ["OkxVenue"]

DAY_MS = 86_400_000
RECENT_MS = {"fills": 2 * DAY_MS, "bills": 6 * DAY_MS}
"""Age of a cursor up to which the quick list is read; OKX keeps three and seven days in them, three months in the
slow ones."""
OVERLAP_MS = 120_000
"""How far before a cursor executions are listed again, because one may have been listed late."""
CURSORS = 64
"""Cursors of which it is remembered what was given with them."""
NEAR_BARS = 1_000
"""Candles back from now that `market/candles` certainly has."""
SHORTEST_COUNTDOWN_S, LONGEST_COUNTDOWN_S = 10, 120


def _read_time(body: bytes) -> int:
    (row,) = decode_rows(body, TimeRow)
    return ms(row.ts)


TABLE = VenueTable(
    exchange="okx",
    limits=LIMITS,
    failures=FAILURES,
    addresses={"rest": ("rest",)},
    time=ENDPOINTS["time"],
    read_time=_read_time,
    deadline="expTime",
)
"""For the transport."""


class OkxVenue(OkxOrders):
    """OKX (`engine.model.venue.Venue`).

    Args:
        options: The venue as it is configured; with `testnet` OKX's demo trading is meant.
        credentials: Keys of its accounts, each with a passphrase.
        clock: The engine's.
        coordinator: Decides when requests may leave.
        missed: Called when private events may have been lost.
        chance: Draws jitter; a seeded one makes it repeatable.
    """

    def __init__(
        self,
        options: VenueOptions,
        credentials: CredentialSource,
        clock: Clock,
        *,
        coordinator: Coordinator,
        missed: Callable[[], None] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        super().__init__(
            options,
            credentials,
            clock,
            capabilities=visible_after(CAPABILITIES, options.timeout_s),
            timeframes=frozenset(BAR_OF),
            missed=missed,
        )
        self._addresses = addresses(options.addresses, demo=options.testnet)
        self._coordinator = coordinator
        self._chance = chance or random.Random()
        self._limit = coordinator.connections(TABLE.exchange, lowered(TABLE.limits, options.limits))
        self._root: CcxtTransport | None = None
        self._rows: dict[str, InstrumentRow] = {}
        self._fees = Fees()
        self._given: OrderedDict[tuple[AccountId, str], frozenset[str]] = OrderedDict()
        """Numbers of the executions that were given together with a cursor or shortly before it."""
        self._cursors = clock.now() // 1_000_000_000
        """Counts on from the time, so that no two processes make the same cursor."""
        self._tiers: dict[str, tuple[MarginTier, ...]] = {}

    # --- life --------------------------------------------------------------------------------------------------------

    def _transport(self, account: AccountId | None, credentials: Credentials | None) -> Transport:
        if account is None or self._root is None:
            self._root = CcxtTransport(
                TABLE, self.options, self._credentials, self.clock, coordinator=self._coordinator
            )
        return self._root if account is None else self._root.for_account(account)

    async def _end_transport(self, transport: Transport) -> None:
        if isinstance(transport, CcxtTransport):
            await transport.close()

    def _private_stream(self, line: AccountLine) -> OkxPrivateStream:
        return OkxPrivateStream(self, line, self._credentials, self._addresses, self._limit, self._chance)

    def _market_feed(self) -> OkxFeed:
        self._keep(self._prepare_books(), "prepare books")
        return OkxFeed(self, self._addresses, self._limit, self._chance)

    async def _prepare_books(self) -> None:
        await prepare()

    async def _prepared(self) -> None:
        if self._root is not None:
            await self._root.measure_clock()

    async def _opened(self, line: AccountLine) -> None:
        """Learn how the account is set up and what it holds."""
        config = await self._config(line)
        self.configs[line.account] = config
        if not mode_note(config):
            rows = decode_rows(await self.ask(line, ENDPOINTS["positions"], {"instType": "SWAP"}), PositionRow)
            self.note_positions(line, rows)

    def _clock_offset_ms(self) -> float | None:
        if self._root is None or not self._root.offset.measured:
            return None
        return self._root.offset.offset_ns / 1e6

    def _limits(self) -> dict[str, float]:
        return {} if self._root is None else self._root.usage()

    def _paused_until(self) -> int:
        return 0 if self._root is None else self._root.paused_until

    # --- the market --------------------------------------------------------------------------------------------------

    async def _listings(self) -> Sequence[Listing]:
        line = next(iter(self.lines.values()), None)
        answers = await asyncio.gather(
            *(self.ask(None, ENDPOINTS["instruments"], {"instType": kind}) for kind in KINDS),
            *(self.ask(line, ENDPOINTS["fees"], {"instType": kind}) for kind in KINDS if line is not None),
        )
        rows = [row for body in answers[: len(KINDS)] for row in decode_rows(body, InstrumentRow)]
        fees = [row for body in answers[len(KINDS) :] for row in decode_rows(body, FeeRow)]
        self._fees = parse_fees(fees)
        self._rows = {row.inst_id: row for row in rows}
        return self._listed()

    def _listed(self) -> list[Listing]:
        """What can be traded now; the rest is remembered, for orders and executions in it."""
        found = parse_instruments(self.id, self._rows.values(), self._fees, self._tiers, self.clock.now())
        halted = [listing for listing in found if self._rows[listing[0]].state != "live"]
        self.catalogue.remember(halted, (name for name, row in self._rows.items() if is_foreign(row)))
        return [listing for listing in found if self._rows[listing[0]].state == "live"]

    def _named(self, symbol: str) -> Instrument | None:
        return named(self.id, symbol)

    async def _know_tiers(self, instrument: InstrumentId) -> None:
        """Fetch the margin tiers of a swap the first time they matter: OKX tells five families at a time."""
        row = self._rows.get(self.catalogue.symbol_of(instrument) or "")
        if row is None or row.inst_type == "SPOT" or family_of(row) in self._tiers:
            return
        params = {"instType": "SWAP", "tdMode": "isolated", "instFamily": family_of(row)}
        self._tiers |= parse_tiers(decode_rows(await self.ask(None, ENDPOINTS["tiers"], params), TierRow))
        self.catalogue.fill(self._listed(), self.catalogue.loaded)

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        """The present book as a snapshot; OKX gives at most 400 levels a side. Raises NotFoundError."""
        found = self._traded(instrument)
        params = {"instId": self.catalogue.symbol(instrument), "sz": str(max(1, min(depth, 400)))}
        (row,) = decode_rows(await self.ask(None, ENDPOINTS["book"], params), BookRow)
        return public_data.parse_book(found, row, depth)

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        """The newest public trades, oldest first; at most 500."""
        found = self._traded(instrument)
        params = {"instId": self.catalogue.symbol(instrument), "limit": str(max(1, min(limit, 500)))}
        rows = decode_rows(await self.ask(None, ENDPOINTS["trades"], params), TradeRow)
        return [public_data.parse_trade(found, row) for row in reversed(rows)]

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        """The last 24 hours of these instruments, or of all."""
        wanted = None if instruments is None else {self._traded(i).id for i in instruments}
        self._need_open()
        if wanted is not None and len(wanted) == 1:
            (only,) = wanted
            bodies = [await self.ask(None, ENDPOINTS["ticker"], {"instId": self.catalogue.symbol(only)})]
        else:
            kinds = [kind for kind, ours in KINDS.items() if wanted is None or self._any_of(wanted, ours)]
            bodies = [await self.ask(None, ENDPOINTS["tickers"], {"instType": kind}) for kind in kinds]
        found = [
            (self.catalogue.by_symbol(row.inst_id), row) for body in bodies for row in decode_rows(body, TickerRow)
        ]
        return [
            public_data.parse_ticker(instrument, row)
            for instrument, row in found
            if instrument is not None and instrument.id in (self.catalogue if wanted is None else wanted)
        ]

    def _any_of(self, wanted: set[InstrumentId], kind: InstrumentKind) -> bool:
        return any(self.catalogue.get(i).kind is kind for i in wanted)

    async def _candle_page(self, instrument: Instrument, timeframe: str, end: int, limit: int) -> Sequence[Candle]:
        near = end > self.venue_now() - NEAR_BARS * timeframe_ns(timeframe)
        params = {
            "instId": self.catalogue.symbol(instrument.id),
            "bar": BAR_OF[timeframe],
            "after": str(-(-end // 1_000_000)),
            "limit": str(max(1, min(limit + 1, 300))),
        }
        name = "candles" if near else "history_candles"
        rows = decode_rows(await self.ask(None, ENDPOINTS[name], params), list[str])
        return public_data.parse_candles(instrument, timeframe, rows)

    async def server_time(self) -> int:
        """OKX's clock in UTC nanoseconds."""
        self._need_open()
        assert self._root is not None
        return await self._root.measure_clock()

    def _traded(self, instrument: InstrumentId) -> Instrument:
        self._need_open()
        return self.catalogue.get(instrument)

    # --- the account -------------------------------------------------------------------------------------------------

    async def _config(self, line: AccountLine) -> ConfigRow:
        (row,) = decode_rows(await self.ask(line, ENDPOINTS["config"]), ConfigRow)
        return row

    async def permissions(self, account: AccountId) -> Permissions:
        """What the account's key may do, and whether the account is fit for swaps."""
        line = self.line(account)
        self.configs[account] = await self._config(line)
        return parse_permissions(self.configs[account])

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        """All balances of trading and funding account together."""
        line = self.line(account)
        trading, funding = await asyncio.gather(
            self.ask(line, ENDPOINTS["balance"]), self.ask(line, ENDPOINTS["assets"])
        )
        return parse_balances(decode_rows(trading, BalanceRow), decode_rows(funding, AssetRow))

    async def positions(self, account: AccountId) -> Sequence[VenuePosition]:
        """All open positions in linear swaps. Raises ValidationError for an account in long/short mode."""
        line = self.line(account)
        rows = decode_rows(await self.ask(line, ENDPOINTS["positions"], {"instType": "SWAP"}), PositionRow)
        await self.learn(row.inst_id for row in rows if is_ours(row.inst_type, row.inst_id) and exact(row.pos))
        self.note_positions(line, rows)
        found = parse_positions(account, self.catalogue.by_symbol, rows)
        for position in found:
            await self._know_tiers(position.instrument)
        return found

    async def margin(self, account: AccountId, instrument: InstrumentId, mode: MarginMode) -> MarginSetting:
        """Leverage of a swap in the mode of its open position, else in the mode that orders would name.

        OKX keeps a leverage for each mode; it is 3x where nobody has ever set one.

        Raises:
            ValidationError: The account is in long/short mode.
            DataValidationError: The answer leaves the leverage open.
        """
        line = self.line(account)
        symbol = self.catalogue.symbol(instrument)
        self.configs[account] = await self._config(line)
        self._fit_for_swaps(line)
        mode = self._held.get((account, instrument)) or mode
        body = await self.ask(line, ENDPOINTS["leverage"], {"instId": symbol, "mgnMode": mode.value})
        rows = [row for row in decode_rows(body, LeverageRow) if (row.inst_id, row.mgn_mode) == (symbol, mode)]
        if len(rows) != 1 or (leverage := maybe(rows[0].lever)) is None:
            raise DataValidationError(f"The answer does not say at which leverage {symbol} is traded in {mode} margin.")
        return MarginSetting(leverage, mode)

    async def set_margin(
        self, account: AccountId, instrument: InstrumentId, leverage: Decimal, mode: MarginMode
    ) -> None:
        """Set the leverage of a swap in a margin mode; the mode itself is named by each order at OKX.

        Raises:
            ValidationError: It is no swap, a position is open in the other mode, or OKX refuses.
            UnknownOutcomeError: No answer; set it again.
        """
        line = self.line(account)
        found = self.catalogue.get(instrument)
        if found.kind is InstrumentKind.SPOT:
            raise ValidationError(f"{instrument} is traded without leverage; only swaps have a margin mode.")
        self._fit_for_swaps(line)
        held = self._held.get((account, instrument))
        if held is not None and held is not mode:
            raise ValidationError(
                f"A position in {instrument} is open in {held} margin; close it before it is changed."
            )
        await self._know_tiers(found.id)
        params = {"instId": self.catalogue.symbol(instrument), "lever": text(leverage), "mgnMode": mode.value}
        try:
            await self.ask(line, ENDPOINTS["set_leverage"], params)
        except ConflictError as error:
            if error.error_code not in SAME:
                raise
        except OrderRejectionError as error:
            raise ValidationError(error.message, error_code=error.error_code, details=error.details) from error

    async def countdown(self, account: AccountId, seconds: float) -> None:
        """Feed the dead-man's switch: 10 to 120 seconds, anything else becomes the nearest of them; 0 turns it off.

        OKX cancels orders one by one, which takes up to a few seconds, and spares algo orders that wait.
        """
        line = self.line(account)
        whole = 0 if seconds <= 0 else min(LONGEST_COUNTDOWN_S, max(SHORTEST_COUNTDOWN_S, round(seconds)))
        await self.ask(line, ENDPOINTS["cancel_all_after"], {"timeOut": str(whole)})

    # --- the past ----------------------------------------------------------------------------------------------------

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        """Executions after a cursor, oldest first; a cursor names time and number of the last one.

        One may be listed late, below others that were listed before: whoever asks on is also given what has since
        appeared within `OVERLAP_MS` before the cursor. What was given together with it is remembered for as long as
        this process lives; what is given again after a restart has the same natural key.
        """
        line = self.line(account)
        since, last = _split(cursor)
        edge = max(0, since - OVERLAP_MS)
        if self._now_ms() - since < RECENT_MS["fills"]:
            listed = await self._pages(line, "fills", FillRow, "bill_id", since_ms=edge)
        else:
            lists = [
                await self._pages(line, "fills_history", FillRow, "bill_id", since_ms=edge, params={"instType": kind})
                for kind in KINDS
            ]
            listed = [row for page in lists for row in page]
        given = self._given.get((account, cursor), frozenset())
        listed = sorted({row.bill_id: row for row in listed}.values(), key=lambda row: int(row.bill_id))
        rows = [row for row in listed if row.bill_id not in given]
        fills = [
            parse_fill(account, instrument, row, await self._owner(line, row))
            for instrument, row in await self._of_ours(rows)
        ]
        if not rows:
            return fills, cursor or self._join((), cursor)
        newest = max((since, last), *((int(row.ts), int(row.bill_id)) for row in listed))
        self._cursors += 1
        # The count tells cursors of one newest execution apart.
        after = f"{newest[0]}-{newest[1]}-{self._cursors}"
        self._given[account, after] = frozenset(row.bill_id for row in listed if int(row.ts) >= newest[0] - OVERLAP_MS)
        if len(self._given) > CURSORS:
            self._given.popitem(last=False)
        return fills, after

    async def _owner(self, line: AccountLine, row: FillRow) -> ClientOrderId | None:
        """Whose an execution without our id is: it may be of what a stop became, or of nobody's order."""
        if row.cl_ord_id:
            return None
        owners = self._owners.setdefault(line.account, OrderedDict())
        if row.ord_id not in owners:
            found = await self._order_row(line, {"instId": row.inst_id, "ordId": row.ord_id})
            instrument = self.catalogue.by_symbol(row.inst_id)
            if found is None or instrument is None:
                if self._now_ms() - int(row.ts) < self.capabilities.visibility_delay_s * 1e3:
                    raise NotVisibleYetError(
                        f"{self.id} lists an execution of an order that it does not show yet; ask again.",
                        error_code="order_unseen",
                    )
                return None
            self.note_order(line, instrument, found)
            return client_id_of(found)
        return ClientOrderId(owners[row.ord_id])

    async def funding_since(self, account: AccountId, cursor: str) -> tuple[Sequence[FundingPayment], str]:
        """Settled funding after a cursor, oldest first."""
        line = self.line(account)
        since, last = _split(cursor)
        name = "bills" if self._now_ms() - since < RECENT_MS["bills"] else "bills_archive"
        rows: list[BillRow] = await self._pages(
            line, name, BillRow, "bill_id", until=last, params={"instType": "SWAP", "type": FUNDING_BILLS}
        )
        rows.sort(key=lambda row: int(row.bill_id))
        settled = [row for row in rows if row.type in (FUNDING_BILLS, "") and is_ours("SWAP", row.inst_id)]
        await self.learn(row.inst_id for row in settled)
        paid = (parse_funding(account, self.catalogue.by_symbol, row) for row in settled)
        return [payment for payment in paid if payment is not None], self._join(rows, cursor)

    def _now_ms(self) -> int:
        return self.venue_now() // 1_000_000

    def _join(self, rows: Sequence[Any], cursor: str) -> str:
        if rows:
            return f"{rows[-1].ts}-{rows[-1].bill_id}"
        return cursor or f"{self._now_ms()}-0"


def _split(cursor: str) -> tuple[int, int]:
    """Time in milliseconds and number of a cursor."""
    if not cursor:
        return 0, 0
    since, last, *_ = *cursor.split("-"), ""
    if not since.isdecimal() or not last.isdecimal():
        raise ExchangeError(f"The cursor {cursor[:40]!r} was not made by this venue; begin with an empty one.")
    return int(since), int(last)
