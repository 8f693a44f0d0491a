"""What positions and open orders can come to: every open order counted as filled at its worst allowed price.

A position is worth its quantity at the mark. An open order is worth its quantity at the mark or at the worst price it
may fill at with its fee, whichever is more, so that a limit that holds when it is sent still holds when it is filled.
On spot only what is bought counts; in derivatives owners may stand against each other and each may leave at any time,
so the longs, or the shorts, count alone, whichever come to more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.model.decimals import ONE, ZERO
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.order import OrderSide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from decimal import Decimal

    from engine.model.commitments import Commitments, Line, Overlay, Working
    from engine.model.ids import AccountId, Currency, InstrumentId, Owner
    from engine.model.valuation import Rates
    from engine.state import EngineState

__all__ = ["HeldLine", "HeldLines", "Sides"]


class Sides(NamedTuple):
    """One line in one currency."""

    net: Decimal
    """Signed value of what is held."""
    buys: Decimal
    """Value of all open buy orders."""
    sells: Decimal
    """Value of all open sell orders."""
    long: Decimal
    """Most that may be held long."""
    short: Decimal
    """Most that may be held short, never negative; always 0 on spot."""

    @property
    def value(self) -> Decimal:
        """The larger of both."""
        return max(self.long, self.short)

    def times(self, rate: Decimal) -> Sides:
        """The same in another currency."""
        net, buys, sells, long, short = self
        return Sides(net * rate, buys * rate, sells * rate, long * rate, short * rate)


class HeldLine(NamedTuple):
    """What one account can come to hold in one instrument."""

    account: AccountId
    instrument: Instrument
    sides: Sides
    value: Decimal
    """The larger of both sides, in the currency that was asked for."""
    floats: tuple[float, float]
    """Long and short as binary numbers, for what is only compared roughly at first."""

    @classmethod
    def of(cls, account: AccountId, instrument: Instrument, sides: Sides) -> HeldLine:
        """With its value."""
        return cls(account, instrument, sides, sides.value, (float(sides.long), float(sides.short)))

    def times(self, rate: Decimal) -> HeldLine:
        """The same in another currency."""
        return self if rate == ONE else HeldLine.of(self.account, self.instrument, self.sides.times(rate))


class HeldLines:
    """Values lines, and remembers them while neither line nor mark has changed; use it in the `VIEW` context.

    Args:
        state: What the engine knows.
        commitments: The sums; call `fresh` before asking.
        mark: Present mark prices.
        rates: Conversions.
    """

    def __init__(
        self,
        state: EngineState,
        commitments: Commitments,
        mark: Callable[[InstrumentId], Decimal | None],
        rates: Rates,
    ) -> None:
        self._state = state
        self._commitments = commitments
        self._mark = mark
        self._rates = rates
        self._known: dict[tuple[AccountId, InstrumentId], tuple[Line, int, Decimal, Sides]] = {}
        self._held: dict[tuple[AccountId, InstrumentId], tuple[Line, int, Decimal, Decimal, HeldLine | None]] = {}

    def sides(self, account: AccountId, instrument: Instrument, mark: Decimal, overlay: Overlay | None = None) -> Sides:
        """One account's line in quote currency.

        Args:
            account: Whose.
            instrument: In what.
            mark: Its price.
            overlay: What an order that is not booked would change.
        """
        key = (account, instrument.id)
        line = self._commitments.line(*key)
        known = self._known.get(key) if overlay is None else None
        if known is not None and known[0] is line and known[1] == line.version and known[2] == mark:
            return known[3]
        price = mark * instrument.multiplier
        if instrument.kind is InstrumentKind.SPOT:
            found = _of_spot(line.quantity, _with(line, overlay), price)
        else:
            found = self._of_derivative(key, overlay or {}, price)
        if overlay is None:
            self._known[key] = (line, line.version, mark, found)
        return found

    def own(
        self, owner: Owner, account: AccountId, instrument: Instrument, mark: Decimal, overlay: Overlay | None = None
    ) -> Sides:
        """One owner's part of a line in quote currency."""
        line = self._commitments.own(owner, account, instrument.id)
        price, working = mark * instrument.multiplier, _with(line, overlay)
        if instrument.kind is InstrumentKind.SPOT:
            return _of_spot(line.quantity, working, price)
        return _of_owner(line.quantity, working, price)

    def _of_derivative(self, key: tuple[AccountId, InstrumentId], overlay: Overlay, price: Decimal) -> Sides:
        total = Sides(ZERO, ZERO, ZERO, ZERO, ZERO)
        parts = dict(self._commitments.parts(*key))
        changed = {unit.owner for unit in overlay}
        for owner in (*parts, *(owner for owner in changed if owner not in parts)):
            line = self._commitments.own(owner, *key)
            mine = {unit: value for unit, value in overlay.items() if unit.owner == owner} if owner in changed else None
            part = _of_owner(line.quantity, _with(line, mine), price)
            total = Sides(*(one + other for one, other in zip(total, part, strict=True)))
        return total

    def lines(
        self,
        account: AccountId,
        base: Currency,
        *,
        last: Callable[[Instrument], Decimal | None] | None = None,
    ) -> tuple[list[HeldLine], list[str]]:
        """Everything that an account can come to hold, in a currency, and the instruments that have no price.

        Args:
            account: Whose.
            base: In what it is valued.
            last: Gives the last known price where there is no present one; None to do without.
        """
        found: list[HeldLine] = []
        missing: list[str] = []
        instruments, find, known = self._state.instruments, self._mark, self._held
        for key, line in self._commitments.by_account.get(account, {}).items():
            if not self._commitments.in_play(account, key, line):
                continue
            instrument, mark = instruments[key], find(key)
            rate = ONE if instrument.quote == base else self._rates.rate(instrument.quote, base, instrument.venue)
            if mark is None and last is not None:
                mark = last(instrument)
            if mark is None or rate is None:
                missing.append(key)
                continue
            held = known.get((account, key))
            if held is None or held[0] is not line or held[1] != line.version or held[2] != mark or held[3] != rate:
                sides = self.sides(account, instrument, mark)
                one = HeldLine.of(account, instrument, sides).times(rate)
                held = known[account, key] = line, line.version, mark, rate, one if any(one.sides) else None
            if held[4] is not None:
                found.append(held[4])
        return found, missing


def _with(line: Line, overlay: Overlay | None) -> Iterable[Working]:
    if not overlay:
        return line.working_units.values()
    return _laid_over(line, overlay)


def _laid_over(line: Line, overlay: Overlay) -> Iterator[Working]:
    for unit, working in line.working_units.items():
        if unit not in overlay:
            yield working
    for changed in overlay.values():
        if changed is not None:
            yield changed


def _open(working: Iterable[Working], price: Decimal) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Open quantity, and what it is worth beyond the price, of buys and of sells."""
    buys = sells = above_buys = above_sells = ZERO
    for side, quantity, worst in working:
        if side is OrderSide.BUY:
            buys += quantity
            if worst > price:
                above_buys += quantity * (worst - price)
        else:
            sells += quantity
            if worst > price:
                above_sells += quantity * (worst - price)
    return buys, sells, above_buys, above_sells


def _of_spot(quantity: Decimal, working: Iterable[Working], price: Decimal) -> Sides:
    buys, sells, above, _ = _open(working, price)
    # Below zero it is a sale of deposited coins and counts as flat.
    most = max(quantity + buys, ZERO)
    return Sides(quantity * price, buys * price + above, sells * price, most * price + above if most else ZERO, ZERO)


def _of_owner(quantity: Decimal, working: Iterable[Working], price: Decimal) -> Sides:
    buys, sells, above_buys, above_sells = _open(working, price)
    longs, shorts = max(quantity + buys, ZERO), max(sells - quantity, ZERO)
    return Sides(
        quantity * price,
        buys * price + above_buys,
        sells * price + above_sells,
        longs * price + above_buys if longs else ZERO,
        shorts * price + above_sells if shorts else ZERO,
    )
