"""While nothing is booked, for how long and between which prices risk would book nothing either.

With one account in one market everything that risk compares follows from one price: between two facts equity is a
straight line of it, and no limited sum grows faster than it. So one look tells a range of prices and a time within
which breakers, periods, journalled marks and limits all stay as they are; a look inside is only remembered.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from engine.model.instrument import InstrumentKind
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from engine.model.ids import AccountId
    from engine.model.instrument import Instrument
    from engine.risk.department import RiskDepartment
    from engine.state import EngineState

__all__ = ["Calm", "CalmFinder"]

_SURE = 1e-9
"""Part of a price or an equity by which a range is narrower than it might be: nearer than that is looked at exactly."""
_STEP = 1e-7
"""The same in units of money, above the digits to which equity is rounded."""


class Calm(NamedTuple):
    """As long as no fact is booked, a tick before `until` at a price between `low` and `high` books nothing."""

    seq: int
    """The last fact before it."""
    until: int
    """UTC nanoseconds."""
    low: float
    high: float
    account: AccountId
    fixed: Decimal
    """What of the account's equity no price changes."""
    units: Decimal
    """What a price of one more adds to it."""
    valued: bool
    """Whether a tick would value the account at all."""


class CalmFinder:
    """Finds how long risk stays calm, and keeps its memory right meanwhile.

    Args:
        state: What the engine knows.
        risk: The department whose ticks are spared.
    """

    def __init__(self, state: EngineState, risk: RiskDepartment) -> None:
        self._state = state
        self._risk = risk

    def after(self, now: int) -> Calm | None:
        """The calm that follows on a tick at `now` (UTC nanoseconds); None where every tick must be taken."""
        state, risk = self._state, self._risk
        if len(state.accounts) != 1 or len(state.instruments) != 1 or state.locks or state.breaches:
            return None
        (account,), (instrument,) = state.accounts, state.instruments.values()
        picture = risk.picture
        if account in picture.absent or account in picture.doubtful or any(not stop.done for stop in risk.stops):
            return None
        picture.look()
        value, units = picture.equity(account), self._units(account, instrument)
        if units is None or not value.known:
            return None
        found = risk.breakers.calm(account, value.value, now, moves=bool(units))
        if found is None:
            return None
        floor, ceiling, until = found
        mark = picture.mark(instrument.id)
        if mark is None:
            return None
        bounds = self._prices(float(mark), float(value.value), float(units), floor, ceiling)
        if bounds is None:
            return None
        fixed = VIEW.fma(-units, mark, value.value)
        return Calm(state.seq, until, *bounds, account, fixed, units, not risk.breakers.is_quiet(now))

    def glance(self, calm: Calm, now: int, mark: float) -> None:
        """Remember a tick that was spared, as if it had been taken at a mark."""
        equities = self._risk.breakers.equities
        if calm.valued:
            equities.glance(calm.account, now, calm.fixed, calm.units, mark)
        else:
            equities.looked = now

    def _units(self, account: AccountId, instrument: Instrument) -> Decimal | None:
        """How equity follows the price; None where more than the one price moves it."""
        state = self._state
        base = state.accounts[account].base_currency
        if instrument.quote != base or instrument.settle != base:
            return None
        units = Decimal(0)
        for currency, balance in state.balances[account].items():
            if currency == instrument.base:
                units += balance.total
            elif currency != base and balance.total:
                return None
        position = state.positions.get((account, instrument.id))
        if instrument.kind is InstrumentKind.LINEAR_PERPETUAL and position is not None:
            units += position.quantity * instrument.multiplier
        return units

    def _prices(
        self, mark: float, equity: float, units: float, floor: float, ceiling: float
    ) -> tuple[float, float] | None:
        """Prices between which equity stays between two values and every limit is kept."""
        room = self._room(mark, equity, units)
        if room <= 0 or equity <= 0:
            return None
        # Where nothing is in play no price matters.
        low, high = (-math.inf, math.inf) if math.isinf(room) else (mark * (1 - room), mark * (1 + room))
        if units:
            sure = _STEP + _SURE * equity
            ends = ((floor + sure - equity) / units + mark, (ceiling - sure - equity) / units + mark)
            low, high = max(low, min(ends)), min(high, max(ends))
        if math.isfinite(mark):
            low, high = low + _SURE * mark, high - _SURE * mark
        return (low, high) if low < mark < high else None

    def _room(self, mark: float, equity: float, units: float) -> float:
        """How far, as a fraction, the price may go either way without a limit being crossed.

        A limited sum grows at most like the price, and its limit like equity, which loses at most what is held times
        the fall: (1 + r) used <= most (1 - r x), with x the part of equity that is held.
        """
        share = self._risk.watch.fullest()
        if share is None:
            return -1.0
        if not share:
            return math.inf
        held = abs(units * mark) / equity if equity > 0 else math.inf
        return (1 - share) / (share + held)
