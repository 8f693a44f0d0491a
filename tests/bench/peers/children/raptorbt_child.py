"""RaptorBT: signals as arrays in its Rust engine; the variant `class` calls a Python class at every bar."""

import importlib.metadata

import kit
import numpy as np
import raptorbt
from raptorbt.strategy import Strategy, run_strategy_backtest


def candles(data):
    ts = data.numpy("ts") * 1_000_000
    return (ts, *(data.numpy(name) for name in ("open", "high", "low", "close", "volume")))


def config(levels=False):
    made = raptorbt.BacktestConfig(initial_capital=kit.CAPITAL, fees=kit.FEE, fill_timing="next_bar_open")
    if levels:
        made.set_fixed_stop(0.02)
        made.set_fixed_target(0.04)
    return made


def zscores(close):
    windows = np.lib.stride_tricks.sliding_window_view(close, 20)
    z = np.full(len(close), np.nan)
    z[19:] = (close[19:] - windows.mean(axis=1)) / windows.std(axis=1)
    return z


def gaps(close, fast, slow):
    cents = np.round(close * 100)
    gap = raptorbt.sma(cents, fast) - raptorbt.sma(cents, slow)
    gap[: slow - 1] = np.nan
    return gap


def single(bars, enters, leaves, settings):
    return raptorbt.run_single_backtest(
        *bars,
        enters,
        leaves,
        direction=1,
        weight=1.0,
        symbol="BTC",
        config=settings,
        position_sizes=np.full(len(bars[0]), kit.SHARE),
    )


def crossing(data, request):
    if request["variant"] == "class":
        return by_class(data, request)
    bars = candles(data)

    def run():
        gap = gaps(bars[4], 20, 50)
        return single(bars, gap > 0, gap < 0, config())

    return run


def band(data, request):
    if request["variant"] == "class":
        return by_class(data, request)
    bars = candles(data)

    def run():
        z = zscores(bars[4])
        return single(bars, z < -2, z > -0.5, config(levels=True))

    return run


class Crossing(Strategy):
    def __init__(self):
        super().__init__()
        self.held = False

    def on_start(self, ctx):
        self.gap = gaps(ctx.close, 20, 50)

    def on_position_closed(self, ctx, event):
        # A close that it has asked for is told after the next bar, at which it may have asked for an entry.
        if event.trade.exit_reason != "Signal":
            self.held = False

    def on_bar(self, ctx):
        gap = self.gap[ctx.idx]
        if self.held:
            if gap < 0:
                self.held = False
                self.close_position()
        elif gap > 0:
            self.held = True
            self.enter(size_frac=kit.SHARE)


class Band(Crossing):
    def on_start(self, ctx):
        self.z = zscores(ctx.close)

    def on_bar(self, ctx):
        z = self.z[ctx.idx]
        if self.held:
            if z > -0.5:
                self.held = False
                self.close_position()
        elif z < -2:
            self.held = True
            self.enter(size_frac=kit.SHARE)


def by_class(data, request):
    bars = candles(data)
    strategy = {"W1": Crossing, "W2": Band}[request["workload"]]
    settings = config(levels=request["workload"] == "W2")
    return lambda: run_strategy_backtest(strategy(), *bars, direction=1, symbol="BTC", config=settings)


def pairs(data, request):
    bars = candles(data)
    sizes = np.full(len(bars[0]), kit.SHARE)

    def run():
        items = []
        for number, (fast, slow) in enumerate(request["pairs"]):
            gap = gaps(bars[4], fast, slow)
            items.append(raptorbt.BatchSingleItem(str(number), gap > 0, gap < 0, 1, 1.0, "BTC", position_sizes=sizes))
        return raptorbt.batch_single_backtest(*bars, items, config=config())

    return run


def result(given, request):
    if request["workload"] == "W3":
        found = dict(given)
        metrics = [found[str(number)].metrics for number in range(len(found))]
        return {"counts": [m.total_trades for m in metrics], "equities": [m.end_value for m in metrics]}
    trades = [
        [t.entry_idx, t.exit_idx + (t.exit_reason == "EndOfData"), t.entry_price, t.exit_price, t.size]
        for t in given.trades()
    ]
    return {
        "trades": trades,
        "equity": given.metrics.end_value,
        "reasons": sorted({t.exit_reason for t in given.trades()}),
    }


if __name__ == "__main__":
    kit.main(importlib.metadata.version("raptorbt"), {"W1": crossing, "W2": band, "W3": pairs}, result)
