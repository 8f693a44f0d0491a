"""backtesting.py: a strategy class called at every bar, its sizes in whole lots computed at the decision."""

import warnings

import kit
import numpy as np
import pandas as pd
from backtesting import Strategy
from backtesting import __version__ as version
from backtesting.lib import FractionalBacktest

LOT = 1e-6
warnings.filterwarnings("ignore")


def sma(values, length):
    return pd.Series(values).rolling(length).mean().to_numpy()


def zscore(values):
    rolling = pd.Series(values).rolling(20)
    return ((values - rolling.mean()) / rolling.std(ddof=0)).to_numpy()


class Crossing(Strategy):
    fast = 20
    slow = 50

    def init(self):
        close = np.round(self.data.Close / LOT, 2)
        self.gap = self.I(lambda: sma(close, self.fast) - sma(close, self.slow), overlay=False, plot=False)

    def next(self):
        gap = self.gap[-1]
        if self.position:
            if gap < 0:
                self.position.close()
        elif gap > 0:
            self.buy(size=int(kit.SHARE * self.equity / self.data.Close[-1]))


class Band(Strategy):
    def init(self):
        close = np.round(self.data.Close / LOT, 2)
        self.z = self.I(lambda: zscore(close), overlay=False, plot=False)

    def next(self):
        z = self.z[-1]
        if self.position:
            if z > -0.5:
                self.position.close()
        elif z < -2:
            close = self.data.Close[-1]
            self.buy(size=int(kit.SHARE * self.equity / close), sl=close * 0.98, tp=close * 1.04)


def made(data, strategy):
    index = pd.DatetimeIndex(data.numpy("ts").astype("M8[ms]"))
    frame = pd.DataFrame(
        {name.capitalize(): data.numpy(name) for name in ("open", "high", "low", "close", "volume")}, index=index
    )
    return FractionalBacktest(
        frame, strategy, cash=kit.CAPITAL, commission=kit.FEE, fractional_unit=LOT, finalize_trades=True
    )


def single(strategy):
    def prepare(data, request):
        made_ = made(data, strategy)
        return lambda: made_.run()

    return prepare


def pairs(data, request):
    made_ = made(data, Crossing)

    def run():
        found = [made_.run(fast=fast, slow=slow) for fast, slow in request["pairs"]]
        return [(len(one["_trades"]), one["Equity Final [$]"]) for one in found]

    return run


def result(given, request):
    if request["workload"] == "W3":
        return {"counts": [count for count, _ in given], "equities": [float(equity) for _, equity in given]}
    columns = ["EntryBar", "ExitBar", "EntryPrice", "ExitPrice", "Size"]
    return {"trades": given["_trades"][columns].to_numpy().tolist(), "equity": float(given["Equity Final [$]"])}


if __name__ == "__main__":
    kit.main(version, {"W1": single(Crossing), "W2": single(Band), "W3": pairs}, result)
