"""backtrader: a strategy called at every bar, bracket orders for stop and target; signals made at the start."""

import datetime

import backtrader as bt
import kit

FIRST = datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)


def averages(close, length):
    """Sums of whole cents: the average without a rounding."""
    cents = [round(price * 100) for price in close]
    total, sums = 0, [0] * len(cents)
    for i, value in enumerate(cents):
        total += value - (cents[i - length] if i >= length else 0)
        sums[i] = total
    return sums


def gaps(close, fast, slow):
    gap = [a * slow - b * fast for a, b in zip(averages(close, fast), averages(close, slow), strict=True)]
    gap[: slow - 1] = [0] * (slow - 1)
    return gap


def zscores(close):
    found = [0.0] * len(close)
    for i in range(19, len(close)):
        window = close[i - 19 : i + 1]
        mean = sum(window) / 20
        found[i] = (close[i] - mean) / (sum((x - mean) ** 2 for x in window) / 20) ** 0.5
    found[:19] = [-1.0] * 19
    return found


class Feed(bt.feed.DataBase):
    """Bars from arrays that were converted before the run."""

    def __init__(self):
        super().__init__()
        self.rows = iter(ROWS)

    def _load(self):
        row = next(self.rows, None)
        if row is None:
            return False
        lines = self.lines
        lines.datetime[0], lines.open[0], lines.high[0], lines.low[0], lines.close[0], lines.volume[0] = row
        lines.openinterest[0] = 0.0
        return True


ROWS = []
TRADES = []
OPEN = []
SIGNAL = []


class Base(bt.Strategy):
    def __init__(self):
        self.stop_order = None
        self.signal = SIGNAL

    def notify_order(self, order):
        if order.status != order.Completed:
            return
        bar, price, size = len(self) - 1, order.executed.price, order.executed.size
        if order.isbuy():
            OPEN[:] = (bar, price, size)
        else:
            TRADES.append([OPEN[0], bar, OPEN[1], price, OPEN[2]])
            OPEN.clear()


class Crossing(Base):
    def next(self):
        gap = self.signal[len(self) - 1]
        if self.position.size:
            if gap < 0:
                self.close()
        elif gap > 0:
            self.buy(size=kit.SHARE * self.broker.get_cash() / self.data.close[0])


class Band(Base):
    def next(self):
        z = self.signal[len(self) - 1]
        if self.position.size:
            if z > -0.5:
                self.cancel(self.stop_order)
                self.close()
        elif z < -2:
            close = self.data.close[0]
            size = kit.SHARE * self.broker.get_cash() / close
            _, self.stop_order, _ = self.buy_bracket(
                size=size, exectype=bt.Order.Market, stopprice=close * 0.98, limitprice=close * 1.04
            )


def prepare(data, request):
    ROWS[:] = zip(
        (bt.date2num(FIRST + MINUTE * i) for i in range(len(data))),
        *(data[name] for name in ("open", "high", "low", "close", "volume")),
        strict=True,
    )
    TRADES.clear()
    OPEN.clear()
    close = data["close"].tolist()
    band = request["workload"] == "W2"

    def run():
        global SIGNAL
        SIGNAL = zscores(close) if band else gaps(close, 20, 50)
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(Feed())
        cerebro.addstrategy(Band if band else Crossing)
        cerebro.broker.setcash(kit.CAPITAL)
        cerebro.broker.setcommission(commission=kit.FEE)
        cerebro.run()
        return cerebro.broker

    return run


def result(broker, request):
    if OPEN:
        TRADES.append([OPEN[0], len(ROWS), OPEN[1], ROWS[-1][4], OPEN[2]])
    return {"trades": TRADES, "equity": broker.getvalue()}


if __name__ == "__main__":
    kit.main(bt.__version__, {"W1": prepare, "W2": prepare}, result)
