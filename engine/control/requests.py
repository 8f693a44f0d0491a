"""What may be asked: the typed request of every operation."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.errors import QuarterdeckError
from engine.model.decimals import parse_decimal
from engine.model.limits import RiskLimits
from engine.model.order import OrderSide, OrderType, TimeInForce

__all__ = [
    "Amount",
    "BotName",
    "BotStop",
    "BreakerReset",
    "CancelAll",
    "CancelOrder",
    "CandlesQuery",
    "ClosePosition",
    "CreateBot",
    "Empty",
    "FactsSince",
    "Halt",
    "HistoryQuery",
    "InstrumentQuery",
    "ListFills",
    "ListOrders",
    "PreviewOrder",
    "Reason",
    "ReplaceOrder",
    "SuggestSize",
    "Request",
    "SCOPE_WORDS",
    "Scoped",
    "SetLimits",
    "StartBot",
    "StopEngine",
    "StrategyFile",
    "EmergencyStop",
    "PlaceOrder",
]

StopPolicy = Literal["leave", "cancel_orders", "close"]
Amount = Decimal


MOST_DIGITS = 18
"""Digits before, and digits behind the decimal point that an amount may have."""


def exact_amount(value: Any) -> Any:
    """An amount as a person or a file wrote it; None for none.

    A binary float from JSON is not what the person wrote; text, integers and decimals are.

    Raises:
        ValueError: It is no exact decimal, or has more digits than any instrument knows.
    """
    if value is None or value == "":
        return None
    try:
        amount = parse_decimal(value, "an amount")
    except QuarterdeckError as error:
        raise ValueError(error.message.rstrip(".")) from None
    exponent = amount.as_tuple().exponent
    if amount.adjusted() >= MOST_DIGITS or (isinstance(exponent, int) and -exponent > MOST_DIGITS):
        raise ValueError(f"an amount has at most {MOST_DIGITS} digits before and behind the point")
    return amount


class Request(BaseModel):
    """Base of all requests: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Empty(Request):
    """Nothing is asked."""


class StopEngine(Request):
    """End the engine."""

    positions: StopPolicy = Field("leave", description="Leave everything, cancel all orders, or close all positions.")


class InstrumentQuery(Request):
    """One instrument's market."""

    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    depth: int = Field(25, ge=1, le=1000, description="Levels a side.")


class TradesQuery(Request):
    """One instrument's public trades."""

    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    limit: int = Field(50, ge=1, le=1000, description="Most entries, newest first.")


LIVE_ORDER = "VENUE/account, typed to send real money without an armed console."
LIVE_BOT = "VENUE/account, typed to let a bot trade real money without an armed console."
LIVE_CHANGE = "VENUE/account, typed to widen what a bot does with real money without an armed console."
LIVE_WORDS = "VENUE/account, typed to loosen risk on real money without an armed console."


class CandlesQuery(Request):
    """Candles of one instrument."""

    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    timeframe: str = Field("1h", description="Length of a bar.")
    limit: int = Field(500, ge=1, le=2000, description="Most candles, the newest ones.")
    end: int | None = Field(None, description="UTC nanoseconds, exclusive; none for now.")


class PreviewOrder(Request):
    """An order as somebody thinks of it; either a quantity or a share of what is free."""

    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    side: OrderSide = Field(description="buy or sell.")
    type: OrderType = Field(OrderType.MARKET, description="market, limit, stop_loss or take_profit.")
    quantity: Amount | None = Field(None, description="Base units; contracts of a derivative.")
    percent: Amount | None = Field(None, gt=0, le=1, description="Share of the free funds instead, 0 to 1.")
    price: Amount | None = Field(None, description="Limit price.")
    stop_price: Amount | None = Field(None, description="Trigger price.")
    tif: TimeInForce = Field(TimeInForce.GTC, description="GTC, IOC or FOK.")
    post_only: bool = Field(default=False, description="Never take liquidity.")
    reduce_only: bool = Field(default=False, description="Only shrink a position.")
    account: str = Field("", description="Account; none for the first one of the instrument's venue.")

    @field_validator("quantity", "percent", "price", "stop_price", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class SuggestSize(Request):
    """An entry of which only the size is open."""

    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    side: OrderSide = Field(OrderSide.BUY, description="buy or sell.")
    account: str = Field("", description="Account; none for the first one of the instrument's venue.")


class PlaceOrder(PreviewOrder):
    """An order to be placed; the quantity is required."""

    quantity: Amount = Field(gt=0, description="Base units; contracts of a derivative.")
    percent: None = Field(None, description="Not used: the quantity says it.")
    max_slippage: Amount | None = Field(
        None, gt=0, le=1, description="Refuse what is expected to cost more against the middle, as a fraction."
    )
    reason: str = Field("manual order", max_length=200, description="Why, for the record.")
    live: str = Field("", max_length=64, description=LIVE_ORDER)

    @field_validator("max_slippage", mode="before")
    @classmethod
    def _exact_slippage(cls, value: Any) -> Any:
        return exact_amount(value)


class CancelOrder(Request):
    """One order."""

    client_id: str = Field(description="Client order id.")


class ReplaceOrder(Request):
    """New values of a working order; what is left out stays."""

    client_id: str = Field(description="Client order id.")
    quantity: Amount | None = Field(
        None, gt=0, description="New quantity, base units or contracts, what is filled included."
    )
    price: Amount | None = Field(None, gt=0, description="New limit price.")
    stop_price: Amount | None = Field(None, gt=0, description="New trigger price.")
    live: str = Field("", max_length=64, description=LIVE_ORDER)

    @field_validator("quantity", "price", "stop_price", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class CancelAll(Request):
    """Which open orders to cancel; nothing named means all."""

    instrument: str | None = Field(None, description="Only this instrument's.")
    owner: str | None = Field(None, description="Only this owner's: a bot's name or id, or `manual`.")


class ListOrders(Request):
    """Which orders to list."""

    open: bool = Field(default=True, description="Open ones; else the last ended ones.")
    owner: str | None = Field(None, description="Only this owner's: a bot's name or id, or `manual`.")
    instrument: str | None = Field(None, description="Only this instrument's.")
    side: OrderSide | None = Field(None, description="Only this side.")
    limit: int = Field(100, ge=1, le=1000, description="Most entries.")
    page: int = Field(1, ge=1, description="Page of so many entries, from 1.")
    sort: str | None = Field(None, max_length=64, description="Field to sort by; with a - before it the largest first.")


class ListFills(Request):
    """How many executions to list."""

    limit: int = Field(100, ge=1, le=1000, description="Most entries, newest first.")


class FactsSince(Request):
    """Facts after a cursor."""

    cursor: int = Field(0, ge=0, description="Sequence number after which to begin.")
    limit: int = Field(100, ge=1, le=1000, description="Most entries.")


class HistoryQuery(Request):
    """Equity over time."""

    range: Literal["day", "week", "month", "all"] = Field("day", description="How far back.")


class ClosePosition(Request):
    """Close a position at the market."""

    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    owner: str = Field("manual", description="Whose: a bot's name or id, or `manual`.")
    account: str = Field("", description="Account; none for the one of the bot, or the first one of the venue.")


class StrategyFile(Request):
    """A strategy of one's own."""

    file: str = Field(min_length=1, description="Path of the file that defines it.")


class CreateBot(Request):
    """A new bot; see BotConfig."""

    name: str = Field(description="Unique name.")
    strategy: str = Field(description="Strategy's name.")
    strategy_file: str | None = Field(None, description="File that defines the strategy.")
    instrument: str = Field(description="Instrument, such as SIM:BTC/USDT.")
    markets: list[str] = Field(
        default_factory=list, max_length=20, description="Further instruments of a strategy on books."
    )
    account: str = Field("", description="Account it trades in; none for the first one of the instrument's venue.")
    timeframe: str | None = Field(None, description="Length of a bar; none takes the strategy's own.")
    capital: Amount = Field(Decimal(2000), gt=0, description="What it may use, in base currency.")
    params: dict[str, bool | int | float | str] = Field(default_factory=dict, description="Strategy parameters.")
    autostart: bool = Field(default=False, description="Start together with the engine.")
    mode: Literal["paper", "live"] = Field("paper", description="paper: never with real money; live: it may.")
    auto_resume: bool | None = Field(
        None, description="Enter again by itself after a restart or failure; none: on paper yes, live no."
    )
    priority: int = Field(5, ge=1, le=10, description="1 to 10; higher goes first where bots compete.")
    risk: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="Risk limits of its own; only stricter than the global ones."
    )
    isolation: Literal["task", "process"] = Field("task", description="process: its strategy runs in one of its own.")
    memory_mb: int | None = Field(None, ge=64, le=65_536, description="Memory limit; none for that of its class.")
    cpu_share: float = Field(1.0, gt=0, le=1, description="Most of one processor core, over a minute.")
    storage_mb: int = Field(1024, ge=1, le=1_048_576, description="Most it may keep on disk.")
    bar_seconds: float = Field(5.0, gt=0, le=300, description="Longest time its strategy may take for one bar.")
    execution: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="How its entries are executed: algorithm (market, chase, peg, twap, vwap,"
        " implementation_shortfall, pov, auto)"
        " and its parameters; see algos.start.",
    )
    universe: dict[str, Any] | None = Field(
        None,
        description="Trade every market of this rule, one bot each: quote=USDT,top=20,min_age_days=30,… (see"
        " universe.preview); the instrument then names the venue alone.",
    )
    live: str = Field("", max_length=64, description=LIVE_CHANGE)

    @field_validator("capital", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class ConfigureBot(CreateBot):
    """A bot's new configuration, whole."""

    bot: str = Field(description="Its name or id.")


class BotName(Request):
    """One bot."""

    bot: str = Field(description="Its name or id.")


class StartBot(BotName):
    """Which bot shall trade."""

    live: str = Field("", max_length=64, description=LIVE_BOT)


class BotStop(BotName):
    """How to stop a bot."""

    positions: StopPolicy = Field("cancel_orders", description="Leave everything, cancel its orders, or close.")


class Reason(Request):
    """Why, for the record."""

    reason: str = Field("asked by the operator", max_length=200, description="Why, for the record.")


SCOPE_WORDS = "What: all, venue:OKX, account:main, strategy:grid, bot:trend-1, symbol:OKX:BTC/USDT or symbol:BTC/USDT."


class Scoped(Reason):
    """A part of trading."""

    scope: str = Field("all", max_length=128, description=SCOPE_WORDS)


class Halt(Scoped):
    """Stop new orders."""

    reducing: bool = Field(default=False, description="Allow orders that reduce positions.")


class EmergencyStop(Scoped):
    """Block new orders, cancel all, close all."""

    close: bool = Field(default=True, description="Close all positions as well.")


class Resume(Scoped):
    """Let trading go on."""

    live: str = Field("", max_length=64, description=LIVE_WORDS)


class BreakerReset(Reason):
    """Close a breaker again."""

    live: str = Field("", max_length=64, description=LIVE_WORDS)
    breaker: str = Field(description="Its name.")
    account: str = Field("", max_length=64, description="Account it is open for; none for whatever it is open for.")
    scope: str = Field(
        "", max_length=128, description="Instrument it is open for, or `engine`, in place of an account."
    )
    force: bool = Field(
        default=False, description="Reset although its condition persists; the loss is then measured anew from now."
    )


class SetLimits(Request):
    """Risk limits that change; what is left out stays."""

    limits: dict[str, str | float | int | bool] = Field(
        description=f"Limit -> new value. The limits are {', '.join(RiskLimits.model_fields)}."
    )
    live: str = Field("", max_length=64, description=LIVE_WORDS)
