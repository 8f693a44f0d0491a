"""The watch over limits: what no order has crossed, a price, a loss or a stricter limit may have.

The gate keeps every order out that would add to what is above its limit; the watch tells that it is, once, and when it
is kept again. Nothing is sold because of it. A limit counts as kept again a little below itself, so that a price that
plays around it is not told of at every move.
"""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.logs import get_logger
from engine.model.decimals import ZERO
from engine.model.ids import AccountId, InstrumentId, symbol_of
from engine.model.valuation import VIEW
from engine.risk.ample import Ample
from engine.risk.exposure import Exposure, Measure, account_measures, is_strategy, measures
from engine.risk.words import amount, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.model.ids import Owner
    from engine.model.limits import RiskLimits
    from engine.resilience.caution import Caution
    from engine.risk.exposure import Grouping
    from engine.risk.picture import Picture
    from engine.state import EngineState

__all__ = ["COUNTS", "LimitWatch", "all_measures", "owners_of", "subject"]

log = get_logger(__name__)

HEALED_AT = Decimal("0.99")
"""Fraction of a limit at or below which one that was exceeded is kept again."""
PAUSE_A_LINE_NS, PAUSE_NS = 200_000, 20_000_000
"""Between two looks that market events ask for, by line that is held or ordered, and at most: a look takes some
hundredths of a millisecond a line, and the loop has other things to do."""
REFRESH_NS = 60_000_000_000
"""Between two times at which correlations are asked for."""
COUNTS = frozenset({"max_total_positions", "max_positions_per_strategy"})
"""Limits of numbers, not of money."""


class LimitWatch:
    """Looks at every limited sum and says what was crossed; `evaluate` returns the facts to record.

    Args:
        state: What the engine knows.
        picture: Values of the moment.
        limits: Gives the limits in force.
        grouping: Classes and clusters.
        caution: What is impaired.
        account: The one in whose currency the whole portfolio is measured.
    """

    def __init__(
        self,
        state: EngineState,
        picture: Picture,
        limits: Callable[[], RiskLimits],
        grouping: Grouping,
        caution: Caution,
        account: AccountId,
    ) -> None:
        self._state = state
        self._picture = picture
        self._limits = limits
        self._grouping = grouping
        self._caution = caution
        self._account = account
        self._quiet = -1
        """Fact up to which nothing was held, ordered or exceeded."""
        self._looked = self._asked = -REFRESH_NS
        self._seen, self._pause = -1, 0
        self._watched: frozenset[InstrumentId] = frozenset()
        self._ample = Ample()
        self._share: tuple[int, float] | None = None
        """What `Ample` told, with the fact it is of."""
        self._found: tuple[int, list[Measure]] | None = None
        """The sums of the last look with the fact they are of; None where some could not be told."""

    def fullest(self) -> float | None:
        """Largest part of a limit on money that is used since the last look, 0 where nothing is in play.

        None where that cannot be told, or where an order could turn a position over, so that a sum could grow while
        the price falls.
        """
        if self._state.seq == self._quiet:
            return 0.0
        if self._turns_over():
            return None
        if self._share is not None and self._share[0] == self._state.seq:
            return self._share[1]
        if self._found is None or self._found[0] != self._state.seq:
            return None
        shares = (float(one.used) / float(one.most) for one in self._found[1] if one.limit not in COUNTS and one.used)
        return max(shares, default=0.0)

    def _turns_over(self) -> bool:
        lines = self._picture.commitments.owned.values()
        return any(line.sells > line.quantity > ZERO or line.buys > -line.quantity > ZERO for line in lines)

    def due(self, instrument: InstrumentId, now: int) -> bool:
        """Whether a market event asks for a look: its price counts, and the last look is a moment ago."""
        return now - self._looked >= self._pause and instrument in self._in_play()

    def _in_play(self) -> frozenset[InstrumentId]:
        """What is held or ordered."""
        if self._seen != self._state.seq:
            self._picture.commitments.fresh()
            commitments = self._picture.commitments
            held = [key for (holder, key), line in commitments.lines.items() if commitments.in_play(holder, key, line)]
            self._watched, self._seen = frozenset(held), self._state.seq
            self._pause = min(len(held) * PAUSE_A_LINE_NS, PAUSE_NS)
        return self._watched

    def evaluate(self, now: int) -> tuple[ev.Event, ...]:
        """Look at all limits. Never raises: what cannot be valued is refused by the gate and shown as unknown."""
        if self._state.seq == self._quiet:
            return ()
        self._looked = now
        outer = decimal.getcontext()
        decimal.setcontext(VIEW)
        try:
            self._picture.look()
            if now - self._asked >= REFRESH_NS:
                self._asked = now
                self._grouping.clusters.refresh()
            if not self._in_play() and not self._state.breaches:
                self._quiet = self._state.seq
                return ()
            if self._is_ample():
                return ()
            return tuple(self._changes())
        except Exception:
            log.exception("limits could not be watched")
            return ()
        finally:
            decimal.setcontext(outer)

    def _is_ample(self) -> bool:
        """Whether nothing is exceeded, and nothing can be."""
        self._share = None
        if self._state.breaches:
            return False
        held, missing = self._picture.held(self._account)
        if missing:
            return False
        equity = self._picture.equity(self._account)
        share = self._ample.used(self._picture, self._account, held, equity, self._limits(), self._caution.factor)
        if share is not None:
            self._share = (self._state.seq, share)
        return share is not None

    def _changes(self) -> Iterator[ev.Event]:
        found, unknown = all_measures(
            self._picture, self._limits(), self._grouping, self._caution.factor, self._account
        )
        self._found = None if unknown else (self._state.seq, found)
        open_now = self._state.breaches
        seen = set()
        for measure in found:
            key = (measure.limit, measure.scope)
            seen.add(key)
            if key not in open_now:
                if measure.broken:
                    yield self._breached(measure)
            elif measure.used <= (measure.most if measure.limit in COUNTS else measure.most * HEALED_AT):
                yield self._healed(measure)
        if not unknown:
            for (limit, scope), entry in tuple(open_now.items()):
                if (limit, scope) not in seen:
                    yield self._healed(Measure(limit, scope, ZERO, entry.most))

    def _breached(self, measure: Measure) -> ev.LimitBreached:
        limit, scope, used, most = measure
        words = f"{subject(limit, scope)}: {self._figure(measure, used)}, above the limit of "
        words += f"{self._figure(measure, most)}; nothing is added there until it is kept again."
        return ev.LimitBreached(limit=limit, scope=scope, used=used, most=most, reason=words)

    def _healed(self, measure: Measure) -> ev.LimitHealed:
        limit, scope, used, most = measure
        words = f"{subject(limit, scope)}: {self._figure(measure, used)}, within the limit of "
        words += f"{self._figure(measure, most)} again."
        return ev.LimitHealed(limit=limit, scope=scope, used=used, most=most, reason=words)

    def _figure(self, measure: Measure, value: Decimal) -> str:
        if measure.limit in COUNTS:
            return plain(value)
        account = self._state.accounts.get(AccountId(measure.scope.partition("|")[0]))
        return amount(value, (account or self._state.accounts[self._account]).base_currency)


def all_measures(
    picture: Picture, limits: RiskLimits, grouping: Grouping, position_factor: Decimal, account: AccountId
) -> tuple[list[Measure], bool]:
    """Every limited sum there is, and whether some could not be told; in the `VIEW` context, after a `look`.

    Args:
        picture: Values of the moment.
        limits: Those in force.
        grouping: Classes and clusters.
        position_factor: What the largest position is multiplied with while trading with care.
        account: In whose currency the whole portfolio is measured; single accounts are in their own.
    """
    found: list[Measure] = []
    owners = owners_of(picture)
    found.append(_count("max_total_positions", "", len(picture.positions()), limits.max_total_positions))
    for owner in owners:
        most = limits.max_positions_per_strategy
        found.append(_count("max_positions_per_strategy", owner, len(picture.positions_of(owner)), most))
    unknown = False
    for one in picture.state.accounts:
        if one in picture.absent or one in picture.doubtful:
            unknown = unknown or one not in picture.absent
            continue
        exposure = Exposure(picture, one, grouping)
        if one == account:
            if exposure.missing:
                unknown = True
            else:
                found += measures(exposure, limits, owners)
        # What other accounts lack a price for says nothing about this one.
        if exposure.equity.known and not picture.held(one)[1]:
            found += account_measures(exposure, limits, position_factor)
        else:
            unknown = True
    return found, unknown


def owners_of(picture: Picture) -> tuple[Owner, ...]:
    """The strategies that hold or order something."""
    lines = picture.commitments.owned.items()
    return tuple(
        dict.fromkeys(
            owner for (owner, _, _), line in lines if is_strategy(owner) and (line.quantity or line.buys or line.sells)
        )
    )


def _count(limit: str, scope: str, used: int, most: int) -> Measure:
    return Measure(limit, scope, Decimal(used), Decimal(most))


def subject(limit: str, scope: str) -> str:
    """What a limit is measured of, as the beginning of a sentence or a label."""
    account, _, instrument = scope.partition("|")
    words = {
        "max_position_size_pct": f"The position of {account} in {symbol_of(InstrumentId(instrument))}",
        "max_total_positions": "The number of positions",
        "max_positions_per_strategy": f"The number of positions of {scope}",
        "max_portfolio_exposure": "All positions together",
        "max_account_exposure": f"All positions of the account {scope}",
        "max_venue_exposure": f"All positions at {scope}",
        "max_strategy_exposure": f"All positions of {scope}",
        "max_class_exposure": f"All positions in the asset class {scope}",
        "max_currency_exposure": f"What depends on {scope}",
        "max_correlated_exposure": "The positions that move together",
        "max_concentration": "The three largest positions together",
    }
    return words.get(limit, limit)
