"""The recovery procedure: what is looked at, step by step, before trading may resume."""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING

import msgspec

from engine.errors import QuarterdeckError
from engine.model.order import OrderStatus
from engine.model.risk import BREAKER_FIELDS
from engine.model.valuation import VIEW
from engine.risk.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from engine.model.limits import RiskLimits
    from engine.risk.picture import Picture
    from engine.risk.uses import LimitUse
    from engine.state import EngineState

__all__ = ["RecoveryCheck", "RecoveryStep"]

_RATES = frozenset({"max_orders_per_second", "max_orders_per_minute"})
WHOLE = Scope()


class RecoveryStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the procedure."""

    name: str
    """connectivity, positions, balances, limits or breakers."""
    problems: tuple[str, ...]
    """What speaks against trading, as sentences; empty when the step has passed."""


class RecoveryCheck:
    """Goes through the steps; nothing is changed.

    Args:
        state: What the engine knows.
        picture: Values of the moment.
        limits: Gives the limits in force.
        uses: Gives the use of every limit.
        absent: Gives what cannot be reached, as sentences.
    """

    def __init__(
        self,
        state: EngineState,
        picture: Picture,
        limits: Callable[[], RiskLimits],
        uses: Callable[[], Sequence[LimitUse]],
        absent: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.absent = absent
        self._state = state
        self._picture = picture
        self._limits = limits
        self._uses = uses

    def steps(self, scope: Scope, now: int) -> tuple[RecoveryStep, ...]:
        """All steps in their order.

        Args:
            scope: What is to trade again.
            now: UTC nanoseconds.
        """
        return (
            RecoveryStep(name="connectivity", problems=tuple(self._connectivity(now))),
            RecoveryStep(name="positions", problems=tuple(self._positions(scope))),
            RecoveryStep(name="balances", problems=tuple(self._balances())),
            RecoveryStep(name="limits", problems=tuple(self._exceeded())),
            RecoveryStep(name="breakers", problems=tuple(self._breakers()) if scope == WHOLE else ()),
        )

    def _connectivity(self, now: int) -> Iterator[str]:
        yield from self.absent()
        self._picture.look()
        quotes = [self._picture.quote(instrument) for instrument in self._state.instruments]
        try:
            oldest = self._limits().stale_market_ns
        except QuarterdeckError:
            # The step of the limits says so.
            return
        if not any(quote is not None and now - quote.ts <= oldest for quote in quotes):
            yield "No market has been heard lately; wait for the connection."

    def _positions(self, scope: Scope) -> Iterator[str]:
        for order in self._state.orders.values():
            covered = scope.covers(self._state, order.owner, order.account, order.instrument)
            if order.status is OrderStatus.UNKNOWN and covered:
                yield f"What became of the order {order.client_id} is not known yet."

    def _balances(self) -> Iterator[str]:
        for account, balances in self._state.balances.items():
            for balance in balances.values():
                if balance.free < 0:
                    yield f"The account {account} has promised more {balance.currency} than it has."
        with decimal.localcontext(VIEW):
            self._picture.look()
            for account in self._state.accounts:
                if account in self._picture.doubtful:
                    continue
                equity = self._picture.equity(account)
                if not equity.known:
                    yield f"{account} cannot be valued: no price is known for {', '.join(equity.missing)}."

    def _exceeded(self) -> Iterator[str]:
        try:
            uses = self._uses()
        except QuarterdeckError as error:
            yield f"The limits cannot be evaluated: {error.message}"
            return
        for use in uses:
            # Losses are the business of their breakers, and order rates pass by themselves.
            if use.share is not None and use.share > 1 and use.name not in _RATES | set(BREAKER_FIELDS.values()):
                yield f"{use.label} is at {use.used}, more than {use.limit}; reduce it, or change the limit."

    def _breakers(self) -> Iterator[str]:
        for (name, where), entry in self._state.breakers.items():
            if not entry.reduces:
                yield f"The breaker {name} is open for {where}: reset it."
