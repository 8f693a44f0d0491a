"""vectorbt with its Rust engine: indicators, signals one bar later, a portfolio filled at the open."""

import warnings

import kit
import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")

import vectorbt as vbt  # noqa: E402
from vectorbt.portfolio.enums import StopEntryPrice  # noqa: E402

vbt.settings["engine"] = "rust"
PARTS = 25
"""Pairs of W3 simulated at once: all 100 together take several gigabytes more and no less time."""


def mean(values, length):
    return vbt.MA.run(values, window=length, short_name=f"ma{length}").ma.to_numpy()


def later(signal):
    shifted = np.zeros_like(signal)
    shifted[1:] = signal[:-1]
    return shifted


def frame(data):
    index = pd.DatetimeIndex(data.numpy("ts").astype("M8[ms]"))
    return {name: pd.Series(data.numpy(name), index=index) for name in ("open", "high", "low", "close")}


def portfolio(columns, enters, leaves, **others):
    return vbt.Portfolio.from_signals(
        columns["close"],
        enters,
        leaves,
        price=columns["open"],
        size=kit.SHARE,
        size_type="percent",
        fees=kit.FEE,
        init_cash=kit.CAPITAL,
        freq="1min",
        **others,
    )


def crossing(data, request):
    columns = frame(data)
    cents = np.round(columns["close"] * 100)

    def run():
        gap = mean(cents, 20).ravel() - mean(cents, 50).ravel()
        made = portfolio(columns, later(gap > 0), later(gap < 0))
        return made.trades.records, made.final_value()

    return run


def band(data, request):
    columns = frame(data)

    def run():
        close = columns["close"]
        z = (
            (close - mean(close, 20).ravel()) / vbt.MSTD.run(close, window=20, ddof=0).mstd.to_numpy().ravel()
        ).to_numpy()
        made = portfolio(
            columns,
            later(z < -2),
            later(z > -0.5),
            open=columns["open"],
            high=columns["high"],
            low=columns["low"],
            sl_stop=0.02,
            tp_stop=0.04,
            stop_entry_price=StopEntryPrice.FillPrice,
        )
        return made.trades.records, made.final_value()

    return run


def pairs(data, request):
    columns = frame(data)
    cents = np.round(columns["close"] * 100)
    asked = request["pairs"]

    def run():
        lengths = sorted({length for pair in asked for length in pair})
        averages = vbt.MA.run(cents, window=lengths).ma.to_numpy()
        place = {length: number for number, length in enumerate(lengths)}
        found = []
        for first in range(0, len(asked), request.get("part", PARTS)):
            part = asked[first : first + request.get("part", PARTS)]
            gap = averages[:, [place[f] for f, _ in part]] - averages[:, [place[s] for _, s in part]]
            made = portfolio(columns, later(gap > 0), later(gap < 0))
            found += zip(made.trades.count().tolist(), made.final_value().tolist(), strict=True)
        return found

    return run


def result(given, request):
    if request["workload"] == "W3":
        return {"counts": [count for count, _ in given], "equities": [equity for _, equity in given]}
    records, equity = given
    trades = [
        [int(r.entry_idx), int(r.exit_idx) + (r.status == 0), float(r.entry_price), float(r.exit_price), float(r.size)]
        for r in records.itertuples()
    ]
    return {"trades": trades, "equity": float(equity)}


if __name__ == "__main__":
    kit.main(vbt.__version__, {"W1": crossing, "W2": band, "W3": pairs}, result)
