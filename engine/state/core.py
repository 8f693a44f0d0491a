"""The state and its fold: `EngineState.apply` is the only way anything the engine knows changes.

`apply` is deterministic and in place: no await, no clock, no random, no input or output. It adds, subtracts and
multiplies in one exact decimal context. What is open is kept whole, what is closed as running sums and a bounded
number of recent orders, so that state and snapshots stay small.
"""

from __future__ import annotations

import decimal
import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.errors import StateConsistencyError, StateCorruptionError
from engine.model.account import Account, Balance
from engine.model.adaptation import AdaptedEntry
from engine.model.algos import Parent
from engine.model.bot_facts import RestartEntry
from engine.model.capital import CapitalEntry, TransferEntry
from engine.model.decimals import EXACT
from engine.model.entries import (
    BotEntry,
    BreakerEntry,
    EquityEntry,
    ExitEntry,
    Forgotten,
    HaltEntry,
    LockEntry,
    MarkEntry,
    Moved,
    Opening,
    PeakEntry,
    PeriodEntry,
    Sums,
    TradingState,
)
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, ParentId
from engine.model.instrument import Instrument
from engine.model.limit_facts import BreachEntry
from engine.model.margin import UNLEVERED, MarginSetting
from engine.model.order import Order
from engine.model.position import Position
from engine.model.regime import RegimeEntry
from engine.model.risk_metrics import DayEquity
from engine.state import (
    breaches,
    capital,
    derivatives,
    guards,
    measured,
    money,
    orders,
    parents,
    quality,
    registers,
    supervision,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.model.fill import Fill

__all__ = ["ENGINE_SCOPE", "EngineState"]

ENGINE_SCOPE = "engine"
_CHUNK = 100
_HANDLERS = {
    **money.HANDLERS,
    **derivatives.HANDLERS,
    **orders.HANDLERS,
    **registers.HANDLERS,
    **guards.HANDLERS,
    **measured.HANDLERS,
    **capital.HANDLERS,
    **parents.HANDLERS,
    **quality.HANDLERS,
    **breaches.HANDLERS,
    **supervision.HANDLERS,
}

_encode = msgspec.msgpack.Encoder(decimal_format="string", order="deterministic").encode


class Meta(msgspec.Struct):
    """Where the fold stands."""

    seq: int = 0
    ts: int = 0
    epoch: int = 0
    instance: str = ""
    limits: bytes = b""
    """Validated JSON of the risk limits; empty before the first change."""
    client_orders: int = 0
    """Intents booked in all time."""


class EngineState:
    """Everything the engine knows about money, orders, bots, limits and halts.

    Readers may look at any attribute; only `apply` may change them.
    """

    def __init__(self) -> None:
        self.meta = Meta()
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.accounts: dict[AccountId, Account] = {}
        self.balances: dict[AccountId, dict[Currency, Balance]] = {}
        self.orders: dict[ClientOrderId, Order] = {}
        """Open orders."""
        self.recent: dict[ClientOrderId, Order] = {}
        """The last ended orders, oldest first, at most RECENT_ORDERS."""
        self.positions: dict[tuple[AccountId, InstrumentId], Position] = {}
        """Whole accounts' positions."""
        self.owned: dict[tuple[Owner, AccountId, InstrumentId], Position] = {}
        """Each owner's part of the positions."""
        self.sums: dict[tuple[AccountId, Currency], Sums] = {}
        self.owner_sums: dict[tuple[Owner, Currency], Sums] = {}
        self.bots: dict[Owner, BotEntry] = {}
        self.restarts: dict[Owner, RestartEntry] = {}
        """Failed bots that are to be brought back, or were too often."""
        self.halts: dict[str, HaltEntry] = {}
        """Trading state by scope; a missing scope is ACTIVE."""
        self.breakers: dict[tuple[str, str], BreakerEntry] = {}
        """Breakers that are not closed by (breaker, scope)."""
        self.periods: dict[tuple[AccountId, str], PeriodEntry] = {}
        """Where the loss of each account's day, week and month is measured from."""
        self.peaks: dict[AccountId, list[PeakEntry]] = {}
        """The highest equity of every hour or so, oldest first, where a lock looks at it."""
        self.locks: dict[str, LockEntry] = {}
        """Locks by id."""
        self.exits: dict[int, ExitEntry] = {}
        """The last ended trades by the number of the fact before, oldest first."""
        self.trade_totals: dict[tuple[Owner, AccountId, InstrumentId], Decimal] = {}
        """What all ended trades of an owner in an instrument came to, after fees and funding."""
        self.marks: dict[InstrumentId, MarkEntry] = {}
        self.equity: dict[AccountId, EquityEntry] = {}
        self.external_orders: dict[str, ev.ExternalOrderSeen] = {}
        self.external_fills: dict[str, int] = {}
        """Natural keys of the last external fills."""
        self.forgotten: dict[AccountId, Forgotten] = {}
        """Executions of orders that are not remembered any more, which the venue may still tell of."""
        self.cursors: dict[AccountId, str] = {}
        """Up to where each account's executions at the venue are known to be booked."""
        self.openings: dict[AccountId, Opening] = {}
        """Which executions are part of an account's opening balance; missing in journals of earlier releases."""
        self.requests: dict[str, int] = {}
        """Ids of the last mutating requests with the time (UTC nanoseconds) at which each was begun, oldest first."""
        self.margins: dict[tuple[AccountId, InstrumentId], MarginSetting] = {}
        """Leverage and margin mode where something else than the default was set."""
        self.wishes: dict[tuple[AccountId, InstrumentId], MarginSetting] = {}
        """Leverage and margin mode that are wanted where the venue was found to hold something else."""
        self.moved: dict[tuple[AccountId, InstrumentId], list[Moved]] = {}
        """Changes of positions in derivatives since funding was last paid for them, oldest first, the last few."""
        self.payments: dict[str, int] = {}
        """Ids of the last funding payments with their time, oldest first."""
        self.funding_cursors: dict[AccountId, str] = {}
        """Up to where each account's funding at the venue is known to be booked."""
        self.regimes: dict[tuple[str, str], RegimeEntry] = {}
        """Market regimes in force by (kind, scope)."""
        self.adapted: dict[tuple[str, str], AdaptedEntry] = {}
        """Sizes, limits and stops that differ from what is set, by (name, scope)."""
        self.equity_days: dict[int, DayEquity] = {}
        """What all accounts were worth at the end of each of the last UTC days (and are worth today), oldest first."""
        self.deposits_seen: dict[Currency, Decimal] = {}
        """Net sums that had come in from outside when risk was measured last."""
        self.stress_tests: dict[int, ev.StressTested] = {}
        """The last stress test of each of the last UTC days, oldest first."""
        self.capital: dict[AccountId, CapitalEntry] = {}
        """Reserve, locked profit and the course of the pools of each account; missing before anything is kept."""
        self.transfers: dict[str, TransferEntry] = {}
        """Planned transfers that have not arrived, by id."""
        self.breaches: dict[tuple[str, str], BreachEntry] = {}
        """Limits that are exceeded, by (limit, what of)."""
        self.oco: dict[str, list[ClientOrderId]] = {}
        """Open members of each OCO group; derived from `orders`."""
        self.parents: dict[ParentId, Parent] = {}
        """Parent orders that have not ended."""
        self.ended_parents: dict[ParentId, Parent] = {}
        """The last ended ones, oldest first."""
        self.mark_outs: dict[str, quality.AwaitedMark] = {}
        self.families: dict[ParentId, list[ClientOrderId]] = {}
        """Open orders of each parent, oldest first; derived from `orders`."""

    @property
    def seq(self) -> int:
        """Number of the last applied fact; 0 before the first."""
        return self.meta.seq

    # --- reading -----------------------------------------------------------------------------------------------------

    def order(self, client_id: ClientOrderId) -> Order | None:
        """An open or recently ended order."""
        return self.orders.get(client_id) or self.recent.get(client_id)

    def balance(self, account: AccountId, currency: Currency) -> Balance:
        """A balance; a zero one that is not part of the state when the currency is unknown."""
        found = self.balances.get(account, {}).get(currency)
        return found if found is not None else Balance(currency=currency)

    def position(self, account: AccountId, instrument: InstrumentId) -> Position | None:
        """The account's whole position; None when it never had one."""
        return self.positions.get((account, instrument))

    def margin(self, account: AccountId, instrument: InstrumentId) -> MarginSetting:
        """Leverage and margin mode of an account in a derivative, as the venue was last known to hold them."""
        return self.margins.get((account, instrument), UNLEVERED)

    def wanted_margin(self, account: AccountId, instrument: InstrumentId) -> MarginSetting:
        """Leverage and margin mode that somebody here has chosen; isolated and unlevered where nobody has."""
        return self.wishes.get((account, instrument)) or self.margin(account, instrument)

    def owned_at(self, account: AccountId, instrument: InstrumentId, ts: int) -> dict[Owner, Decimal]:
        """What each owner held of a derivative at a time after the last funding payment, in signed contracts."""
        later = [moved for moved in self.moved.get((account, instrument), ()) if moved.ts > ts]
        held = {
            owner: position.quantity
            for (owner, holder, what), position in self.owned.items()
            if holder == account and what == instrument
        }
        for moved in later:
            held[moved.owner] -= moved.quantity
        return {owner: quantity for owner, quantity in held.items() if quantity}

    def trading_state(self, scope: str = ENGINE_SCOPE) -> TradingState:
        """The trading state of a scope."""
        halt = self.halts.get(scope)
        return halt.state if halt is not None else TradingState.ACTIVE

    def has_fill(self, fill: Fill) -> bool:
        """True when this very execution is in the books already (as far as the venue may still tell of it).

        It is booked, or part of the opening balance, as nothing is that an order of these books has done.
        """
        order, opening = self.order(fill.client_id), self.openings.get(fill.account)
        if order is not None and fill.key in order.fill_keys:
            return True
        if order is None and opening is not None and opening.holds(fill):
            return True
        return fill.key in self.external_fills or self.is_forgotten(fill)

    def is_forgotten(self, fill: Fill) -> bool:
        """True for a booked execution of an order that is not remembered any more, until the venue was asked twice."""
        forgotten = self.forgotten.get(fill.account)
        return forgotten is not None and (fill.key in forgotten.fresh or fill.key in forgotten.older)

    def siblings(self, order: Order) -> list[Order]:
        """The other open orders of an order's OCO group."""
        if order.oco_group is None:
            return []
        ids = self.oco.get(order.oco_group, [])
        return [self.orders[i] for i in ids if i != order.client_id and i in self.orders]

    def parent(self, parent: ParentId | None) -> Parent | None:
        """A parent order that is open or ended recently."""
        if parent is None:
            return None
        return self.parents.get(parent) or self.ended_parents.get(parent)

    def children(self, parent: ParentId) -> list[Order]:
        """The open orders of a parent, oldest first."""
        return [self.orders[child] for child in self.families.get(parent, ())]

    # --- the fold ----------------------------------------------------------------------------------------------------

    def apply(self, record: ev.Record) -> None:
        """Fold one fact.

        Raises:
            StateConsistencyError: The number does not follow, or the fact contradicts what is known; nothing changed.
            IllegalTransitionError: An order cannot make the move; nothing changed.
        """
        meta = self.meta
        if record.seq != meta.seq + 1:
            raise StateConsistencyError(f"Fact {record.seq} cannot follow fact {meta.seq}; the journal has a gap.")
        if record.epoch < meta.epoch:
            raise StateConsistencyError(f"Fact {record.seq} is of epoch {record.epoch}, older than {meta.epoch}.")
        handler = _HANDLERS.get(type(record.event))
        if handler is not None:
            outer = decimal.getcontext()
            decimal.setcontext(EXACT)
            try:
                handler(self, record.event, record.ts)
            finally:
                decimal.setcontext(outer)
        meta.seq = record.seq
        meta.ts = record.ts
        meta.epoch = record.epoch

    # --- snapshots ---------------------------------------------------------------------------------------------------

    def sections(self, without: tuple[str, ...] = ()) -> Iterator[tuple[str, bytes]]:
        """Canonical encoding in small pieces (at most 100 entries each); the state must not change meanwhile.

        Args:
            without: Sections to leave out.

        Yields:
            (section name, bytes) in a fixed order; equal states yield equal pieces.
        """
        yield "meta", _encode(self.meta)
        for name in _MAPS:
            if name in without:
                continue
            mapping: dict[Any, Any] = getattr(self, name)
            chunk: list[tuple[Any, Any]] = []
            for item in mapping.items():
                chunk.append(item)
                if len(chunk) == _CHUNK:
                    yield name, _encode(chunk)
                    chunk = []
            if chunk:
                yield name, _encode(chunk)

    @classmethod
    def from_sections(cls, sections: Iterable[tuple[str, bytes]]) -> EngineState:
        """Build a state from its pieces.

        Raises:
            StateCorruptionError: A piece is unknown or cannot be read.
        """
        state = cls()
        try:
            for name, body in sections:
                if name == "meta":
                    state.meta = msgspec.msgpack.decode(body, type=Meta)
                else:
                    getattr(state, name).update(msgspec.msgpack.decode(body, type=_MAPS[name]))
        except (msgspec.MsgspecError, KeyError) as error:
            raise StateCorruptionError(f"A snapshot of the engine's state cannot be read: {error}.") from error
        for order in state.orders.values():
            if order.oco_group is not None:
                state.oco.setdefault(order.oco_group, []).append(order.client_id)
            parents.join(state, order)
        return state

    def state_hash(self) -> str:
        """Hex digest over all sections; equal for equal histories."""
        digest = hashlib.blake2b(digest_size=16)
        for name, body in self.sections():
            digest.update(name.encode())
            digest.update(body)
        return digest.hexdigest()


_MAPS: dict[str, Any] = {
    "instruments": list[tuple[InstrumentId, Instrument]],
    "accounts": list[tuple[AccountId, Account]],
    "balances": list[tuple[AccountId, dict[Currency, Balance]]],
    "orders": list[tuple[ClientOrderId, Order]],
    "recent": list[tuple[ClientOrderId, Order]],
    "positions": list[tuple[tuple[AccountId, InstrumentId], Position]],
    "owned": list[tuple[tuple[Owner, AccountId, InstrumentId], Position]],
    "sums": list[tuple[tuple[AccountId, Currency], Sums]],
    "owner_sums": list[tuple[tuple[Owner, Currency], Sums]],
    "bots": list[tuple[Owner, BotEntry]],
    "restarts": list[tuple[Owner, RestartEntry]],
    "halts": list[tuple[str, HaltEntry]],
    "breakers": list[tuple[tuple[str, str], BreakerEntry]],
    "periods": list[tuple[tuple[AccountId, str], PeriodEntry]],
    "peaks": list[tuple[AccountId, list[PeakEntry]]],
    "locks": list[tuple[str, LockEntry]],
    "exits": list[tuple[int, ExitEntry]],
    "trade_totals": list[tuple[tuple[Owner, AccountId, InstrumentId], Decimal]],
    "marks": list[tuple[InstrumentId, MarkEntry]],
    "equity": list[tuple[AccountId, EquityEntry]],
    "external_orders": list[tuple[str, ev.ExternalOrderSeen]],
    "external_fills": list[tuple[str, int]],
    "forgotten": list[tuple[AccountId, Forgotten]],
    "cursors": list[tuple[AccountId, str]],
    "openings": list[tuple[AccountId, Opening]],
    "requests": list[tuple[str, int]],
    "margins": list[tuple[tuple[AccountId, InstrumentId], MarginSetting]],
    "wishes": list[tuple[tuple[AccountId, InstrumentId], MarginSetting]],
    "moved": list[tuple[tuple[AccountId, InstrumentId], list[Moved]]],
    "payments": list[tuple[str, int]],
    "funding_cursors": list[tuple[AccountId, str]],
    "breaches": list[tuple[tuple[str, str], BreachEntry]],
    "regimes": list[tuple[tuple[str, str], RegimeEntry]],
    "adapted": list[tuple[tuple[str, str], AdaptedEntry]],
    "equity_days": list[tuple[int, DayEquity]],
    "deposits_seen": list[tuple[Currency, Decimal]],
    "stress_tests": list[tuple[int, ev.StressTested]],
    "capital": list[tuple[AccountId, CapitalEntry]],
    "transfers": list[tuple[str, TransferEntry]],
    "parents": list[tuple[ParentId, Parent]],
    "ended_parents": list[tuple[ParentId, Parent]],
    "mark_outs": list[tuple[str, quality.AwaitedMark]],
}
