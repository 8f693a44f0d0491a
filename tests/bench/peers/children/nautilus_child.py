"""NautilusTrader: a Python strategy on its backtest engine; on bars, orders fill at the close of the decision."""

import importlib.metadata
from decimal import Decimal

import kit
import numpy as np
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import BacktestEngineConfig, LoggingConfig, StrategyConfig
from nautilus_trader.model.currencies import BTC, USDT
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide, OrderType
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("SIM")
ID = InstrumentId(Symbol("BTCUSDT"), VENUE)
BAR_TYPE = BarType.from_str(f"{ID}-1-MINUTE-LAST-EXTERNAL")
MINUTE_NS = 60_000_000_000
SIZES = 6
"""Decimals of a quantity."""


def instrument(decimals):
    return CurrencyPair(
        instrument_id=ID,
        raw_symbol=Symbol("BTCUSDT"),
        base_currency=BTC,
        quote_currency=USDT,
        price_precision=decimals,
        size_precision=SIZES,
        price_increment=Price(10**-decimals, decimals),
        size_increment=Quantity(10**-SIZES, SIZES),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
        ts_event=0,
        ts_init=0,
    )


def engine(decimals):
    made = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
    money, coins = (kit.CAPITAL, 0) if decimals == 2 else (1e7, 1000)
    made.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        starting_balances=[Money(money, USDT), Money(coins, BTC)],
    )
    made.add_instrument(instrument(decimals))
    return made


def gaps(close):
    sums = np.concatenate([[0], np.cumsum(np.rint(close * 100).astype(np.int64))])
    gap = np.zeros(len(close))
    gap[49:] = (sums[50:] - sums[30:-20]) * 5 - (sums[50:] - sums[:-50]) * 2
    return gap.tolist()


def zscores(close):
    windows = np.lib.stride_tricks.sliding_window_view(close, 20)
    z = np.full(len(close), -1.0)
    z[19:] = (close[19:] - windows.mean(axis=1)) / windows.std(axis=1)
    return z.tolist()


class Base(Strategy):
    def __init__(self, signal):
        super().__init__(StrategyConfig(order_id_tag="1"))
        self.signal = signal
        self.i = -1
        self.held = None
        self.closed = []

    def on_start(self):
        self.made = self.cache.instrument(ID)
        self.account = self.portfolio.account(VENUE)
        self.subscribe_bars(BAR_TYPE)

    def quantity(self, close):
        cash = self.account.balance_total(USDT).as_double()
        return Quantity(int(kit.SHARE * cash / close * 10**SIZES) / 10**SIZES, SIZES)

    def on_position_opened(self, event):
        self.held = event.position_id

    def on_position_closed(self, event):
        self.held = None
        self.closed.append(
            (event.ts_opened, event.ts_closed, event.avg_px_open, event.avg_px_close, event.peak_qty.as_double())
        )

    def leave(self):
        self.cancel_all_orders(ID)
        self.close_position(self.cache.position(self.held))


class Crossing(Base):
    def on_bar(self, bar):
        self.i += 1
        gap = self.signal[self.i]
        if self.held is not None:
            if gap < 0:
                self.leave()
        elif gap > 0:
            self.submit_order(self.order_factory.market(ID, OrderSide.BUY, self.quantity(bar.close.as_double())))


class Band(Base):
    def on_bar(self, bar):
        self.i += 1
        z = self.signal[self.i]
        if self.held is not None:
            if z > -0.5:
                self.leave()
        elif z < -2:
            close = bar.close.as_double()
            self.submit_order_list(
                self.order_factory.bracket(
                    instrument_id=ID,
                    order_side=OrderSide.BUY,
                    quantity=self.quantity(close),
                    entry_order_type=OrderType.MARKET,
                    sl_trigger_price=Price(close * 0.98, 2),
                    tp_price=Price(close * 1.04, 2),
                    tp_post_only=False,
                )
            )


def bars(data, request):
    close = data.numpy("close")
    ts = (data.numpy("ts") * 1_000_000 + MINUTE_NS).astype(np.uint64)
    # A bar fills at most a part of its volume at a price: with more of it, every order fills whole.
    columns = [data.numpy(name) for name in ("open", "high", "low", "close")] + [data.numpy("volume") * 1e6]
    made = engine(2)
    made.add_data(Bar.from_raw_arrays_to_list(BAR_TYPE, 2, SIZES, *columns, ts, ts))
    band = request["workload"] == "W2"
    first = int(ts[0])

    def run():
        strategy = Band(zscores(close)) if band else Crossing(gaps(close))
        made.add_strategy(strategy)
        made.run()
        return made, strategy, first, float(close[-1]), len(close)

    return run


class Quoter(Strategy):
    def __init__(self):
        super().__init__(StrategyConfig(order_id_tag="1"))
        self.i = -1
        self.working = []
        self.fills = []
        self.size = Quantity(0.01, SIZES)

    def on_start(self):
        self.subscribe_quote_ticks(ID)

    def on_quote_tick(self, tick):
        self.i += 1
        if self.i % 100:
            return
        for order in self.working:
            if not order.is_closed:
                self.cancel_order(order)
        limit = self.order_factory.limit
        self.working = [
            limit(ID, OrderSide.BUY, self.size, tick.bid_price),
            limit(ID, OrderSide.SELL, self.size, tick.ask_price),
        ]
        for order in self.working:
            self.submit_order(order)

    def on_order_filled(self, event):
        self.fills.append((event.ts_event, 1 if event.is_buy else -1, event.last_px.as_double()))


def quotes(data, request):
    ts = data.numpy("ts").astype(np.uint64)
    made = engine(1)
    columns = [data.numpy(name) for name in ("bid", "ask", "bid_size", "ask_size")]
    made.add_data(QuoteTick.from_raw_arrays_to_list(ID, 1, SIZES, *columns, ts, ts))

    def run():
        strategy = Quoter()
        made.add_strategy(strategy)
        made.run()
        return ts, strategy.fills

    return run


def result(given, request):
    if request["workload"] == "W4":
        ts, fills = given
        return {"fills": [[int(np.searchsorted(ts, when)), side, price] for when, side, price in fills]}
    made, strategy, first, close, count = given
    account = strategy.account
    cash, coins = (account.balance_total(currency).as_double() for currency in (USDT, BTC))
    trades = [
        [(opened - first) // MINUTE_NS, (closed - first) // MINUTE_NS, paid, got, size]
        for opened, closed, paid, got, size in strategy.closed
    ]
    if strategy.held is not None:
        position = made.cache.position(strategy.held)
        entered = (position.ts_opened - first) // MINUTE_NS
        trades.append([entered, count, position.avg_px_open, close, position.quantity.as_double()])
    return {"trades": trades, "equity": cash + coins * close}


if __name__ == "__main__":
    kit.main(importlib.metadata.version("nautilus_trader"), {"W1": bars, "W2": bars, "W4": quotes}, result)
