"""Setting up a backtest and importing candles: the data says which days can be chosen, the strategy its parameters."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from engine.errors import ValidationError
from engine.model.candle import timeframe_ns
from screens.bot_forms import TIMEFRAMES, StrategyPicker
from screens.form_dialog import FormDialog
from screens.form_fields import NO, YES, YES_NO, Field, Kind, date_of, day_text
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from console.app import QuarterdeckApp
    from engine.control.views import DatasetRow, StrategyRow

__all__ = ["ImportDialog", "RunDialog", "data_key"]

CAPITAL = "10000"
FEE = "0.1"
NS_PER_DAY = 86_400_000_000_000
FILLS = (
    ("quarterdeck", "next open, careful"),
    ("next_open", "next open, no costs but fees"),
    ("pessimistic", "stops first inside a bar"),
    ("fixed_ohlc", "open, high, low, close"),
    ("touch", "limits fill at a touch"),
    ("freqtrade", "as freqtrade"),
    ("backtesting_py", "as backtesting.py"),
    ("nautilus", "as nautilus"),
)


def data_key(row: DatasetRow) -> str:
    """Return what stored candles are known by in tables and forms."""
    return f"{row.venue}|{row.symbol}|{row.timeframe}"


class RunDialog(StrategyPicker):
    """Sets up a backtest; ends with its job.

    Args:
        app: Knows the link.
        strategies: What can be chosen.
        data: Stored candles; at least one.
        wanted: Key of the candles to begin with; empty for those of the first strategy's own timeframe.
    """

    FOLLOWED: ClassVar[frozenset[str]] = frozenset({"strategy", "data"})
    VERB: ClassVar[str] = "Run it"
    BUSY: ClassVar[str] = "Checking strategy and data…"

    def __init__(
        self, app: QuarterdeckApp, strategies: Sequence[StrategyRow], data: Sequence[DatasetRow], wanted: str = ""
    ) -> None:
        super().__init__("Run a backtest", strategies)
        self._link = app.link
        self._data = {data_key(row): row for row in data}
        self._wanted = wanted

    def _first_data(self) -> str:
        if self._wanted in self._data:
            return self._wanted
        usual = {row.timeframe for row in self.strategies.values()}
        return next((key for key, row in self._data.items() if row.timeframe in usual), next(iter(self._data)))

    def all_fields(self, texts: Mapping[str, str]) -> list[Field]:
        """Return strategy, data, days, money and costs, then the parameters."""
        first = self._first_data()
        row = self._data[texts.get("data", first)]
        choices = tuple((key, f"{item.venue} {item.symbol} {item.timeframe}") for key, item in self._data.items())
        low, high = day_text(row.start), day_text(row.end)
        later = day_text(row.start + NS_PER_DAY)
        gaps = f", {row.missing:,} bars missing in {row.gaps:,} gaps" if row.gaps else ", without gaps"
        about = f"{row.rows:,} bars from {low} to {high}{gaps}."
        quote = clean(row.symbol).rpartition("/")[2]
        return [
            *self.strategy_fields(texts),
            Field("data", "Candles", Kind.CHOICE, first, choices, help=about),
            Field("start", "From", Kind.DATE, low, minimum=low, maximum=high, help="The first day, UTC, included."),
            Field(
                "end", "To", Kind.DATE, high, minimum=later, maximum=high,
                help="The end, UTC: bars of this day are not used.",
            ),
            Field(
                "capital", "Capital", Kind.NUMBER, CAPITAL, minimum="0", above=True, unit=quote,
                help="What it starts with.",
            ),
            _fee("taker_fee", "Taker fee", "Cost of orders that take liquidity."),
            _fee("maker_fee", "Maker fee", "Cost of resting orders; negative is a rebate."),
            Field(
                "fills", "Fills", Kind.CHOICE, FILLS[0][0], FILLS,
                help="How bars fill orders; each run says in full what it assumed.",
            ),
            Field(
                "allow_short", "Sell short", Kind.CHOICE, NO, YES_NO,
                help="Let the account sell what it does not have; a spot account cannot.",
            ),
            *self.parameter_fields(texts, {}),
        ]  # fmt: skip

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Refuse days in the wrong order."""
        found = super().judge(texts)
        start, end = date_of(texts["start"]), date_of(texts["end"])
        if start is not None and end is not None and start >= end:
            found["end"] = "must be after the first day"
        return found

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Queue the run."""
        row = self._data[texts["data"]]
        asked: dict[str, Any] = {
            **self.named(texts),
            "venue": row.venue,
            "symbol": row.symbol,
            "timeframe": row.timeframe,
            "capital": _plain(texts["capital"]),
            "allow_short": texts["allow_short"] == YES,
        }
        # What nobody has touched means all that is stored, to the bar and not to the day.
        for name, stored in (("start", row.start), ("end", row.end)):
            if texts[name].strip() != day_text(stored):
                asked[name] = texts[name].strip()
        for name in ("maker_fee", "taker_fee"):
            asked[name] = _fraction(texts[name])
        if texts["fills"] != FILLS[0][0]:
            asked["fills"] = texts["fills"]
        return await self._link.call("backtests.run", asked, request_id=request_id)


def _fee(name: str, label: str, help_: str) -> Field:
    return Field(name, label, Kind.NUMBER, FEE, minimum="-1", maximum="10", unit="%", help=help_)


def _plain(text: str) -> str:
    return text.replace(",", "").strip()


def _fraction(percent: str) -> str:
    return f"{Decimal(_plain(percent)) / 100:f}"


class ImportDialog(FormDialog):
    """Imports candles of a file; ends with the job.

    Args:
        app: Knows the link.
    """

    VERB: ClassVar[str] = "Import"
    BUSY: ClassVar[str] = "Looking at the file…"

    def __init__(self, app: QuarterdeckApp) -> None:
        said = "Candles of a Parquet or CSV file are checked and stored; a file with a broken bar is refused whole."
        super().__init__("Import candles", said)
        self._link = app.link

    def first_fields(self) -> list[Field]:
        """Return where the candles are and what they are of."""
        return [
            Field("file", "File", help="Path of the file, such as ~/BTCUSDT_1h.parquet."),
            Field("venue", "Venue", help="Where they were traded, such as binance."),
            Field("symbol", "Symbol", help="Base and quote with a slash, such as BTC/USDT."),
            Field("timeframe", "Bar", value="1h", help="Length of a bar: 1m, 15m, 1h, 1d and the like."),
            Field(
                "replace", "Replace", Kind.CHOICE, NO, YES_NO,
                help="Let new values take the place of different stored ones.",
            ),
        ]  # fmt: skip

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Refuse a length that is none and a symbol without a quote."""
        found = {}
        base, slash, quote = texts["symbol"].strip().partition("/")
        if not (base and slash and quote):
            found["symbol"] = "base and quote with a slash, such as BTC/USDT"
        try:
            timeframe_ns(texts["timeframe"].strip())
        except ValidationError:
            found["timeframe"] = f"one such as {', '.join(TIMEFRAMES)}"
        return found

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Queue the import."""
        asked = {name: texts[name].strip() for name in ("file", "venue", "symbol", "timeframe")}
        return await self._link.call(
            "data.import", {**asked, "replace": texts["replace"] == YES}, request_id=request_id
        )
