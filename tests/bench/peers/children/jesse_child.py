"""jesse: its research backtest over one-minute candles; market orders fill at the close of the decision."""

import importlib.metadata
import os
import tempfile

# It writes folders into the working directory.
os.chdir(tempfile.mkdtemp(prefix="jesse-"))

import kit  # noqa: E402
import numpy as np  # noqa: E402
from jesse.research import backtest  # noqa: E402
from jesse.strategies import Strategy  # noqa: E402

EXCHANGE, SYMBOL = "Binance Perpetual Futures", "BTC-USDT"
SIGNAL = np.zeros(0)
START_MS = 0


class Crossing(Strategy):
    def should_long(self):
        return SIGNAL[self.index] > 0

    def go_long(self):
        self.buy = kit.SHARE * self.balance / self.price, self.price

    def update_position(self):
        if SIGNAL[self.index] < 0:
            self.liquidate()


class Band(Strategy):
    def should_long(self):
        return SIGNAL[self.index] < -2

    def go_long(self):
        quantity = kit.SHARE * self.balance / self.price
        self.buy = quantity, self.price
        self.stop_loss = quantity, self.price * 0.98
        self.take_profit = quantity, self.price * 1.04

    def update_position(self):
        if SIGNAL[self.index] > -0.5:
            self.liquidate()


def gaps(close):
    sums = np.concatenate([[0], np.cumsum(np.rint(close * 100).astype(np.int64))])
    gap = np.zeros(len(close))
    gap[49:] = (sums[50:] - sums[30:-20]) * 5 - (sums[50:] - sums[:-50]) * 2
    return gap


def zscores(close):
    windows = np.lib.stride_tricks.sliding_window_view(close, 20)
    z = np.full(len(close), -1.0)
    z[19:] = (close[19:] - windows.mean(axis=1)) / windows.std(axis=1)
    return z


def prepare(data, request):
    global START_MS
    # Its columns are time, open, close, high, low, volume.
    names = ("ts", "open", "close", "high", "low", "volume")
    candles = np.column_stack([data.numpy(name).astype(float) for name in names])
    START_MS = int(candles[0, 0])
    band = request["workload"] == "W2"
    config = {
        "starting_balance": kit.CAPITAL,
        "fee": kit.FEE,
        "type": "futures",
        "futures_leverage": 2,
        "futures_leverage_mode": "cross",
        "exchange": EXCHANGE,
        "warm_up_candles": 0,
    }
    key = f"{EXCHANGE}-{SYMBOL}"
    route = {"exchange": EXCHANGE, "strategy": Band if band else Crossing, "symbol": SYMBOL, "timeframe": "1m"}

    def run():
        global SIGNAL
        close = candles[:, 2]
        SIGNAL = zscores(close) if band else gaps(close)
        return backtest(
            config,
            [route],
            [],
            {key: {"exchange": EXCHANGE, "symbol": SYMBOL, "candles": candles}},
            fast_mode=True,
        )

    return run


def result(given, request):
    trades = [
        [
            (int(t["opened_at"]) - START_MS) // kit.MINUTE_MS - 1,
            (int(t["closed_at"]) - START_MS) // kit.MINUTE_MS - 1,
            t["entry_price"],
            t["exit_price"],
            t["qty"],
        ]
        for t in given["trades"]
    ]
    return {"trades": trades, "equity": given["metrics"]["finishing_balance"]}


if __name__ == "__main__":
    kit.main(importlib.metadata.version("jesse"), {"W1": prepare, "W2": prepare}, result)
