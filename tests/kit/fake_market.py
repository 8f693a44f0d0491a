"""The markets of one fixed afternoon as the doors show them: instruments, candles, books and trades."""

from __future__ import annotations

import math
import random
from decimal import Decimal
from functools import cache

from engine.control import views
from engine.model.candle import Candle, timeframe_ns
from engine.model.ids import Currency, InstrumentId, VenueId
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderSide

__all__ = [
    "BTC",
    "DAY",
    "HOUR",
    "MINUTE",
    "NOW",
    "NS",
    "SIM",
    "SYMBOLS",
    "book",
    "candles",
    "instrument",
    "instrument_rows",
    "tickers",
    "trades",
]

NS = 1_000_000_000
MINUTE, HOUR, DAY = 60 * NS, 3600 * NS, 86_400 * NS
NOW = 1_773_500_966_200_000_000
"""2026-03-14 15:09:26.2 UTC."""
SIM = VenueId("SIM")
BTC = InstrumentId("SIM:BTC/USDT")
# symbol, last price, tick, lot, price scale, quantity scale, change over a day
SYMBOLS = (
    ("BTC/USDT", "67431.10", "0.10", "0.00001", 2, 5, 0.0124),
    ("ETH/USDT", "3512.42", "0.01", "0.0001", 2, 4, -0.0087),
    ("ETH/BTC", "0.05209", "0.00001", "0.0001", 5, 4, -0.0208),
    ("SOL/USDT", "148.37", "0.01", "0.001", 2, 3, 0.0461),
    ("BNB/USDT", "571.20", "0.10", "0.001", 2, 3, 0.0),
)
D = Decimal


def instrument(symbol: str) -> InstrumentId:
    """The id of a symbol of the simulated venue."""
    return InstrumentId(f"SIM:{symbol}")


def instrument_rows() -> list[views.InstrumentRow]:
    """The five instruments."""
    rows = []
    for symbol, _, tick, lot, price_scale, quantity_scale, _ in SYMBOLS:
        base, _, quote = symbol.partition("/")
        rows.append(
            views.InstrumentRow(
                id=instrument(symbol),
                symbol=symbol,
                venue=SIM,
                kind=InstrumentKind.SPOT,
                base=Currency(base),
                quote=Currency(quote),
                price_tick=D(tick),
                lot=D(lot),
                min_quantity=D(lot),
                min_notional=D(10) if quote == "USDT" else D("0.0001"),
                maker_fee=D("0.001"),
                taker_fee=D("0.001"),
                price_scale=price_scale,
                quantity_scale=quantity_scale,
            )
        )
    return rows


def candles(symbol: str, timeframe: str, limit: int) -> list[Candle]:
    """A seeded walk that ends at the symbol's last price, the last bar still growing."""
    return list(_walk(symbol, timeframe, limit))


@cache
def _walk(symbol: str, timeframe: str, limit: int) -> tuple[Candle, ...]:
    entry = next(entry for entry in SYMBOLS if entry[0] == symbol)
    last, tick = float(entry[1]), float(entry[2])
    step = timeframe_ns(timeframe)
    rng = random.Random(f"{symbol} {timeframe}")
    scale = 0.0009 * math.sqrt(step / MINUTE)
    walk, drift = [0.0], 0.0
    for _ in range(limit):
        drift = 0.9 * drift + 0.12 * scale * rng.gauss(0, 1)
        walk.append(walk[-1] + drift + scale * rng.gauss(0, 1))
    closes = [last * math.exp(value - walk[-1]) for value in walk]
    start = NOW // step * step - (limit - 1) * step
    rows: list[Candle] = []
    for index in range(limit):
        open_, close = closes[index], closes[index + 1]
        high = max(open_, close) * (1 + abs(rng.gauss(0, scale / 2)))
        low = min(open_, close) * (1 - abs(rng.gauss(0, scale / 2)))
        o, h, low_, c = (round(round(value / tick) * tick, 8) for value in (open_, high, low, close))
        volume = round(rng.lognormvariate(1.5, 0.7) * (1 + 40 * abs(close / open_ - 1) / scale / 40), 3)
        rows.append(
            Candle(instrument(symbol), timeframe, start + index * step, o, h, low_, c, volume, index < limit - 1)
        )
    return tuple(rows)


def tickers() -> tuple[views.TickerRow, ...]:
    """The markets in one line each."""
    rows = []
    for symbol, last, tick, *_, change in SYMBOLS:
        spark = tuple(candle.close for candle in candles(symbol, "1h", 24))
        price = D(last)
        rows.append(
            views.TickerRow(
                instrument=instrument(symbol),
                symbol=symbol,
                bid=price - D(tick),
                ask=price,
                last=price,
                change_pct=change,
                high=max(spark) * 1.002,
                low=min(spark) * 0.998,
                volume=1284.5 if symbol.startswith("BTC") else 18_204.0,
                ts=NOW - NS // 5,
                spark=spark,
            )
        )
    return tuple(rows)


def book(symbol: str, depth: int, own: tuple[views.OwnLevel, ...] = ()) -> views.BookView:
    """A book around the last price with own orders at their places."""
    _, last, tick, _, price_scale, quantity_scale, _ = next(entry for entry in SYMBOLS if entry[0] == symbol)
    rng = random.Random(f"book {symbol}")
    step = int(D(tick).scaleb(price_scale))
    ask = int(D(last).scaleb(price_scale))
    size = {"BTC/USDT": 0.4, "ETH/USDT": 6.0}.get(symbol, 40.0)

    def side(start: int, direction: int) -> tuple[tuple[int, int], ...]:
        level, rows = start, []
        for _ in range(depth):
            rows.append((level, max(1, int(rng.lognormvariate(0, 0.8) * size * 10**quantity_scale))))
            level += direction * step * rng.choice((1, 1, 1, 2, 3))
        return tuple(rows)

    return views.BookView(
        instrument=instrument(symbol),
        ts=NOW - NS // 5,
        seq=48_211,
        price_scale=price_scale,
        quantity_scale=quantity_scale,
        tick=step,
        bids=side(ask - step, -1),
        asks=side(ask, 1),
        own=own,
        last=ask,
        last_side=OrderSide.BUY,
        live=True,
    )


def trades(symbol: str, count: int = 60) -> views.TradesView:
    """Recent public trades, newest first."""
    _, last, tick, _, price_scale, quantity_scale, _ = next(entry for entry in SYMBOLS if entry[0] == symbol)
    rng = random.Random(f"trades {symbol}")
    step, price, ts, rows = int(D(tick).scaleb(price_scale)), int(D(last).scaleb(price_scale)), NOW - NS // 3, []
    for _ in range(count):
        side = rng.choice((OrderSide.BUY, OrderSide.SELL))
        quantity = max(1, int(rng.lognormvariate(-2.2, 1.1) * 10**quantity_scale))
        rows.append(views.TradeRow(ts=ts, price=price, quantity=quantity, aggressor=side))
        price += step * rng.choice((-2, -1, 0, 0, 1, 2))
        ts -= int(rng.expovariate(1.1) * NS)
    return views.TradesView(
        instrument=instrument(symbol), price_scale=price_scale, quantity_scale=quantity_scale, trades=tuple(rows)
    )
