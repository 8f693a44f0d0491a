"""Stored studies for the screens: a sweep with a heat map, a search with a front, a walk-forward analysis."""

from __future__ import annotations

from typing import Any

from engine.control.views_search import HeatMap, StudyRow, StudySet, StudyView
from engine.model.ids import InstrumentId
from tests.kit.fake_market import DAY, HOUR, NOW

__all__ = ["studies", "study"]

FAST, SLOW = (10, 20, 30, 40), (60, 80, 100)


def studies() -> list[StudyRow]:
    """A sweep, a search that was cancelled, and a walk-forward analysis."""

    def row(number: int, kind: str, objective: str, best: float, stable: float, **more: Any) -> StudyRow:
        return StudyRow(
            id=f"st-{number:04d}",
            hash=f"{number * 7_919:024x}",
            kind=kind,
            strategy="trend_following",
            instrument=InstrumentId("BINANCE:BTC/USDT"),
            timeframe="1h",
            start=NOW - 800 * DAY,
            end=NOW - 30 * DAY,
            created=NOW - number * HOUR,
            objective=objective,
            best=best,
            stable=stable,
            tried=more.get("tried", 12),
            sets=more.get("sets", 12),
            complete=more.get("complete", True),
            seconds=3.2,
        )

    return [
        row(1, "sweep", "sharpe", 1.42, 1.18),
        row(2, "optimise", "total_return", 0.213, 0.15, tried=40, sets=100, complete=False),
        row(3, "walk_forward", "sharpe", 0.61, 0.43, tried=3, sets=3),
    ]


def _sharpe(fast: int, slow: int) -> float:
    return round(1.5 - abs(fast - 22) / 25 - abs(slow - 84) / 60, 2)


def _sets(front: bool) -> tuple[StudySet, ...]:
    found = [
        StudySet(
            params={"fast_ma": fast, "slow_ma": slow},
            figures={
                "sharpe": _sharpe(fast, slow),
                "total_return": _sharpe(fast, slow) / 7,
                "max_drawdown": 0.05 + fast / 1000,
                "trades": 300.0 - 4 * fast if fast < 40 else 6.0,
            },
            region=None if fast == 40 else _sharpe(fast, slow) - 0.2,
            few=fast == 40,
            front=front and fast in (10, 20) and slow == 80,
        )
        for fast in FAST
        for slow in SLOW
    ]
    return tuple(sorted(found, key=lambda one: (one.few, -(one.figures["sharpe"] or 0.0))))


def study(row: StudyRow) -> StudyView:
    """A stored study as a whole."""
    walk, two = row.kind == "walk_forward", row.kind == "optimise"
    sets = () if walk else _sets(two)
    return StudyView(
        row=row,
        objectives=("total_return", "max_drawdown") if two else ("sharpe",),
        min_trades=10,
        assumptions={
            "data": "18,480 bars of binance BTC/USDT 1h from 2022-08-19 00:00 to 2024-09-27 00:00 UTC.",
            "road": "kernel: one compiled pass over the bars, with the event path's trades",
            "place": "in 2 threads of one process",
            "fees": "maker 0.001, taker 0.001",
            "warning_luck": (
                "As the best of 12 sets its Sharpe ratio is above zero with a probability of only 81%; the best of as "
                "many worthless sets would show about 0.92."
            ),
        },
        sets=sets,
        stable=1 if sets else None,
        stable_set=sets[1] if sets else None,
        left_out=(({"fast_ma": 40, "slow_ma": 40}, "fast_ma (40) must be below slow_ma (40)"),),
        left_out_count=0 if walk else 1,
        heat=None if walk else _heat(),
        details=_walk() if walk else {},
    )


def _heat() -> HeatMap:
    return HeatMap(
        x="fast_ma",
        y="slow_ma",
        figure="sharpe",
        columns=FAST,
        rows=SLOW,
        cells=tuple(tuple(None if fast == 40 else _sharpe(fast, slow) for fast in FAST) for slow in SLOW),
        more_is_better=True,
    )


def _walk() -> dict[str, Any]:
    windows = [
        {
            "number": number,
            "test": [NOW - (200 - 30 * number) * DAY, NOW - (170 - 30 * number) * DAY],
            "params": {"fast_ma": 10 * number, "slow_ma": 80},
            "scores": {"training": 1.4 - number / 10, "region": 1.1, "validation": 0.9, "test": 0.8 - number / 4},
            "test_return": 0.021 - number / 100,
            "flagged": "12 trades in training, fewer than 50" if number == 2 else "",
        }
        for number in (1, 2, 3)
    ]
    return {
        "windows": windows,
        "stitched": {
            "figures": {"total_return": 0.0312, "sharpe": 0.61, "max_drawdown": 0.0433, "benchmark_return": 0.112}
        },
        "movement": [
            {"name": "fast_ma", "mean": 20.0, "share": 0.27, "values": [10, 20, 30], "changes": 2, "wanders": True},
            {"name": "slow_ma", "mean": 80.0, "share": 0.0, "values": [80, 80, 80], "changes": 0, "wanders": False},
        ],
        "verdict": {"ratio": 0.43, "compared": 2},
    }
