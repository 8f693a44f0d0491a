"""Facts: every change of what the engine knows about money, orders, bots, limits and halts.

Each fact is a frozen struct with a tag `Name` (version 1) or `Name@n` for later versions. Old versions are lifted by
the pure functions in `UPCASTERS`. Facts are numbered and stored as `Record`s; nothing else changes `EngineState`.
Venues report with the same order and fill facts that the engine books: one definition from wire to journal.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import StateCorruptionError
from engine.model.account import Account
from engine.model.algo_facts import (
    ParentAccelerated,
    ParentCancelRequested,
    ParentEnded,
    ParentOpened,
    ParentPaused,
    ParentResumed,
)
from engine.model.bot_facts import (
    BotConfigured,
    BotCreated,
    BotDeleted,
    BotMemorySaved,
    BotRestartPlanned,
    BotStateChanged,
)
from engine.model.breaker_facts import (
    BreakerHalfOpened,
    BreakerHeld,
    BreakerReset,
    BreakerTripped,
    LockEnded,
    LockPlaced,
    PeakRecorded,
    PeriodBegan,
    TradeEnded,
    TradingStateChanged,
)
from engine.model.capital_facts import (
    CapitalPreserved,
    FundsMoved,
    PoolsMeasured,
    ProfitSettled,
    ProfitUnlockAsked,
    ProfitUnlocked,
    TransferEnded,
    TransferLeft,
    TransferPlanned,
)
from engine.model.derivative_facts import (
    FundingCaughtUp,
    FundingPaid,
    FundingPart,
    MarginSet,
    PositionAdopted,
    PositionLiquidated,
)
from engine.model.entries import Opening
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, ParentId, VenueOrderId
from engine.model.instrument import Instrument
from engine.model.limit_facts import LimitBreached, LimitHealed
from engine.model.metric_facts import RegimeChanged, RiskAdapted, RiskMeasured, StressTested
from engine.model.order import Decision, OrderSide, OrderType, TimeInForce
from engine.model.quality_facts import MarkOutRecorded, PoorExecution
from engine.model.scenario import ScenarioBegan, ScenarioEnded
from engine.model.verification import OrderAdopted, RecoveryVerified, StateChecked

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "UPCASTERS", "AccountOpened", "BalanceAdjusted", "BotConfigured", "BotCreated", "BotDeleted", "BotMemorySaved",
    "BotRestartPlanned", "BotStateChanged", "BreakerHalfOpened", "BreakerHeld", "BreakerReset", "BreakerTripped",
    "CapitalPreserved", "Deposited", "EngineStarted", "EngineStopped", "EpochOpened", "EquityRecorded", "Event",
    "ExternalFillSeen", "ExternalOrderSeen", "FillsCaughtUp", "FundingCaughtUp", "FundingPaid", "FundingPart",
    "FundsMoved", "HandedOver", "HandoverAbandoned", "InstrumentDefined", "InterestCharged", "LimitBreached",
    "LimitHealed", "LimitsChanged", "LockEnded", "LockPlaced", "MarginSet", "MarkOutRecorded", "MarkRecorded",
    "OperatorActed", "OrderAccepted", "OrderAdopted", "OrderAmendRequested", "OrderAmended", "OrderCancelRejected",
    "OrderCancelRequested", "OrderCanceled", "OrderExpired", "OrderFilled", "OrderIntended", "OrderOutcomeUnknown",
    "OrderRefused", "OrderRejected", "OrderSubmitted", "OrderTriggered", "ParentAccelerated", "ParentCancelRequested",
    "ParentEnded", "ParentOpened", "ParentPaused", "ParentResumed", "PeakRecorded", "PeriodBegan", "PoolsMeasured",
    "PoorExecution", "PositionAdopted", "PositionLiquidated", "ProfitSettled", "ProfitUnlockAsked", "ProfitUnlocked",
    "Record", "RecoveryVerified", "RegimeChanged", "RiskAdapted", "RiskMeasured", "ScenarioBegan", "ScenarioEnded",
    "SignalRaised", "StateChecked", "StressTested", "TradeEnded", "TradingStateChanged", "TransferEnded",
    "TransferLeft", "TransferPlanned", "Transferred", "VenueEvent", "Withdrawn", "decode_event", "decode_record",
    "encode_event", "encode_record", "event_name",
]  # fmt: skip


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of all facts; the tag is the class name."""


# --- the engine's own life -------------------------------------------------------------------------------------------


class EngineStarted(_Fact, frozen=True, kw_only=True):
    """An engine process began to write."""

    instance: str
    """Random id of this journal's instance; client order ids carry it."""
    release: str
    pid: int


class EngineStopped(_Fact, frozen=True, kw_only=True):
    """The engine ended in order."""

    reason: str


class EpochOpened(_Fact, frozen=True, kw_only=True):
    """The right to write moved on; older epochs may not write any more."""

    epoch: int
    instance: str


class HandedOver(_Fact, frozen=True, kw_only=True):
    """The last fact of an engine that gives its right to write to another process.

    When a `HandoverAbandoned` of the same epoch follows, the other one did not take it.
    """

    pid: int
    """Process that takes over."""
    release: str
    """Its version."""
    unknown: int = 0
    """Orders whose outcome the venue had not told yet; the successor asks for them."""


class HandoverAbandoned(_Fact, frozen=True, kw_only=True):
    """A process that was to take over did not; the engine goes on as it was."""

    pid: int
    reason: str


class OperatorActed(_Fact, frozen=True, kw_only=True):
    """Audit: somebody changed something through an operation."""

    actor: str
    operation: str
    summary: str
    """What was asked, secrets masked."""
    request_id: str = ""
    """Chosen by the caller: a repeat with the same one does nothing more."""
    before: str = ""
    """What was in force before, of what changed, as JSON with secrets masked; empty when that is not told."""
    after: str = ""
    """What is in force from now on, likewise."""


# --- accounts and money ----------------------------------------------------------------------------------------------


class InstrumentDefined(_Fact, frozen=True, kw_only=True):
    """An instrument, or a new version of its rules, became known."""

    instrument: Instrument


class AccountOpened(_Fact, frozen=True, kw_only=True):
    """An account became known to the engine."""

    account: Account


class Deposited(_Fact, frozen=True, kw_only=True):
    """Money came in from outside."""

    account: AccountId
    currency: Currency
    amount: Decimal
    reference: str = ""


class Withdrawn(_Fact, frozen=True, kw_only=True):
    """Money left for outside; the amount is positive."""

    account: AccountId
    currency: Currency
    amount: Decimal
    reference: str = ""


class Transferred(_Fact, frozen=True, kw_only=True):
    """Money moved between two accounts."""

    source: AccountId
    target: AccountId
    currency: Currency
    amount: Decimal
    reference: str = ""


class BalanceAdjusted(_Fact, frozen=True, kw_only=True):
    """A balance was corrected to what the venue says; the amount is the signed difference."""

    account: AccountId
    currency: Currency
    amount: Decimal
    reason: str


class InterestCharged(_Fact, frozen=True, kw_only=True):
    """Interest on borrowed funds; positive is paid."""

    account: AccountId
    currency: Currency
    amount: Decimal
    ts: int


class ExternalOrderSeen(_Fact, frozen=True, kw_only=True):
    """An order that is not this instance's was seen at the venue; shown, never touched."""

    account: AccountId
    instrument: InstrumentId
    venue_order_id: VenueOrderId
    client_id: str
    side: OrderSide
    type: OrderType
    quantity: Decimal
    open: bool
    price: Decimal | None = None


class ExternalFillSeen(_Fact, frozen=True, kw_only=True):
    """An execution of an order that is not this instance's; it changes balances and the account's position."""

    fill: Fill


class FillsCaughtUp(_Fact, frozen=True, kw_only=True):
    """Every execution that the venue had kept up to a cursor is booked, or is part of the opening balance."""

    account: AccountId
    cursor: str
    """The venue's own; the next question for executions begins there."""
    opening: Opening | None = None
    """With the opening balance: which executions are part of it."""


# --- orders ----------------------------------------------------------------------------------------------------------


class OrderRefused(_Fact, frozen=True, kw_only=True):
    """The risk gate refused a request; nothing was reserved or sent."""

    account: AccountId
    instrument: InstrumentId
    owner: Owner
    side: OrderSide
    type: OrderType
    quantity: Decimal
    codes: tuple[str, ...]
    message: str
    price: Decimal | None = None


class OrderIntended(_Fact, frozen=True, kw_only=True):
    """The intent: booked and durable before anything is sent. Reserves funds."""

    client_id: ClientOrderId
    account: AccountId
    instrument: InstrumentId
    owner: Owner
    side: OrderSide
    type: OrderType
    quantity: Decimal
    reserve_currency: Currency
    reserve_unit: Decimal
    """Funds held per unit of open quantity."""
    decision: Decision
    price: Decimal | None = None
    stop_price: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    oco_group: str | None = None
    parent: ParentId | None = None
    """The parent order whose child it is."""


class OrderSubmitted(_Fact, frozen=True, kw_only=True):
    """The request left for the venue."""

    client_id: ClientOrderId
    durable: int = 0
    """UTC nanoseconds at which its intent was found to be durable; 0 where that was not noted."""
    best_bid: Decimal | None = None
    """Top of the book as it left; None where it was not known."""
    best_ask: Decimal | None = None


class OrderOutcomeUnknown(_Fact, frozen=True, kw_only=True):
    """The venue's answer was lost; the order may or may not exist."""

    client_id: ClientOrderId
    reason: str


class OrderAccepted(_Fact, frozen=True, kw_only=True):
    """The venue has the order."""

    client_id: ClientOrderId
    venue_order_id: VenueOrderId
    ts: int


class OrderRejected(_Fact, frozen=True, kw_only=True):
    """The venue refused the order."""

    client_id: ClientOrderId
    code: str
    reason: str
    ts: int


class OrderTriggered(_Fact, frozen=True, kw_only=True):
    """A stop or take-profit order reached its trigger."""

    client_id: ClientOrderId
    ts: int


class OrderAmendRequested(_Fact, frozen=True, kw_only=True):
    """We asked the venue to change a working order; until its answer the larger of both counts. None keeps the value.

    Which of the two holds is not known until then, so funds and limits are held for either.
    """

    client_id: ClientOrderId
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    reserve_unit: Decimal | None = None
    """Funds held per unit after the change; None where they stay."""


class OrderAmended(_Fact, frozen=True, kw_only=True):
    """The venue changed a working order in place; None keeps the value."""

    client_id: ClientOrderId
    ts: int
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    reserve_unit: Decimal | None = None
    """Filled in by the engine when the funds held per unit change with the price."""


class OrderFilled(_Fact, frozen=True, kw_only=True):
    """One execution of one of our orders."""

    fill: Fill


class OrderCancelRequested(_Fact, frozen=True, kw_only=True):
    """We asked the venue to cancel."""

    client_id: ClientOrderId
    reason: str = ""


class OrderCancelRejected(_Fact, frozen=True, kw_only=True):
    """The venue did not cancel; the order lives on or already ended."""

    client_id: ClientOrderId
    code: str
    reason: str
    ts: int


class OrderCanceled(_Fact, frozen=True, kw_only=True):
    """The venue confirmed the end of the order, at our wish or its own."""

    client_id: ClientOrderId
    reason: str
    ts: int


class OrderExpired(_Fact, frozen=True, kw_only=True):
    """The order ended by its time in force."""

    client_id: ClientOrderId
    reason: str
    ts: int


# --- bots ------------------------------------------------------------------------------------------------------------


class SignalRaised(_Fact, frozen=True, kw_only=True):
    """A strategy wanted something; what became of it follows under the same owner."""

    bot: Owner
    instrument: InstrumentId
    action: str
    direction: str
    confidence: float
    reason: str
    ts: int


# --- risk ------------------------------------------------------------------------------------------------------------


class LimitsChanged(_Fact, frozen=True, kw_only=True):
    """Risk limits as a whole, as the validated JSON of `RiskLimits`."""

    limits: bytes
    actor: str


class MarkRecorded(_Fact, frozen=True, kw_only=True):
    """The mark price of a held instrument, at most every 10 s and whenever a breaker decided on it."""

    instrument: InstrumentId
    price: Decimal
    ts: int


class EquityRecorded(_Fact, frozen=True, kw_only=True):
    """The account's value in its base currency, with the marks of the same moment."""

    account: AccountId
    equity: Decimal
    ts: int


VenueEvent = (
    OrderAccepted
    | OrderRejected
    | OrderTriggered
    | OrderAmended
    | OrderFilled
    | OrderCancelRejected
    | OrderCanceled
    | OrderExpired
)
"""What a venue's private stream delivers."""

Event = (
    EngineStarted | EngineStopped | EpochOpened | HandedOver | HandoverAbandoned | OperatorActed
    | InstrumentDefined | AccountOpened | Deposited | Withdrawn | Transferred | BalanceAdjusted | FundingPaid
    | InterestCharged | PositionLiquidated | ExternalOrderSeen | ExternalFillSeen | FillsCaughtUp
    | OrderRefused | OrderIntended | OrderSubmitted | OrderOutcomeUnknown | OrderAccepted | OrderRejected
    | OrderTriggered | OrderAmendRequested | OrderAmended | OrderFilled | OrderCancelRequested
    | OrderCancelRejected | OrderCanceled | OrderExpired | BotCreated | BotConfigured | BotStateChanged
    | BotMemorySaved | BotDeleted | SignalRaised | TradingStateChanged | BreakerTripped | BreakerReset
    | LimitsChanged | MarkRecorded | EquityRecorded | ScenarioBegan | ScenarioEnded
    | BreakerHalfOpened | BreakerHeld | PeriodBegan | PeakRecorded | TradeEnded | LockPlaced | LockEnded
    | OrderAdopted | RecoveryVerified | StateChecked | MarginSet | FundingCaughtUp | PositionAdopted
    | RiskMeasured | RegimeChanged | RiskAdapted | StressTested
    | FundsMoved | ProfitSettled | ProfitUnlockAsked | ProfitUnlocked | CapitalPreserved | PoolsMeasured
    | TransferPlanned | TransferLeft | TransferEnded
    | LimitBreached | LimitHealed
    | ParentOpened | ParentPaused | ParentResumed | ParentAccelerated | ParentCancelRequested | ParentEnded
    | MarkOutRecorded | PoorExecution
    | BotRestartPlanned
)  # fmt: skip


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A numbered fact: what the journal stores and the state folds."""

    seq: int
    """Counts up by one without a gap, from 1."""
    ts: int
    """UTC nanoseconds at which the engine booked it."""
    epoch: int
    event: Event
    correlation: str = ""
    """Operation or signal that led to it; empty when none."""


UPCASTERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Old tag -> pure function that gives the next version's fields, tag `t` included."""

_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_event_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)
_record_decoder = msgspec.msgpack.Decoder(Record)


def event_name(event: Event) -> str:
    """The fact's name without its version."""
    return type(event).__name__


def encode_event(event: Event) -> bytes:
    """Serialise a fact."""
    return _encoder.encode(event)


def decode_event(body: bytes) -> Event:
    """Read a fact, lifting old versions.

    Raises:
        StateCorruptionError: The bytes are no fact this release knows.
    """
    try:
        return _event_decoder.decode(body)
    except msgspec.MsgspecError:
        return _lift(body)


def encode_record(record: Record) -> bytes:
    """Serialise a numbered fact."""
    return _encoder.encode(record)


def decode_record(body: bytes) -> Record:
    """Read a numbered fact of this release's own versions.

    Raises:
        StateCorruptionError: The bytes are no record this release knows.
    """
    try:
        return _record_decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise StateCorruptionError(f"A journal record cannot be read: {error}.") from error


def _lift(body: bytes) -> Event:
    try:
        raw = msgspec.msgpack.decode(body)
        while isinstance(raw, dict) and raw.get("t") in UPCASTERS:
            raw = UPCASTERS[raw["t"]](raw)
        lifted: Event = msgspec.convert(raw, Event, str_keys=True)
        return lifted
    except msgspec.MsgspecError as error:
        raise StateCorruptionError(
            f"A fact in the journal is not known to this release: {error}. A newer release may have written it."
        ) from error
