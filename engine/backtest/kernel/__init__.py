"""The compiled road of a backtest: one pass over the bars for signal strategies, with the event path's own results.

- `run_kernel(spec, strategy, instrument, bars, history=None) -> BacktestResult`: one run in full, as `run_backtest`.
- `Field(spec, strategy_class, instrument, bars, history=None)`: bars made ready for many parameter sets;
  `field.evaluate(list_of_params, workers=None) -> list[Summary]` gives the main figures of each, in the same order.
  Bars are never copied; indicators with equal settings are computed once for all sets; `workers` threads share them.
- `obstacles(spec, strategy, instrument) -> list[str]`: why a run needs the event path; empty where the kernel takes it.

A run that the kernel cannot do as the event path would is refused with every reason (`rules`). Numba is imported at the
first run and not before; what it compiles is kept on disk.
"""

from __future__ import annotations

from engine.backtest.kernel.road import run_kernel
from engine.backtest.kernel.rules import obstacles
from engine.backtest.kernel.sweep import Field, Summary

__all__ = ["Field", "Summary", "obstacles", "run_kernel"]
