"""What accounts are worth, what that is compared with, and when it is journalled."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine import events as ev
from engine.model.ids import AccountId
from engine.model.valuation import VIEW
from engine.risk.periods import begin_facts, start_equity

if TYPE_CHECKING:
    from engine.model.entries import EquityEntry
    from engine.model.protections import ProtectionSettings
    from engine.risk.picture import Picture
    from engine.state import EngineState

__all__ = ["Equities", "EquityMemory", "Measured"]

NS_PER_S = 1_000_000_000
NS_PER_DAY = 86_400 * NS_PER_S
_PLACES = Decimal("0.00000001")
_PEAK_STEP = Decimal("1.001")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Equity now, and what it is compared with, in the account's base currency."""

    equity: Decimal
    peak: Decimal
    day_start: Decimal
    week_start: Decimal
    month_start: Decimal


class EquityMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered beside the state; times in UTC nanoseconds."""

    looked: int = -1
    seen: dict[AccountId, tuple[int, Decimal, Decimal, int]] = {}
    unknown_since: dict[AccountId, int] = {}


class _Seen(NamedTuple):
    """Equity at the last judgement, and what was journalled of it by then."""

    ts: int
    equity: Decimal
    recorded: Decimal
    recorded_ts: int


class _Glance(NamedTuple):
    """A look that was spared: what would have been seen follows from it."""

    ts: int
    fixed: Decimal
    units: Decimal
    mark: float
    recorded: Decimal
    recorded_ts: int


class Equities:
    """Values accounts; use it in the `VIEW` context, after the picture's `look`.

    Args:
        state: What the engine knows.
        picture: Values of the moment.
        settings: Where periods begin.
        record_every_ns: Marks and equity are journalled at most this often unless a breaker decides.
    """

    def __init__(
        self, state: EngineState, picture: Picture, settings: ProtectionSettings, record_every_ns: int
    ) -> None:
        self.settings = settings
        self._state = state
        self._picture = picture
        self._record_every_ns = record_every_ns
        self.looked = -1
        """When the breakers were last judged."""
        self._seen: dict[AccountId, _Seen] = {}
        self._glances: dict[AccountId, _Glance] = {}
        self.unknown_since: dict[AccountId, int] = {}
        """Since when accounts cannot be valued although something is held."""
        self.unknown: dict[AccountId, tuple[str, ...]] = {}
        """Accounts that could not be valued at the last look, with what has no price; entries are refused meanwhile."""

    def measure(self, account: AccountId, now: int) -> Measured | None:
        """What an account is worth and what that is compared with; None while a price is missing."""
        value = self._picture.equity(account)
        if not value.known:
            self.unknown[account] = value.missing
            return None
        self.unknown.pop(account, None)
        equity = value.value.quantize(_PLACES)
        entry = self._state.equity.get(account)
        # The first look of a period compares with the last equity of the one before.
        day, before = (equity, equity) if entry is None else self._starts(account, entry, now)
        state = self._state
        fresh = (account, "day") not in state.periods
        return Measured(
            equity=equity,
            peak=equity if entry is None else max(entry.peak, equity),
            day_start=start_equity(state, account, "day", day if fresh else before, now),
            week_start=start_equity(state, account, "week", before, now),
            month_start=start_equity(state, account, "month", before, now),
        )

    def _starts(self, account: AccountId, entry: EquityEntry, now: int) -> tuple[Decimal, Decimal]:
        """What the day began with as far as equity tells it, and the last equity that is known."""
        before = self._before(account, entry)[0]
        return (before if now // NS_PER_DAY > entry.day else entry.day_start), before

    def last(self, account: AccountId) -> Decimal | None:
        """Equity at the last judgement; None before the first, and while the account cannot be valued."""
        if account in self.unknown:
            return None
        self._settle(account)
        seen, entry = self._seen.get(account), self._state.equity.get(account)
        if seen is not None:
            return seen.equity
        return None if entry is None else entry.equity

    def begin_periods(self, account: AccountId, measured: Measured, now: int) -> list[ev.Event]:
        """Facts of the periods that have begun."""
        return begin_facts(self._state, account, measured, now, self.settings)

    def see(self, account: AccountId, equity: Decimal, now: int) -> None:
        """Remember what was judged: a period that begins later compares with it."""
        entry = self._state.equity.get(account)
        self._glances.pop(account, None)
        if entry is not None:
            self._seen[account] = _Seen(now, equity, entry.equity, entry.ts)

    def glance(self, account: AccountId, now: int, fixed: Decimal, units: Decimal, mark: float) -> None:
        """Remember a look that was spared because nothing follows from it.

        Args:
            account: Whose.
            now: UTC nanoseconds.
            fixed: What of its equity no price changes.
            units: What a price of one more adds.
            mark: The price.
        """
        entry = self._state.equity.get(account)
        if entry is not None:
            self._glances[account] = _Glance(now, fixed, units, mark, entry.equity, entry.ts)
        self.looked = now

    def _settle(self, account: AccountId) -> None:
        """Work out what a spared look would have seen."""
        glance = self._glances.pop(account, None)
        if glance is not None:
            equity = VIEW.fma(glance.units, Decimal(repr(glance.mark)), glance.fixed).quantize(_PLACES, context=VIEW)
            self._seen[account] = _Seen(glance.ts, equity, glance.recorded, glance.recorded_ts)

    def _before(self, account: AccountId, entry: EquityEntry) -> tuple[Decimal, int]:
        """The last equity that was looked at or journalled, whichever is later, and when."""
        self._settle(account)
        seen = self._seen.get(account)
        if seen is None or seen.recorded_ts != entry.ts:
            return entry.equity, entry.ts
        # Money that was moved since then has been added to what is journalled.
        return seen.equity + entry.equity - seen.recorded, seen.ts

    def due(
        self, account: AccountId, measured: Measured, now: int, *, decided: bool, moves: bool = True
    ) -> list[ev.Event]:
        """Marks and equity when they are to be journalled now, else nothing.

        Args:
            account: Whose.
            measured: Its value.
            now: UTC nanoseconds.
            decided: Whether a breaker decided on it.
            moves: Whether prices can change it.
        """
        entry, equity = self._state.equity.get(account), measured.equity
        if not decided and entry is not None and not self._is_due(entry, equity, now, moves):
            return []
        facts = [*self._marks(account, now), ev.EquityRecorded(account=account, equity=equity, ts=now)]
        if entry is not None and now // NS_PER_DAY > entry.day and measured.day_start != entry.equity:
            # The day begins with what the one before ended with, not with what happened to be journalled of it.
            _, ended = self._before(account, entry)
            facts.insert(0, ev.EquityRecorded(account=account, equity=measured.day_start, ts=ended))
        return facts

    def _is_due(self, entry: EquityEntry, equity: Decimal, now: int, moves: bool) -> bool:
        # A new peak is kept although the time has not come, or the drawdown from it would be measured too small.
        if now // NS_PER_DAY > entry.day or equity > entry.peak * _PEAK_STEP:
            return True
        if equity == entry.equity:
            return False
        # What a closed position has left behind is kept at once: it is what the next day begins with.
        return now // self._record_every_ns > self.looked // self._record_every_ns or not moves

    def _marks(self, account: AccountId, now: int) -> list[ev.Event]:
        facts: list[ev.Event] = []
        for (holder, instrument), position in self._state.positions.items():
            mark = self._picture.mark(instrument) if holder == account and position.lots else None
            if mark is not None:
                facts.append(ev.MarkRecorded(instrument=instrument, price=mark.quantize(_PLACES), ts=now))
        return facts

    def next_due(self, now: int) -> int:
        """When equity that prices change is to be journalled next, whatever it is by then."""
        return (now // self._record_every_ns + 1) * self._record_every_ns

    def peak_due(self, account: AccountId) -> Decimal | None:
        """Equity above which a new peak is journalled at once; None before any equity is."""
        entry = self._state.equity.get(account)
        return None if entry is None else entry.peak * _PEAK_STEP

    def moves(self, account: AccountId) -> bool:
        """True when prices can change the account's value."""
        base = self._state.accounts[account].base_currency
        for currency, balance in self._state.balances[account].items():
            if currency != base and balance.total:
                return True
        return any(holder == account and position.lots for (holder, _), position in self._state.positions.items())

    def save(self) -> EquityMemory:
        """What another process must know to go on judging as this one would."""
        for account in tuple(self._glances):
            self._settle(account)
        seen = {account: tuple(values) for account, values in self._seen.items()}
        return EquityMemory(looked=self.looked, seen=seen, unknown_since=dict(self.unknown_since))  # type: ignore[arg-type]

    def restore(self, memory: EquityMemory) -> None:
        """Go on from what another process remembered."""
        self.looked = memory.looked
        self._glances.clear()
        self._seen = {account: _Seen(*values) for account, values in memory.seen.items()}
        self.unknown_since = dict(memory.unknown_since)
