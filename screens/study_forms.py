"""Setting up a study: what is searched, where, and for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from screens.backtest_forms import data_key
from screens.bot_forms import StrategyPicker
from screens.form_fields import Field, Kind, date_of, day_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.app import QuarterdeckApp
    from engine.control.views import DatasetRow, StrategyRow

__all__ = ["StudyDialog", "searched"]

KINDS = (
    ("sweep", "sweep of a grid"),
    ("optimise", "search with Optuna"),
    ("walk_forward", "walk-forward"),
)
OBJECTIVES = (
    ("sharpe", "Sharpe ratio"),
    ("sortino", "Sortino ratio"),
    ("calmar", "Calmar ratio"),
    ("total_return", "return"),
    ("max_drawdown", "drawdown, the least"),
    ("profit_factor", "profit factor"),
    ("sharpe,max_drawdown", "Sharpe and drawdown"),
    ("total_return,max_drawdown", "return and drawdown"),
)
HELP = {
    "sweep": "Values of each parameter, such as fast_ma=5:50:5 slow_ma=60,80,100.",
    "optimise": "Ranges, such as fast_ma=5:50 slow_ma=60:200; nothing takes the declared bounds.",
    "walk_forward": "Ranges, such as fast_ma=5:50 slow_ma=60:200; nothing takes the declared bounds.",
}


def searched(text: str) -> dict[str, str]:
    """Values or ranges by parameter, as written in one field with spaces between them.

    Raises:
        ValueError: Something in it is not NAME=VALUES, or a name stands there twice.
    """
    found: dict[str, str] = {}
    for part in text.split():
        name, sign, values = part.partition("=")
        if not (name and sign and values):
            raise ValueError(f"{part} is not NAME=VALUES, such as fast_ma=5:50:5")
        if name in found:
            raise ValueError(f"{name} stands there twice")
        found[name] = values
    return found


class StudyDialog(StrategyPicker):
    """Sets up a study; ends with its job.

    Args:
        app: Knows the link.
        strategies: What can be chosen.
        data: Stored candles; at least one.
    """

    FOLLOWED: ClassVar[frozenset[str]] = frozenset({"strategy", "data", "kind"})
    VERB: ClassVar[str] = "Start it"
    BUSY: ClassVar[str] = "Checking strategy and data…"

    def __init__(self, app: QuarterdeckApp, strategies: Sequence[StrategyRow], data: Sequence[DatasetRow]) -> None:
        super().__init__("Search parameters", strategies)
        self._link = app.link
        self._data = {data_key(row): row for row in data}

    def all_fields(self, texts: Mapping[str, str]) -> list[Field]:
        """Return kind, strategy, data, days and what is searched."""
        kind = texts.get("kind", KINDS[0][0])
        first = next(iter(self._data))
        row = self._data[texts.get("data", first)]
        choices = tuple((key, f"{item.venue} {item.symbol} {item.timeframe}") for key, item in self._data.items())
        low, high = day_text(row.start), day_text(row.end)
        objectives = tuple(one for one in OBJECTIVES if kind != "walk_forward" or "," not in one[0])
        fields = [
            Field("kind", "Study", Kind.CHOICE, KINDS[0][0], KINDS, help="What is done with the parameters."),
            *self.strategy_fields(texts),
            Field("data", "Candles", Kind.CHOICE, first, choices, help=f"{row.rows:,} bars from {low} to {high}."),
            Field("start", "From", Kind.DATE, low, minimum=low, maximum=high, help="The first day, UTC, included."),
            Field("end", "To", Kind.DATE, high, minimum=low, maximum=high, help="The end, UTC; not included."),
            Field("search", "Search", help=HELP[kind], optional=kind != "sweep"),
            Field("objectives", "Best by", Kind.CHOICE, "sharpe", objectives, help="What sets are ranked by."),
            Field("seed", "Seed", Kind.WHOLE, "42", minimum="0", help="The same seed gives the same study."),
        ]  # fmt: skip
        if kind != "sweep":
            trials = "100" if kind == "optimise" else "50"
            said = "Sets that are tried." if kind == "optimise" else "Sets that are tried in each window."
            fields.append(Field("trials", "Trials", Kind.WHOLE, trials, minimum="1", maximum="10000", help=said))
        if kind != "walk_forward":
            fields.append(
                Field(
                    "min_trades", "Least trades", Kind.WHOLE, "10", minimum="0",
                    help="A set with fewer ranks behind all others.",
                )
            )  # fmt: skip
        return fields

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Refuse days in the wrong order and a search that cannot be read."""
        found = super().judge(texts)
        start, end = date_of(texts["start"]), date_of(texts["end"])
        if start is not None and end is not None and start >= end:
            found["end"] = "must be after the first day"
        try:
            wanted = searched(texts["search"])
        except ValueError as error:
            found["search"] = str(error)
        else:
            if not wanted and texts["kind"] == "sweep":
                found["search"] = "write the values of one parameter at least"
        return found

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Queue the study."""
        row, kind = self._data[texts["data"]], texts["kind"]
        asked: dict[str, Any] = {
            **self.named(texts),
            "venue": row.venue,
            "symbol": row.symbol,
            "timeframe": row.timeframe,
            "objectives": texts["objectives"].split(","),
            "seed": int(texts["seed"]),
            "grid" if kind == "sweep" else "ranges": searched(texts["search"]),
        }
        # What nobody has touched means all that is stored, to the bar and not to the day.
        for name, stored in (("start", row.start), ("end", row.end)):
            if texts[name].strip() != day_text(stored):
                asked[name] = texts[name].strip()
        for name in ("trials", "min_trades"):
            if texts.get(name, "").strip():
                asked[name] = int(texts[name])
        return await self._link.call(f"backtests.{kind}", asked, request_id=request_id)
