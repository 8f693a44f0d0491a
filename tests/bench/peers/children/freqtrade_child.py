"""freqtrade: its backtesting loop on an exchange that knows one market and is never asked for anything."""

import logging
import os
import tempfile
from pathlib import Path
from unittest.mock import MagicMock, patch

HOME = Path(tempfile.mkdtemp(prefix="freqtrade-"))
os.chdir(HOME)
logging.disable(logging.WARNING)

import freqtrade  # noqa: E402
import kit  # noqa: E402
import pandas as pd  # noqa: E402
from freqtrade.enums import CandleType, RunMode  # noqa: E402
from freqtrade.exchange import Exchange  # noqa: E402
from freqtrade.optimize.backtesting import Backtesting  # noqa: E402
from freqtrade.resolvers import ExchangeResolver  # noqa: E402

PAIR = "BTC/USDT"
STRATEGY = """
import numpy as np
from freqtrade.strategy import IStrategy

FEE = 0.001


class Base(IStrategy):
    INTERFACE_VERSION = 3
    timeframe = "1m"
    minimal_roi = {{}}
    stoploss = -0.99
    process_only_new_candles = True
    use_exit_signal = True
    can_short = False
    startup_candle_count = 0
    order_types = {{"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": False}}

    def populate_indicators(self, dataframe, metadata):
        return dataframe


class Crossing(Base):
    def populate_entry_trend(self, dataframe, metadata):
        cents = (dataframe["close"] * 100).round()
        self.gap = cents.rolling(20).mean() - cents.rolling(50).mean()
        dataframe["enter_long"] = (self.gap > 0).astype(int)
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe["exit_long"] = (self.gap < 0).astype(int)
        return dataframe


class Band(Base):
    stoploss = -0.02
    # The target is a profit after fees there; this one is met at 4 % above the entry.
    minimal_roi = {{"0": 1.04 * (1 - FEE) / (1 + FEE) - 1}}

    def populate_entry_trend(self, dataframe, metadata):
        rolling = dataframe["close"].rolling(20)
        self.z = (dataframe["close"] - rolling.mean()) / rolling.std(ddof=0)
        dataframe["enter_long"] = (self.z < -2).astype(int)
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe["exit_long"] = (self.z > -0.5).astype(int)
        return dataframe
"""
MARKET = {
    "id": "BTCUSDT", "symbol": PAIR, "base": "BTC", "quote": "USDT", "active": True, "spot": True, "type": "spot",
    "swap": False, "future": False, "margin": False, "linear": None, "contract": False, "contractSize": None,
    "taker": kit.FEE, "maker": kit.FEE, "precision": {"price": 1e-8, "amount": 1e-6},
    "limits": {side: {"min": None, "max": None} for side in ("amount", "price", "cost", "leverage")}, "info": {},
}  # fmt: skip


def config(strategy):
    return {
        "strategy": strategy,
        "strategy_path": str(HOME / "strategies"),
        "user_data_dir": HOME,
        "datadir": HOME / "data",
        "exportdirectory": HOME / "results",
        "exportfilename": HOME / "results",
        "export": "none",
        "timeframe": "1m",
        "max_open_trades": 1,
        "stake_currency": "USDT",
        "stake_amount": "unlimited",
        "tradable_balance_ratio": kit.SHARE,
        "dry_run": True,
        "dry_run_wallet": kit.CAPITAL,
        "fee": kit.FEE,
        "runmode": RunMode.BACKTEST,
        "trading_mode": "spot",
        "margin_mode": "",
        "candle_type_def": CandleType.SPOT,
        "exchange": {"name": "binance", "pair_whitelist": [PAIR], "pair_blacklist": []},
        "pairlists": [{"method": "StaticPairList"}],
        "entry_pricing": {"price_side": "other", "use_order_book": False},
        "exit_pricing": {"price_side": "other", "use_order_book": False},
        "unfilledtimeout": {"entry": 10, "exit": 30},
        "dataformat_ohlcv": "feather",
        "original_config": {},
        "internals": {},
    }


def offline(settings):
    markets = {PAIR: MARKET}
    nothing = MagicMock(return_value=None)
    with (
        patch.multiple(
            Exchange,
            _load_async_markets=MagicMock(return_value=markets),
            reload_markets=nothing,
            validate_timeframes=nothing,
            validate_stakecurrency=nothing,
            validate_pricing=nothing,
            additional_exchange_init=nothing,
        ),
    ):
        exchange = ExchangeResolver.load_exchange(settings, validate=False)
    exchange._markets = markets
    exchange._api.markets = markets
    return exchange


def prepare(data, request):
    folder = HOME / "strategies"
    folder.mkdir(exist_ok=True)
    (folder / "made.py").write_text(STRATEGY.format(), encoding="utf-8")
    settings = config({"W1": "Crossing", "W2": "Band"}[request["workload"]])
    exchange = offline(settings)
    with patch.multiple(Exchange, validate_required_startup_candles=MagicMock(return_value=0)):
        made = Backtesting(settings, exchange)
    made._set_strategy(made.strategylist[0])
    frame = pd.DataFrame({"date": pd.to_datetime(data.numpy("ts"), unit="ms", utc=True)})
    for name in ("open", "high", "low", "close", "volume"):
        frame[name] = data.numpy(name)
    first = int(data["ts"][0])

    def run():
        processed = made.strategy.advise_all_indicators({PAIR: frame})
        found = made.backtest(
            processed=processed,
            start_date=frame["date"].iloc[0].to_pydatetime(),
            end_date=frame["date"].iloc[-1].to_pydatetime(),
        )
        return found, first

    return run


def result(given, request):
    found, first = given
    trades = []
    for trade in found["results"].itertuples():
        times = (trade.open_date, trade.close_date)
        opened, closed = (int(when.timestamp() * 1000 - first) // kit.MINUTE_MS for when in times)
        trades.append([opened, closed, trade.open_rate, trade.close_rate, trade.amount])
    return {"trades": trades, "equity": float(found["final_balance"])}


if __name__ == "__main__":
    kit.main(freqtrade.__version__, {"W1": prepare, "W2": prepare}, result)
