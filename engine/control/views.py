"""What the doors show: frozen views made from the state and the market, one struct a row or a panel.

Money is exact (`Decimal`), book levels are scaled integers with their scales beside them, times are UTC nanoseconds.
A value that is not known is None, never zero.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from engine.control.views_bots import BotHealth, BotSetup
from engine.control.views_emergency import HaltRow, StopRow
from engine.control.views_guards import BreakerRow, LockRow
from engine.control.views_margin import StandingView
from engine.control.views_orders import OrderPreview
from engine.model.account import TradingMode
from engine.model.candle import Candle
from engine.model.entries import BotState, TradingState
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, VenueId
from engine.model.instrument import InstrumentKind
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType, TimeInForce

__all__ = [
    "Activity",
    "BacktestRow",
    "BacktestTradeRow",
    "BacktestView",
    "BalanceRow",
    "BookView",
    "BotRow",
    "BreakerRow",
    "CandleView",
    "DatasetRow",
    "EngineStatus",
    "EquityPoint",
    "FeedRow",
    "FillHistoryView",
    "FillRow",
    "HealthRow",
    "InstrumentRow",
    "JobRow",
    "LimitRow",
    "OrderHistoryView",
    "OrderPreview",
    "OrderRow",
    "OwnLevel",
    "ParamRow",
    "PortfolioOverview",
    "PositionRow",
    "RiskView",
    "StrategyRow",
    "TickerRow",
    "TradeRow",
    "TradesView",
]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all views."""


class Place(View, frozen=True, kw_only=True):
    """One account of the engine, or a venue that only gives prices."""

    venue: VenueId
    account: AccountId
    """Empty where no account is traded."""
    mode: TradingMode
    testnet: bool = False
    """Whether it is live at a testnet."""
    known: bool = True
    """Whether what is booked of the account is known to be what its venue says; not before the venue was reached."""


class EngineStatus(View, frozen=True, kw_only=True):
    """The engine as a whole."""

    mode: TradingMode
    account: AccountId
    venue: VenueId
    base_currency: Currency
    release: str
    pid: int
    instance: str
    epoch: int
    started: int
    now: int
    """The engine's clock when the view was made."""
    seq: int
    durable_seq: int
    trading: TradingState
    trading_reason: str
    lag_ms: float
    """Worst event-loop lag of the last second, milliseconds."""
    lag_p99_ms: float
    """99th percentile of the last minute, milliseconds."""
    rss_bytes: int
    journal_bytes: int = 0
    """Room that journal, snapshots and archive take."""
    journal_budget_bytes: int = 0
    """Room that they should take at most; 0 when there is no limit."""
    running_bots: int
    open_orders: int
    open_positions: int = 0
    unsent: int
    """Effects waiting for durability or for the venue."""
    open_breakers: int
    equity: Decimal | None
    day_change: Decimal | None
    feed_age_ms: float | None
    """Age of the stalest watched market, milliseconds; None when nothing is watched."""
    failure: str = ""
    """Why the engine halted itself; empty while all is well."""
    care: str = ""
    """Why entries are smaller or refused somewhere while something is impaired; empty while all is well."""
    testnet: bool = False
    """Whether everything that is live is at testnets."""
    locked: tuple[VenueId, ...] = ()
    """Venues whose keys are locked; of `away`."""
    away: tuple[VenueId, ...] = ()
    """Venues that are not online."""
    places: tuple[Place, ...] = ()
    """Every account of every venue, the default one first."""


class FeedRow(View, frozen=True, kw_only=True):
    """Freshness of one market."""

    instrument: InstrumentId
    live: bool
    last: int
    """UTC nanoseconds of the last event; 0 for none yet."""
    updates: int
    gaps: int


class InstrumentRow(View, frozen=True, kw_only=True):
    """A tradable instrument with its present rules."""

    id: InstrumentId
    symbol: str
    venue: VenueId
    kind: InstrumentKind
    base: Currency
    quote: Currency
    price_tick: Decimal
    lot: Decimal
    min_quantity: Decimal
    min_notional: Decimal
    maker_fee: Decimal
    taker_fee: Decimal
    price_scale: int
    quantity_scale: int
    multiplier: Decimal = Decimal(1)
    """Base units per contract; 1 for spot."""


class TickerRow(View, frozen=True, kw_only=True):
    """The present market of an instrument in one line."""

    instrument: InstrumentId
    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    change_pct: float | None
    """Change over 24 hours as a fraction."""
    high: float | None
    low: float | None
    volume: float | None
    """Base units over 24 hours."""
    ts: int
    spark: tuple[float, ...] = ()
    """Closes of the last 24 hours for a small line, oldest first."""


class OwnLevel(View, frozen=True, kw_only=True):
    """Our own open quantity at a price; scaled integers."""

    side: OrderSide
    price: int
    quantity: int
    client_ids: tuple[ClientOrderId, ...]
    stop: bool = False
    """True for orders that wait for their trigger."""


class BookView(View, frozen=True, kw_only=True):
    """The top of the book with our own orders; scaled integers, best first."""

    instrument: InstrumentId
    ts: int
    seq: int
    price_scale: int
    quantity_scale: int
    tick: int
    """Price step as a scaled integer."""
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    own: tuple[OwnLevel, ...]
    last: int | None
    """Last traded price."""
    last_side: OrderSide | None
    live: bool


class TradeRow(View, frozen=True, kw_only=True):
    """A public trade; scaled integers."""

    ts: int
    price: int
    quantity: int
    aggressor: OrderSide


class TradesView(View, frozen=True, kw_only=True):
    """Recent public trades, newest first."""

    instrument: InstrumentId
    price_scale: int
    quantity_scale: int
    trades: tuple[TradeRow, ...]


class CandleView(View, frozen=True, kw_only=True):
    """The newest candle of a timeframe, and the one that closed before it."""

    instrument: InstrumentId
    timeframe: str
    candles: tuple[Candle, ...]


class OrderRow(View, frozen=True, kw_only=True):
    """An order."""

    client_id: ClientOrderId
    venue_order_id: str
    account: AccountId
    instrument: InstrumentId
    owner: Owner
    owner_name: str
    side: OrderSide
    type: OrderType
    tif: TimeInForce
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    stop_price: Decimal | None
    average_price: Decimal | None
    status: OrderStatus
    cancel_requested: bool
    reduce_only: bool
    post_only: bool
    created: int
    updated: int
    reason: str
    """Why it exists, or why it ended."""
    held: bool = False
    """Whether the engine holds it, so that it works only while the engine lives."""


class FillRow(View, frozen=True, kw_only=True):
    """An execution of ours."""

    seq: int
    ts: int
    instrument: InstrumentId
    owner: Owner
    owner_name: str
    side: OrderSide
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: Currency
    liquidity: Liquidity
    client_id: ClientOrderId
    account: AccountId = AccountId("")


class PositionRow(View, frozen=True, kw_only=True):
    """One owner's open position."""

    account: AccountId
    instrument: InstrumentId
    owner: Owner
    owner_name: str
    quantity: Decimal
    """Signed base units (contracts of a derivative)."""
    entry_price: Decimal
    mark: Decimal | None
    value: Decimal | None
    """In the instrument's settle currency."""
    unrealised: Decimal | None
    unrealised_pct: float | None
    realised: Decimal
    fees: Decimal
    stop_price: Decimal | None
    opened: int
    settle: Currency
    standing: StandingView | None = None
    """Margin and liquidation of a derivative; None for spot."""
    stop_quantity: Decimal | None = None
    """How much of it the stops cover, unsigned, what is less than a lot counted as covered; None without a stop."""


class BalanceRow(View, frozen=True, kw_only=True):
    """One currency of the account."""

    currency: Currency
    free: Decimal
    reserved: Decimal
    total: Decimal
    value: Decimal | None
    """In the account's base currency; None when no price is known."""
    share: float | None
    """Of equity, as a fraction."""
    account: AccountId = AccountId("")


class PortfolioOverview(View, frozen=True, kw_only=True):
    """All accounts together in figures, in one currency; fractions of 1."""

    account: AccountId
    """The only one; where there are several, the one that is meant where none is named."""
    currency: Currency
    equity: Decimal | None
    cash: Decimal
    exposure: Decimal | None
    exposure_pct: float | None
    unrealised: Decimal | None
    realised: Decimal
    """Realised profit before fees since the beginning."""
    fees: Decimal
    day_change: Decimal | None
    day_change_pct: float | None
    drawdown_pct: float | None
    peak: Decimal | None
    open_positions: int
    running_bots: int
    deposits: Decimal
    """Net deposits since the beginning."""
    unvalued: tuple[str, ...] = ()
    """What no price is known for; equity is then None."""
    accounts: int = 1
    """How many there are."""


class EquityPoint(View, frozen=True, kw_only=True):
    """Equity at a time."""

    ts: int
    equity: float


class BotRow(View, frozen=True, kw_only=True):
    """A bot."""

    id: Owner
    name: str
    strategy: str
    strategy_version: str
    instrument: InstrumentId
    timeframe: str
    state: BotState
    reason: str
    since: int
    created: int
    capital: Decimal
    currency: Currency
    position: Decimal
    realised: Decimal
    unrealised: Decimal | None
    fees: Decimal
    pnl: Decimal | None
    """Realised + unrealised - fees."""
    pnl_pct: float | None
    """Of capital."""
    fills: int
    signals: int
    refusals: int
    last_signal: str
    last_signal_ts: int
    last_bar_ts: int
    heartbeat: int
    """UTC nanoseconds at which the bot last did something; 0 for never."""
    params: dict[str, str | float | int | bool]
    autostart: bool = False
    """Starts together with the engine."""
    strategy_file: str = ""
    """File that defines the strategy; empty for one that is known by name."""
    account: AccountId = AccountId("")
    """In which it trades."""
    execution: dict[str, str | float | int | bool | None] = {}
    """How its entries are executed: what differs from one market order."""
    setup: BotSetup = BotSetup()
    health: BotHealth = BotHealth()


class LimitRow(View, frozen=True, kw_only=True):
    """One limit and how much of it is used."""

    name: str
    label: str
    used: str
    limit: str
    share: float | None
    """Of the limit, as a fraction; None when it cannot be computed."""
    level: str
    """low, medium, high or critical."""


class RiskView(View, frozen=True, kw_only=True):
    """Risk at a glance."""

    trading: TradingState
    reason: str
    actor: str
    since: int
    level: str
    limits: tuple[LimitRow, ...]
    breakers: tuple[BreakerRow, ...]
    refusals_last_hour: int
    emergency: str
    """Progress of an emergency stop in words; empty when none is under way."""
    values: dict[str, str | float | int | bool] = {}
    """Every limit in force by its name in `RiskLimits`; fractions of 1, exact ones as text."""
    care: str = ""
    """As in EngineStatus."""
    locks: tuple[LockRow, ...] = ()
    halts: tuple[HaltRow, ...] = ()
    """Every part of trading that is held, the whole first."""
    stops: tuple[StopRow, ...] = ()
    """Every emergency stop that is not released, those that are done too."""


class ParamRow(View, frozen=True, kw_only=True):
    """One declared parameter."""

    name: str
    type: str
    default: str
    minimum: str
    maximum: str
    choices: tuple[str, ...]
    help: str


class StrategyRow(View, frozen=True, kw_only=True):
    """A strategy that can be used."""

    name: str
    version: str
    kind: str
    description: str
    timeframe: str
    symbols: tuple[str, ...]
    source: str
    """`built-in` or the file's path."""
    params: tuple[ParamRow, ...]


class JobRow(View, frozen=True, kw_only=True):
    """A piece of heavy work in its own process."""

    id: str
    kind: str
    title: str
    state: str
    """queued, running, done, failed or cancelled."""
    progress: float
    """0 to 1."""
    message: str
    started: int
    finished: int
    """0 while not finished."""
    result: str = ""
    """Id of what it made, such as a backtest's; empty when nothing."""
    report: dict[str, Any] = {}
    """What it has to say at its end, in plain values: the report of an import, the key figures of a backtest."""


class BacktestRow(View, frozen=True, kw_only=True):
    """A stored backtest in one line."""

    id: str
    hash: str
    strategy: str
    instrument: InstrumentId
    timeframe: str
    start: int
    end: int
    created: int
    trades: int
    total_return: float | None
    sharpe: float | None
    max_drawdown: float | None
    win_rate: float | None
    passed: bool
    """Meets the required Sharpe ratio and drawdown limit."""


class BacktestTradeRow(View, frozen=True, kw_only=True):
    """A closed trade of a backtest."""

    entry_time: int
    exit_time: int
    side: OrderSide
    entry_price: Decimal
    exit_price: Decimal
    quantity: Decimal
    fees: Decimal
    pnl: Decimal
    reason: str


class BacktestView(View, frozen=True, kw_only=True):
    """A stored backtest as a whole."""

    row: BacktestRow
    params: dict[str, str | float | int | bool]
    assumptions: dict[str, str]
    metrics: dict[str, float | None]
    equity: tuple[EquityPoint, ...]
    """At most 2,000 points."""
    benchmark: tuple[EquityPoint, ...]
    trades: tuple[BacktestTradeRow, ...]


class DatasetRow(View, frozen=True, kw_only=True):
    """Stored candles of one market."""

    venue: VenueId
    symbol: str
    timeframe: str
    rows: int
    start: int
    end: int
    gaps: int
    missing: int
    bytes: int


class OrderHistoryView(View, frozen=True, kw_only=True):
    """One page of ended orders, the last ended first."""

    rows: tuple[OrderRow, ...]
    page: int
    """From 1."""
    pages: int
    total: int
    """Rows on all pages."""


class FillHistoryView(View, frozen=True, kw_only=True):
    """One page of executions, the newest first."""

    rows: tuple[FillRow, ...]
    page: int
    """From 1."""
    pages: int
    total: int
    """Rows on all pages."""


class HealthRow(View, frozen=True, kw_only=True):
    """How one part of the engine is."""

    component: str
    state: str
    """ok, warning, failed or off."""
    summary: str
    figures: dict[str, float | int | str | None] = {}


class Activity(View, frozen=True, kw_only=True):
    """A fact in words, for the activity log; `seq` is the journal's number and the cursor to resume from."""

    seq: int
    ts: int
    severity: str
    """info, good, warning or critical."""
    kind: str
    """The fact's name."""
    text: str
    owner: str = ""
    instrument: str = ""
