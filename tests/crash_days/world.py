"""A trading house on recorded bars: real ledger, risk, desk, bots, hub, feed watch and matching, on simulated time.

Each bar is cut into steps of 15 seconds along open, the nearer and the farther extreme, and close, so that breakers see
the price move as a running engine would. Orders fill at the step after the one in which they were placed.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np

from engine import events as ev
from engine.bots.bot import Bot
from engine.clock import SimulatedClock
from engine.errors import ExchangeConnectionError
from engine.execution.desk import Desk
from engine.execution.effects import CancelEffect, PlaceEffect
from engine.execution.ids import ClientIds
from engine.ledger import Ledger
from engine.market.feeds import FeedWatch
from engine.market.hub import MarketHub
from engine.model.account import Account, TradingMode
from engine.model.candle import Bars, Candle, timeframe_ns
from engine.model.faults import BreakerState
from engine.model.ids import AccountId, Currency, InstrumentId, Owner, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.order import OrderStatus
from engine.model.protections import ProtectionSettings
from engine.resilience.breaker import CircuitBreaker
from engine.resilience.caution import Caution
from engine.resilience.handler import ErrorHandler
from engine.resilience.scenario import Scenarios
from engine.risk.breaker_manager import RiskInputs
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from engine.strategy.contract import Strategy
from engine.strategy.runner import StrategyRunner
from engine.venues.markets.recording import one_level_book
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import PaperSettings
from storage.journal import MemoryJournal
from tests.kit.limits import loose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.execution.effects import Effect
    from engine.model.order import OrderSide
    from engine.model.regime import MarketRegime
    from engine.model.signal import Signal

__all__ = ["ACCOUNT", "SECOND", "SHARE", "Guards", "Market", "Plan", "World", "instrument"]

Guards = Literal["all", "equity", "none"]
"""Which breakers act."""

ACCOUNT = AccountId("crash")
SECOND = 1_000_000_000
STEP = 15 * SECOND
CAPITAL = D(100_000)
SHARE = D("0.3")
"""Of equity that each entry is worth; far more than the default, so that a crash hurts."""
HALF_SPREAD = 1e-4
OFF = D(1)
LIMITS = loose(
    position_size_pct=SHARE, max_position_size_pct=D("0.8"), max_portfolio_exposure=D("0.95"), price_band_pct=D("0.5")
)
UNGUARDED = LIMITS.changed(
    dict.fromkeys(
        (
            "max_daily_loss_pct", "max_weekly_loss_pct", "max_monthly_loss_pct", "breaker_drawdown_pct",
            "max_drawdown_pct",
        ),
        OFF,
    )
)  # fmt: skip
"""The same sizes with every loss limit out of reach."""


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One market of a replay."""

    instrument: Instrument
    past: Bars
    """What strategies warm up with."""
    bars: Bars


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A bot."""

    name: str
    strategy: Callable[[], Strategy]
    instrument: InstrumentId


def instrument(venue: str, symbol: str, tick: str, lot: str, fee: str) -> Instrument:
    """A spot market."""
    base, quote = symbol.split("/")
    rules = InstrumentRules(valid_from=0, price_tick=D(tick), lot=D(lot), taker_fee=D(fee), maker_fee=D(fee))
    return Instrument(
        id=InstrumentId(f"{venue}:{symbol}"),
        venue=VenueId(venue),
        symbol=symbol,
        kind=InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(rules,),
    )


class _Sizes:
    """Sizes as the department does, with the share of the replay in place of the strategy's own."""

    def __init__(self, world: World) -> None:
        self._world = world

    def size(self, signal: Signal, instrument: Instrument, owner: Owner, price: D) -> tuple[D, str]:
        """Quantity of an entry."""
        plain = {key: value for key, value in signal.metadata.items() if key != "position_size_pct"}
        return self._world.risk.sizer.size(msgspec.structs.replace(signal, metadata=plain), instrument, owner, price)

    def stop_distance(self, instrument: InstrumentId, side: OrderSide, base: float) -> float:
        """As the department has it."""
        return self._world.risk.sizer.stop_distance(instrument, side, base)

    def regime(self, instrument: InstrumentId) -> MarketRegime | None:
        """As the department has it."""
        return self._world.risk.sizer.regime(instrument)


class World:
    """One replay.

    Args:
        markets: What is traded, all bars of one timeframe.
        plans: The bots.
        guards: Which breakers act: all, those on equity alone, or none.
        deaf: Tells at which times (UTC nanoseconds) the venue sends nothing and answers nothing.
    """

    def __init__(
        self,
        markets: Sequence[Market],
        plans: Sequence[Plan],
        *,
        guards: Guards,
        deaf: Callable[[int], bool] = lambda now: False,
    ) -> None:
        self.markets = {market.instrument.id: market for market in markets}
        first = markets[0]
        self.timeframe, self.length = first.bars.timeframe, timeframe_ns(first.bars.timeframe)
        self.clock = SimulatedClock(int(min(market.bars.ts[0] for market in markets)))
        self.state = EngineState()
        self.journal = MemoryJournal(keep=True)
        self.ledger = Ledger(self.state, self.journal, self.clock, epoch=1)
        self.hub = MarketHub()
        self.errors = ErrorHandler(self.clock)
        self.caution = Caution()
        self.deaf = deaf
        self.down = False
        self.moments: list[tuple[int, str]] = []
        """What acted that is no fact: the technical breaker, feeds."""
        self.equity: dict[int, D] = {}
        """At the end of each bar, by time."""
        self.lowest = CAPITAL
        """Lowest equity at the end of any step."""
        settings = self.errors.settings
        scenarios = Scenarios(self.clock, self.ledger.record, self.errors)
        self.feeds = FeedWatch(self.hub, settings.data_feed_interruption, self.caution, scenarios)
        self.venue = venue = first.instrument.venue
        self.circuit = CircuitBreaker(f"{venue} api", settings.api_calls, self.clock, on_change=self._on_circuit)
        self.exchange = PaperExchange(
            venue, [market.instrument for market in markets], PaperSettings(), kind=FillKind.BAR
        )
        currency = first.instrument.quote
        self.exchange.open_account(ACCOUNT, {currency: CAPITAL})
        inputs = RiskInputs(settings=ProtectionSettings(), markets=self.hub, errors=self.errors)
        self.risk = RiskDepartment(
            self.ledger,
            self.hub,
            UNGUARDED if guards == "none" else LIMITS,
            ACCOUNT,
            caution=self.caution if guards == "all" else None,
            inputs=inputs if guards == "all" else None,
        )
        self.desk = Desk(self.ledger, self.risk.gate, self.hub, ClientIds("crashday", 1), self)
        self.risk.attach(self.desk)
        opened = Account(id=ACCOUNT, venue=venue, mode=TradingMode.BACKTEST, base_currency=currency)
        self.ledger.record(ev.AccountOpened(account=opened))
        self.ledger.record(ev.Deposited(account=ACCOUNT, currency=currency, amount=CAPITAL))
        self._seq = 0
        for market in markets:
            self.ledger.record(ev.InstrumentDefined(instrument=market.instrument))
            self.hub.add(market.instrument)
        self.bots = {Owner(plan.name): self._bot(plan, currency, len(plans)) for plan in plans}
        self.ledger.subscribe(self._tell_bots)

    def _bot(self, plan: Plan, currency: Currency, count: int) -> Bot:
        market = self.markets[plan.instrument]
        runner = StrategyRunner(plan.strategy(), plan.instrument, timeframe=self.timeframe)
        runner.warm_up(market.past)
        owner = Owner(plan.name)
        self.ledger.record(ev.BotCreated(bot=owner, name=plan.name, config=b"{}", capital=CAPITAL, currency=currency))
        return Bot(owner, ACCOUNT, market.instrument, runner, self.desk, self.ledger, self.hub, _Sizes(self))

    def _tell_bots(self, record: ev.Record) -> None:
        event = record.event
        client_id = event.fill.client_id if isinstance(event, ev.OrderFilled) else getattr(event, "client_id", None)
        order = self.state.order(client_id) if client_id is not None else None
        bot = self.bots.get(order.owner) if order is not None else None
        if bot is not None:
            bot.on_record(record)

    # --- the venue ---------------------------------------------------------------------------------------------------

    def put(self, effect: Effect) -> None:
        """The desk's outbox: carry a request out now, as far as the venue answers."""
        if self.down:
            self._fail(effect)
            return
        now = self.clock.now()
        if isinstance(effect, PlaceEffect):
            self.desk.submitted(effect.command.client_id)
            reports = self.exchange.place(effect.command, now)
        elif isinstance(effect, CancelEffect):
            reports = self.exchange.cancel(effect.account, effect.client_id, now)
        else:
            reports = self.exchange.amend(
                effect.account, effect.client_id, now, quantity=effect.quantity, price=effect.price,
                stop_price=effect.stop_price,
            )  # fmt: skip
        for account, event in reports:
            self.desk.on_event(account, event)

    def _fail(self, effect: Effect) -> None:
        self._unanswered("place" if isinstance(effect, PlaceEffect) else "cancel")
        if isinstance(effect, PlaceEffect):
            self.desk.submitted(effect.command.client_id)
            self.desk.unknown(effect.command.client_id, "The venue did not answer.")

    def _unanswered(self, what: str) -> None:
        error = ExchangeConnectionError(f"The venue does not answer ({what}).")
        self.errors.report(error, component="venue", operation=what)
        self.circuit.failed(error)

    def _on_circuit(self, standing: Any) -> None:
        self.moments.append((self.clock.now(), f"technical breaker `{standing.name}` {standing.state}"))
        if standing.state is BreakerState.OPEN:
            self.caution.close(self.venue, f"{self.venue} cannot be reached.")
        elif standing.state is BreakerState.CLOSED:
            self.caution.reopen(self.venue)

    def _ask(self) -> None:
        """Books that are asked for one by one while a feed is silent: the first call that notices an outage."""
        for key in tuple(self.hub.needs_snapshot):
            try:
                self.circuit.admit()
            except Exception:
                return
            if self.down:
                self._unanswered(f"book of {key}")
            else:
                self.circuit.succeeded()
                self.hub.needs_snapshot.discard(key)

    def _back(self) -> None:
        """The venue answers again: what was sent into the silence never arrived."""
        self.circuit.reset()
        for order in list(self.state.orders.values()):
            if order.status is OrderStatus.UNKNOWN:
                gone = ev.OrderRejected(
                    client_id=order.client_id, code="not_found", reason="The venue never had it.", ts=self.clock.now()
                )
                self.desk.on_event(ACCOUNT, gone)
            elif order.cancel_requested:
                for account, event in self.exchange.cancel(order.account, order.client_id, self.clock.now()):
                    self.desk.on_event(account, event)

    # --- time --------------------------------------------------------------------------------------------------------

    def run(self, each: Callable[[World], None] | None = None) -> None:
        """Walk all bars; a market without one stays where it was, and its quotes go on.

        Args:
            each: Called at the end of every bar.
        """
        begin = self.clock.now()
        last = int(max(market.bars.ts[-1] for market in self.markets.values())) + self.length
        rows = {key: {int(ts): i for i, ts in enumerate(market.bars.ts)} for key, market in self.markets.items()}
        price = {key: float(market.bars.open[0]) for key, market in self.markets.items()}
        for opened in range(begin, last, self.length):
            found = {key: rows[key].get(opened) for key in self.markets}
            paths = {
                key: _path(self.markets[key].bars, i, self.length // STEP) if i is not None else None
                for key, i in found.items()
            }
            for step in range(self.length // STEP):
                for key, path in paths.items():
                    here = (price[key], price[key]) if path is None else (path[step], path[step + 1])
                    i = found[key]
                    volume = 0.0 if i is None else float(self.markets[key].bars.volume[i]) * STEP / self.length
                    self._step(key, opened + step * STEP, here, volume)
                    price[key] = here[1]
                self._tick(opened + (step + 1) * STEP)
            for key, i in found.items():
                if i is not None:
                    self._close(key, i, opened)
            if each is not None:
                each(self)
            self.equity[opened + self.length] = self.worth()

    def _step(self, key: InstrumentId, begin: int, ends: tuple[float, float], volume: float) -> None:
        start, end = ends
        self.clock.set(begin)
        silent = self.deaf(begin)
        if silent is not self.down:
            self.down = silent
            if not silent:
                self._back()
        if not silent:
            top, bottom = max(ends), min(ends)
            self.exchange.on_bar(key, begin, begin + STEP, start, top, bottom, end, volume, self.desk.on_event)
        self.clock.set(begin + STEP)
        if silent:
            return
        self._seq += 1
        market = self.hub.markets[key]
        book = one_level_book(market.instrument, begin + STEP, self._seq, end, HALF_SPREAD, 10**6)
        self.hub.on_market(book, begin + STEP)
        if volume > 0:
            market.traded = begin + STEP

    def _tick(self, now: int) -> None:
        self.clock.set(now)
        before = set(self.feeds.silent)
        self.feeds.tick(now)
        for key in sorted(set(self.feeds.silent) ^ before):
            word = "is silent: nothing is opened there" if key in self.feeds.silent else "is heard again"
            self.moments.append((now, f"feed watch: {key} {word}"))
        self._ask()
        self.risk.tick(now)
        self.lowest = min(self.lowest, self.worth())

    def _close(self, key: InstrumentId, i: int, opened: int) -> None:
        if self.down:
            return
        bars = self.markets[key].bars
        o, h, low, c, volume = (
            float(column[i]) for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)
        )
        self.hub.on_market(Candle(key, self.timeframe, opened, o, h, low, c, volume), self.clock.now())
        one = Bars(
            self.timeframe, bars.ts[i : i + 1], bars.open[i : i + 1], bars.high[i : i + 1], bars.low[i : i + 1],
            bars.close[i : i + 1], bars.volume[i : i + 1],
        )  # fmt: skip
        for bot in self.bots.values():
            if bot.instrument.id == key:
                bot.settle()
                bot.on_bars(one)

    # --- what is seen ------------------------------------------------------------------------------------------------

    def worth(self) -> D:
        """Equity at the last prices that are known."""
        self.risk.picture.look()
        return self.risk.picture.equity(ACCOUNT).value

    def held(self) -> dict[InstrumentId, D]:
        """Quantities held by instrument."""
        return {key: position.quantity for (_, key), position in self.state.positions.items() if position.quantity}


def _path(bars: Bars, i: int, steps: int) -> list[float]:
    """Prices at the ends of a bar's steps: from the open to the nearer extreme, the farther one, and the close."""
    opened, high, low, close = (float(column[i]) for column in (bars.open, bars.high, bars.low, bars.close))
    turns = [opened, high, low, close] if high - opened <= opened - low else [opened, low, high, close]
    found = np.interp(np.linspace(0.0, 3.0, steps + 1), np.arange(4.0), turns)
    if steps == 4:
        # Four steps are too few to touch both extremes evenly: they are met at the end of the second and third.
        found = np.array([opened, (opened + turns[1]) / 2, turns[1], turns[2], close])
    return [float(value) for value in found]
