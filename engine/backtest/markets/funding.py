"""Perpetuals in a run: their marks, and the funding that is paid at its times."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.backtest.markets.reading import read_funding
from engine.errors import ConfigurationError
from engine.execution.funding import funding_fact
from engine.model.instrument import InstrumentKind
from engine.model.market import MarkPrice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.backtest.markets.run import MarketsRun
    from engine.backtest.markets.spec import MarketsSpec
    from engine.backtest.markets.tapes import Tape
    from engine.model.candle import FloatArray, IntArray
    from engine.model.ids import InstrumentId

__all__ = ["Funding", "check_funding"]

_NEVER = 1 << 62
"""Where no rates are known nothing is ever due."""


def check_funding(spec: MarketsSpec, tapes: Sequence[Tape]) -> None:
    """Raise ConfigurationError where rates are given for what is no linear perpetual: they would never be paid."""
    for tape, source in zip(tapes, spec.markets, strict=True):
        if source.funding is not None and tape.instrument.kind is not InstrumentKind.LINEAR_PERPETUAL:
            raise ConfigurationError(
                f"{tape.id} is {tape.instrument.kind.replace('_', ' ')}, and funding is paid in linear perpetuals "
                "alone; leave out its funding rates, or name the perpetual, such as BTC/USDT:USDT."
            )


class Funding:
    """Tells the exchanges marks and rates, and books what they pay.

    Args:
        run: The run, with its exchanges and views.

    Raises:
        ConfigurationError: Rates are given for what is no linear perpetual.
    """

    def __init__(self, run: MarketsRun) -> None:
        self._run = run
        self._due: dict[InstrumentId, int] = {}
        self._cursors: dict[InstrumentId, str] = {}
        self._perpetuals = [tape for tape in run.tapes if tape.instrument.kind is InstrumentKind.LINEAR_PERPETUAL]
        check_funding(run.spec, run.tapes)

    def __bool__(self) -> bool:
        return bool(self._perpetuals)

    def players(self) -> tuple[list[IntArray], list[Callable[[int], None]]]:
        """Columns of the times at which rates are told and paid, and what is called for a row of each."""
        columns: list[IntArray] = []
        plays: list[Callable[[int], None]] = []
        for tape, source in zip(self._run.tapes, self._run.spec.markets, strict=True):
            if tape not in self._perpetuals:
                continue
            self._due[tape.id] = _NEVER
            if source.funding is None:
                continue
            ts, rates = read_funding(Path(source.funding))
            first, end = ts.searchsorted([self._run.begin, self._run.end], side="right").tolist()
            before = float(rates[first - 1]) if first else 0.0
            self._run.bot.views[tape.id].funding_rate = before
            ts, rates = ts[first:end], rates[first:end]
            # At the beginning the exchange is told the first rate, at each payment the next one.
            columns.append(np.concatenate((np.array([self._run.begin], dtype=np.int64), ts)))
            plays.append(self._player(tape, ts, rates, before))
        return columns, plays

    def _player(self, tape: Tape, ts: IntArray, rates: FloatArray, before: float) -> Callable[[int], None]:
        def play(row: int) -> None:
            known = row < len(ts)
            self._due[tape.id] = int(ts[row]) if known else _NEVER
            rate = float(rates[row]) if known else 0.0
            # What will have been paid at the next time is known to nobody before it: the strategy sees the last one.
            self._run.bot.views[tape.id].funding_rate = float(rates[row - 1]) if row else before
            self.mark(tape, Decimal(repr(rate)))

        return play

    def mark_all(self) -> None:
        """Value every perpetual at the middle of its market now."""
        for tape in self._perpetuals:
            self.mark(tape)

    def mark(self, tape: Tape, rate: Decimal | None = None) -> None:
        """Tell a perpetual's mark, and the rate of the period that begins where there is one."""
        run, view, now = self._run, self._run.bot.views[tape.id], self._run.clock.now()
        price = view.mid or view.last
        if not price and rate is None:
            return
        exact = Decimal(repr(round(price, tape.instrument.price_scale))) if price else Decimal(1)
        event = MarkPrice(tape.id, now, exact, None, rate, self._due.get(tape.id, _NEVER))
        run.report(tape.instrument.venue, run.exchanges[tape.instrument.venue].on_mark(event))
        self.collect(tape)

    def collect(self, tape: Tape) -> None:
        """Book what the exchange has paid or taken since the last look."""
        run, venue = self._run, tape.instrument.venue
        account = run.accounts[venue]
        payments, cursor = run.exchanges[venue].funding_since(account, self._cursors.get(tape.id, ""))
        self._cursors[tape.id] = cursor
        for payment in payments:
            if payment.instrument != tape.id:
                continue
            position = run.state.owned.get((run.bot.owner, account, tape.id))
            held = {} if position is None or not position.quantity else {run.bot.owner: position.quantity}
            run.ledger.record(funding_fact(payment, held))
