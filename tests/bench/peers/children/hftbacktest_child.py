"""hftbacktest: the quoter compiled by numba on its Rust engine, quotes as changes of a one-level book, no latency."""

import importlib.metadata

import kit
import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    FILLED,
    GTC,
    LIMIT,
    LOCAL_EVENT,
    NEW,
    SELL_EVENT,
    BacktestAsset,
    HashMapMarketDepthBacktest,
    event_dtype,
)
from numba import njit

EVERY = 100
SIZE = 0.01


@njit
def quoter(hbt, times, fills):
    """Replace both orders at every one of these times; gives the number of fills, each (time, side, price tick)."""
    count = 0
    number = 1
    working = np.zeros(2, np.uint64)
    hbt.elapse(1)  # only now its clock stands at the first event
    for k in range(len(times) + 1):
        if k == len(times):
            hbt.elapse(10**15)
        elif hbt.elapse(times[k] - hbt.current_timestamp) != 0:
            break
        orders = hbt.orders(0)
        for side in range(2):
            if working[side] == 0:
                continue
            order = orders.get(working[side])
            if order is None:
                continue
            if order.status == FILLED:
                fills[count, 0] = order.exch_timestamp
                fills[count, 1] = 1 - 2 * side
                fills[count, 2] = order.price_tick
                count += 1
            elif order.status == NEW:
                hbt.cancel(0, working[side], False)
        if k == len(times):
            break
        hbt.clear_inactive_orders(0)
        depth = hbt.depth(0)
        hbt.submit_buy_order(0, number, depth.best_bid, SIZE, GTC, LIMIT, False)
        hbt.submit_sell_order(0, number + 1, depth.best_ask, SIZE, GTC, LIMIT, False)
        working[0], working[1] = number, number + 1
        number += 2
    return count


def events(data):
    """Per quote: levels that have gone as emptied, then the bid and the ask."""
    ts, bid, ask = data.numpy("ts"), data.numpy("bid"), data.numpy("ask")
    sizes = data.numpy("bid_size"), data.numpy("ask_size")
    moved = [np.concatenate([[False], side[1:] != side[:-1]]) for side in (bid, ask)]
    parts = []
    for side, flag, there, size, order in (
        (bid, BUY_EVENT, moved[0], sizes[0], 0),
        (ask, SELL_EVENT, moved[1], sizes[1], 1),
    ):
        gone = np.flatnonzero(there)
        for index, prices, amounts, rank in (
            (gone, side[gone - 1], np.zeros(len(gone)), order),
            (np.arange(len(ts)), side, size, 2 + order),
        ):
            made = np.zeros(len(index), event_dtype)
            made["ev"] = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | flag
            made["exch_ts"] = made["local_ts"] = ts[index]
            made["px"], made["qty"] = prices, amounts
            parts.append((index * 4 + rank, made))
    order = np.argsort(np.concatenate([rank for rank, _ in parts]), kind="stable")
    found = np.concatenate([made for _, made in parts])[order]
    # Its clock stands at the first event, which it then does not read: the first quote is there once before.
    before = found[:2].copy()
    before["exch_ts"] = before["local_ts"] = ts[0] - 1_000_000
    return np.concatenate([before, found])


def prepare(data, request):
    feed = events(data)
    ts = data.numpy("ts")
    times = ts[::EVERY].copy()
    fills = np.zeros((2 * len(times) + 2, 3), np.int64)
    asset = (
        BacktestAsset()
        .data([feed])
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.001, 0.001)
        .tick_size(0.1)
        .lot_size(0.001)
    )
    hbt = HashMapMarketDepthBacktest([asset])

    def run():
        count = quoter(hbt, times, fills)
        return ts, fills[:count], hbt, feed

    return run


def result(given, request):
    ts, fills, _, _ = given
    found = sorted((int(np.searchsorted(ts, when)), -side, tick * 0.1) for when, side, tick in fills.tolist())
    return {"fills": [[quote, -side, price] for quote, side, price in found]}


if __name__ == "__main__":
    kit.main(importlib.metadata.version("hftbacktest"), {"W4": prepare}, result)
