"""A freqtrade folder is read as it is written, nothing of it is run or leaks, and what is left is said."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

from engine.control.moving.apply import move_in
from engine.control.moving.freqtrade import read_freqtrade
from engine.errors import DataError, NotFoundError
from engine.strategy.loader import StrategyRegistry
from engine.strategy.practice import drive_batch, walk_bars
from engine.strategy.toolkit import Toolkit
from storage.candle_sets import CandleSet
from storage.candles import CandleStore

if TYPE_CHECKING:
    from pathlib import Path

CONFIG: dict[str, Any] = {
    "max_open_trades": 20, "stake_currency": "USDT", "stake_amount": 50, "fee": 0.00075, "strategy": "Crossing",
    "dry_run_wallet": 1000, "timeframe": "15m", "tradable_balance_ratio": 0.9, "trading_mode": "spot",
    "exchange": {"name": "binance", "key": "K-SECRET", "secret": "S-SECRET", "password": "P-SECRET",
                 "pair_whitelist": ["BTC/USDT", "ETH/USDT"], "pair_blacklist": ["BNB/.*", "(A|B)UP/USDT"]},
    "pairlists": [{"method": "VolumePairList", "number_assets": 30, "min_value": 1000, "refresh_period": 1800},
                  {"method": "AgeFilter", "min_days_listed": 7}, {"method": "SpreadFilter", "max_spread_ratio": 0.004},
                  {"method": "VolatilityFilter", "lookback_days": 5, "min_volatility": 0.02},
                  {"method": "RemotePairList"}],
    "protections": [{"method": "CooldownPeriod", "stop_duration_candles": 4},
                    {"method": "StoplossGuard", "lookback_period": 120, "trade_limit": 3, "stop_duration": 60},
                    {"method": "MaxDrawdown", "max_allowed_drawdown": 0.2, "lookback_period": 600}],
    "telegram": {"token": "T-SECRET"},
}  # fmt: skip

STRATEGY = '''
import os
os.environ["FREQTRADE_STRATEGY_WAS_RUN"] = "yes"
from freqtrade.strategy import IStrategy, IntParameter, BooleanParameter
import talib.abstract as ta
from functools import reduce

class Crossing(IStrategy):
    """A crossing."""
    INTERFACE_VERSION = 3
    timeframe = "5m"
    minimal_roi = {"0": 0.05, "30": 0.02, "100": 0}
    stoploss = -0.08
    trailing_stop = True
    trailing_stop_positive = 0.01
    trailing_stop_positive_offset = 0.03
    trailing_only_offset_is_reached = True
    startup_candle_count: int = 40
    fast = IntParameter(2, 20, default=5, space="buy")
    can_short = True

    def populate_indicators(self, dataframe, metadata):
        dataframe["fast"] = ta.EMA(dataframe, timeperiod=self.fast.value)
        dataframe["slow"] = dataframe["close"].rolling(20).mean()
        dataframe["exotic"] = ta.HT_SINE(dataframe)["sine"]
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        conditions = []
        conditions.append(dataframe["fast"] > dataframe["slow"])
        conditions.append(dataframe["fast"].shift(1) <= dataframe["slow"].shift(1))
        if conditions:
            dataframe.loc[reduce(lambda x, y: x & y, conditions), ["enter_long", "enter_tag"]] = (1, "cross up")
        dataframe.loc[(dataframe["fast"] < dataframe["slow"] * 0.99) & (dataframe["volume"] > 0), "enter_short"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe.loc[(dataframe["fast"] < dataframe["slow"]), "exit_long"] = 1
        return dataframe

    def custom_stoploss(self, pair, trade, current_time, current_rate, current_profit, **kwargs):
        return -0.02
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user_data folder as freqtrade has it."""
    data = tmp_path / "user_data"
    (data / "strategies").mkdir(parents=True)
    (data / "data" / "binance" / "futures").mkdir(parents=True)
    (data / "strategies" / "Crossing.py").write_text(STRATEGY, encoding="utf-8")
    text = json.dumps(CONFIG, indent=1).replace('"max_open_trades"', '// how many\n "max_open_trades"', 1)
    (data / "config.json").write_text(text.removesuffix("}").rstrip() + ",\n}", encoding="utf-8")
    bars = walk_bars(3, 50, "5m")
    names = ("open", "high", "low", "close", "volume")
    ms = (bars.ts // 1_000_000).tolist()
    dates = pa.array(ms).cast(pa.timestamp("ms", "UTC"))
    table = pa.table({"date": dates, **{name: getattr(bars, name) for name in names}})
    feather.write_feather(table, data / "data" / "binance" / "BTC_USDT-5m.feather", compression="lz4")
    feather.write_feather(table, data / "data" / "binance" / "futures" / "ETH_USDT_USDT-5m-futures.feather")
    feather.write_feather(table, data / "data" / "binance" / "futures" / "ETH_USDT_USDT-8h-funding_rate.feather")
    rows = [list(row) for row in zip(ms, *(getattr(bars, name).tolist() for name in names), strict=True)]
    (data / "data" / "binance" / "XRP_USDT-5m.json").write_text(json.dumps(rows))
    (data / "data" / "binance" / "ADA_USDT-5m.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    return data


def task(folder: Path, **changes: Any) -> dict[str, Any]:
    return {"program": "freqtrade", "path": str(folder), "venue": "", "replace": False, "dry_run": False} | changes


def test_settings_become_a_bot_a_universe_and_settings(folder: Path) -> None:
    plan = read_freqtrade(folder)

    (bot,) = plan.bots
    assert (bot.strategy, bot.timeframe, bot.capital) == ("crossing", "15m", "1000")
    assert bot.params == {"position_size_pct": 0.05}
    assert bot.risk == {"max_total_positions": 20}
    assert bot.universe == {
        "quote": "USDT", "top": 30, "min_volume": "1000", "refresh_s": 1800.0, "min_age_days": 7,
        "max_spread": "0.004", "volatility_days": 5, "min_volatility": "0.02", "deny": ("BNB/*",),
    }  # fmt: skip
    assert plan.settings["protections.cooldown_s"] == 4 * 900.0
    assert plan.settings["protections.stop_guard_global_stops"] == 3
    assert plan.settings["protections.equity_lock_pct"] == "0.2"
    assert plan.backtest == {"--maker-fee": "0.00075", "--taker-fee": "0.00075"}


def test_what_is_left_is_said_with_a_reason_and_what_to_do(folder: Path) -> None:
    plan = read_freqtrade(folder)
    left = {one.what: one for one in plan.left}
    assert all(one.reason and one.todo for one in plan.left)
    for what in (
        "custom_stoploss()",
        "the setting telegram",
        "the pair list RemotePairList",
        "the keys of the exchange",
    ):
        assert what in left
    assert "the pattern (A|B)UP/USDT" in left
    assert left["ta.HT_SINE(dataframe)['sine']"].where.startswith("Crossing.py:")
    assert "custom_stop" in left["custom_stoploss()"].todo


def test_no_key_is_read_and_no_code_is_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FREQTRADE_STRATEGY_WAS_RUN", raising=False)
    report = move_in(tmp_path / "home", task(folder), lambda share, words: None)
    assert "SECRET" not in json.dumps(report)
    import os

    assert "FREQTRADE_STRATEGY_WAS_RUN" not in os.environ


def test_a_dry_run_writes_nothing(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    report = move_in(home, task(folder, dry_run=True), lambda share, words: None)
    assert report["taken"]
    assert list(home.rglob("*.py")) + list(home.rglob("*.parquet")) == []


def test_candles_of_every_kind_are_stored(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    report = move_in(home, task(folder), lambda share, words: None)
    store = CandleStore(home / "candles")
    for symbol in ("BTC/USDT", "XRP/USDT", "ADA/USDT", "ETH/USDT:USDT"):
        assert store.get(CandleSet.of("binance", symbol, "5m")).rows == 50
    assert len(report["stored"]) == 4
    assert report["written"] == ["crossing"]
    assert "a file of candles" in {one["what"] for one in report["left"]}, "a funding rate is no price"


def test_the_translated_strategy_enters_and_leaves_where_theirs_does(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    move_in(home, task(folder), lambda share, words: None)
    loaded = StrategyRegistry(home / "strategies").get("crossing")
    strategy = loaded.build({"fast": 4})
    bars = walk_bars(5, 400, "15m")
    columns = strategy.columns(bars, Toolkit())

    # Theirs in numpy: an exponential average begun with the simple one, a simple average, and the two conditions.
    fast = np.full(400, np.nan)
    fast[3] = bars.close[:4].mean()
    for i in range(4, 400):
        fast[i] = fast[i - 1] + (bars.close[i] - fast[i - 1]) * 2 / 5
    slow = np.array([np.nan] * 19 + [bars.close[i - 19 : i + 1].mean() for i in range(19, 400)])
    up = (fast > slow) & (np.append(np.nan, fast[:-1]) <= np.append(np.nan, slow[:-1]))
    down = fast < slow * 0.99
    leave = fast < slow
    expected = np.where(up & ~leave & ~down, 1.0, np.where(down & ~up, -1.0, 0.0))
    # A rounding of the averages may turn a comparison of equal numbers; there are none in this walk.
    assert columns["entry"].tolist() == expected.tolist()
    assert columns["exit_long"].tolist() == leave.astype(float).tolist()
    assert {1.0, -1.0} <= set(expected.tolist())

    rules = strategy.rules()  # type: ignore[attr-defined]
    assert (rules.stop_pct, rules.trail_pct, rules.trail_from_pct) == (0.08, 0.01, 0.03)
    assert rules.roi == ((0, 0.05), (2, 0.02), (7, 0.0))
    assert strategy.warmup("15m") >= 40
    reasons = {signal.reason for signal in drive_batch(lambda: loaded.build({"fast": 4}), bars)}
    assert any(reason.startswith("cross up") for reason in reasons)


def test_a_look_into_the_future_is_named_and_gives_no_strategy(tmp_path: Path) -> None:
    file = tmp_path / "Ahead.py"
    file.write_text(STRATEGY.replace("shift(1) <=", "shift(-1) <="))
    plan = read_freqtrade(file)
    assert plan.strategies == []
    assert any("looks into the future" in one.reason for one in plan.left)


def test_a_changed_file_of_ones_own_is_kept(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "strategies").mkdir(parents=True)
    mine = home / "strategies" / "crossing.py"
    mine.write_text("# mine\n")
    report = move_in(home, task(folder), lambda share, words: None)
    assert mine.read_text() == "# mine\n"
    assert report["written"] == []


def test_nothing_of_theirs_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="user_data"):
        read_freqtrade(tmp_path)
    (tmp_path / "config.json").write_text("{ not json")
    with pytest.raises(DataError, match=r"config\.json is no JSON"):
        read_freqtrade(tmp_path)
