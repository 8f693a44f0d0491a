"""hummingbot's and jesse's files are read as they are written, and what is left is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine.control.moving.apply import move_in
from engine.control.moving.hummingbot import read_flat_yaml, read_hummingbot
from engine.control.moving.jesse import read_jesse
from engine.errors import NotFoundError
from engine.strategy.practice import walk_bars
from storage.candle_sets import CandleSet
from storage.candles import CandleStore

if TYPE_CHECKING:
    from pathlib import Path

PMM = """
### Pure market making strategy config ###
template_version: 24
strategy: pure_market_making
exchange: binance   # where
market: BTC-USDT
bid_spread: 0.3
ask_spread: 0.5
order_refresh_time: 45.0
order_amount: 0.01
order_levels: 3
ping_pong_enabled: true
inventory_skew_enabled: true
inventory_target_base_pct: 40
hanging_orders_enabled: false
"""
XEMM = """
controller_name: xemm_multiple_levels
controller_type: generic
maker_connector: kucoin
maker_trading_pair: ETH-USDT
taker_connector: okx
taker_trading_pair: ETH-USDT
min_profitability: 0.002
total_amount_quote: 500
buy_levels_targets_amount:
  - [0.003, 10]
"""


def test_a_flat_file_is_read_line_by_line() -> None:
    text = "a: 1\nb: -0.5 # c\nc: 'x: y'\nd: [1, 2.5, z]\ne:\n  - 1\n  - two\nf: null\ng: true\nnested:\n  x: 1\n"
    assert read_flat_yaml(text) == {
        "a": 1, "b": -0.5, "c": "x: y", "d": [1, 2.5, "z"], "e": [1, "two"], "f": None, "g": True, "nested": None,
    }  # fmt: skip


def test_hummingbot_files_become_bots(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    (conf / "strategies").mkdir(parents=True)
    (conf / "controllers").mkdir()
    (conf / "strategies" / "conf_pmm_1.yml").write_text(PMM)
    (conf / "controllers" / "xemm.yml").write_text(XEMM)
    (conf / "strategies" / "conf_amm.yml").write_text("strategy: amm_arb\n")
    plan = read_hummingbot(tmp_path)

    bots = {bot.name: bot for bot in plan.bots}
    assert bots["pmm_1"].strategy == "market_making"
    assert bots["pmm_1"].instruments == ("BINANCE:BTC/USDT",)
    assert bots["pmm_1"].params == {
        "base_spread": 0.008, "order_levels": 3, "order_refresh_time": 45.0, "hanging_orders": False,
        "inventory_skew": True, "target_inventory": 0.4, "base_order_size": 0.01,
    }  # fmt: skip
    assert bots["xemm"].instruments == ("KUCOIN:ETH/USDT", "OKX:ETH/USDT")
    assert bots["xemm"].params == {"min_profit_threshold": 0.002}
    assert bots["xemm"].capital == "500"
    left = {one.what: one for one in plan.left}
    assert "the strategy amm_arb" in left
    assert "bid_spread and ask_spread" in left
    assert "the exchange kucoin" in left
    assert "skew" in left["ping_pong_enabled: True"].todo
    assert all(one.reason and one.todo for one in plan.left)


JESSE_STRATEGY = """
import os
os.environ["JESSE_STRATEGY_WAS_RUN"] = "yes"
from jesse.strategies import Strategy
import jesse.indicators as ta

class SampleTrend(Strategy):
    def should_long(self):
        return ta.sma(self.candles, 20) > ta.sma(self.candles, 50)

    def go_long(self):
        self.buy = 1, self.price

    def hyperparameters(self):
        return [{'name': 'stop_atr', 'type': float, 'min': 1.5, 'max': 3, 'default': 2}]
"""


def test_a_jesse_project_becomes_bots_and_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JESSE_STRATEGY_WAS_RUN", raising=False)
    (tmp_path / "strategies" / "SampleTrend").mkdir(parents=True)
    (tmp_path / "strategies" / "SampleTrend" / "__init__.py").write_text(JESSE_STRATEGY)
    (tmp_path / "routes.py").write_text(
        "routes = [('Binance Perpetual Futures', 'BTC-USDT', '4h', 'SampleTrend')]\n"
        "data_routes = [{'exchange': 'Binance', 'symbol': 'ETH-USDT', 'timeframe': '1h'}]\n"
    )
    (tmp_path / "config.py").write_text(
        "config = {'env': {'exchanges': {'Binance Perpetual Futures': "
        "{'fee': 0.0004, 'futures_leverage': 3, 'balance': 10_000}}}}\n"
    )
    plan = read_jesse(tmp_path)

    (bot,) = plan.bots
    assert (bot.instruments, bot.timeframe, bot.capital) == (("BINANCEUSDM:BTC/USDT:USDT",), "4h", "10000")
    assert plan.backtest == {"--maker-fee": "0.0004", "--taker-fee": "0.0004"}
    left = {one.what: one for one in plan.left}
    assert "`entry` is 1" in left["SampleTrend.should_long()"].todo
    assert left["SampleTrend, parameter stop_atr"].todo == 'stop_atr: float = Field(2, ge=1.5, le=3, description="…")'
    assert "margin set" in left["futures_leverage 3"].todo
    assert any(what.startswith("the data route") for what in left)
    import os

    assert "JESSE_STRATEGY_WAS_RUN" not in os.environ


def test_their_candles_are_stored(tmp_path: Path) -> None:
    bars = walk_bars(3, 40, "1m")
    names = ("open", "high", "low", "close", "volume")
    rows = list(zip((bars.ts // 10**6).tolist(), *(getattr(bars, name).tolist() for name in names), strict=True))
    (tmp_path / "hb" / "data").mkdir(parents=True)
    lines = [",".join(["timestamp", *names, "n_trades"])] + [",".join(map(str, [*row, 7])) for row in rows]
    (tmp_path / "hb" / "data" / "candles_binance_BTC-USDT_1m.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "js" / "storage").mkdir(parents=True)
    # Theirs: time, open, close, high, low, volume.
    theirs = [[row[0], row[1], row[4], row[2], row[3], row[5]] for row in rows]
    (tmp_path / "js" / "storage" / "okx_ETH-USDT_1m.json").write_text(json.dumps(theirs))
    home = tmp_path / "home"
    for program, folder, key in (
        ("hummingbot", "hb", CandleSet.of("binance", "BTC/USDT", "1m")),
        ("jesse", "js", CandleSet.of("okx", "ETH/USDT", "1m")),
    ):
        task = {"program": program, "path": str(tmp_path / folder), "venue": "", "replace": False, "dry_run": False}
        report = move_in(home, task, lambda share, words: None)
        assert report["stored"][0]["bars"] == 40
        stored = CandleStore(home / "candles").read(key)
        assert stored.high.tolist() == bars.high.tolist()
        assert stored.close.tolist() == bars.close.tolist()


@pytest.mark.parametrize("reader", [read_hummingbot, read_jesse])
def test_nothing_of_theirs_is_said(reader: object, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="Name"):
        reader(tmp_path)  # type: ignore[operator]
