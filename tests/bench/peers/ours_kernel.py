"""Our compiled kernel as a child: `python -m tests.bench.peers.ours_kernel REQUEST RESULT`.

Without a variant a run gives what a sweep gives of each set: figures and daily returns. The variant `full` gives the
whole result of a backtest, every trade in decimals and the equity at every bar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.backtest.kernel import Field, run_kernel
from tests.bench.peers.children import kit
from tests.bench.peers.ours_event import given, read, release

if TYPE_CHECKING:
    from collections.abc import Callable


def _one(data: kit.Columns, request: dict[str, Any]) -> Callable[[], Any]:
    made = given(data, request)
    if request["variant"] == "full":
        return lambda: made._replace(result=run_kernel(made.spec, made.strategy.build({}), made.instrument, made.bars))
    field = Field(made.spec, made.strategy, made.instrument, made.bars)
    return lambda: made._replace(result=field.evaluate([{}], workers=1))


def _many(data: kit.Columns, request: dict[str, Any]) -> Callable[[], Any]:
    made = given(data, {**request, "workload": "W1"})
    field = Field(made.spec, made.strategy, made.instrument, made.bars)
    sets = [{"fast": fast, "slow": slow} for fast, slow in request["pairs"]]
    return lambda: made._replace(result=field.evaluate(sets, workers=request.get("workers")))


def _read(done: Any, request: dict[str, Any]) -> dict[str, Any]:
    if request["variant"] == "full":
        return read(done, request)
    figures = [summary.metrics for summary in done.result]
    counts, equities = ([one[name] for one in figures] for name in ("trades", "end_equity"))
    if request["workload"] == "W3":
        return {"counts": counts, "equities": equities, "hash": done.identity}
    return {"count": counts[0], "equity": equities[0], "hash": done.identity}


if __name__ == "__main__":
    kit.main(release(), {"W1": _one, "W2": _one, "W3": _many}, _read)
