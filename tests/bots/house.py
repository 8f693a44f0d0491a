"""A bot's whole surroundings, real but for the market: ledger, risk, desk and a paper exchange that is fed bars."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.bots.bot import Bot
from engine.clock import SimulatedClock
from engine.execution.desk import Desk
from engine.execution.effects import AmendEffect, CancelEffect, Effect, PlaceEffect
from engine.execution.ids import ClientIds
from engine.ledger import Ledger
from engine.model.account import Account, TradingMode
from engine.model.ids import MANUAL, AccountId, Currency, InstrumentId, Owner, VenueId
from engine.model.order import Decision, Order, OrderRequest, OrderSide, OrderType
from engine.model.risk import Quote
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.model.venue import AMEND_UNSUPPORTED
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from engine.strategy.contract import Holding, Strategy, StrategyMemory, Wish
from engine.strategy.runner import StrategyRunner
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import BarFillSettings, FeeCurrency, PaperSettings, SlippageModel
from storage.journal import MemoryJournal
from tests.kit.limits import loose
from tests.venues.paper.helpers import make_instrument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.candle import Bars, FloatArray
    from engine.model.limits import RiskLimits
    from engine.model.regime import MarketRegime
    from engine.strategy.toolkit import Toolkit

VENUE, PAPER, USDT, BTC = VenueId("SIM"), AccountId("paper"), Currency("USDT"), Currency("BTC")
MARKET = InstrumentId("SIM:BTC/USDT")
BOT = Owner("bot1")
MINUTE = 60_000_000_000
BUY, SELL = SignalDirection.BUY, SignalDirection.SELL
LOOSE = loose(
    max_position_size_pct=D(1),
    position_size_pct=D("0.1"),
    max_portfolio_exposure=D(1),
    price_band_pct=D(1),
    max_daily_loss_pct=D(1),
    max_weekly_loss_pct=D(1),
    max_monthly_loss_pct=D(1),
    breaker_drawdown_pct=D(1),
    max_drawdown_pct=D(1),
    max_orders_per_second=1000,
    max_orders_per_minute=60_000,
)


class Remembers(StrategyMemory):
    """How often it was asked."""

    asked: int = 0


class Quiet(Strategy):
    """Wishes for nothing by itself."""

    name = "quiet"
    timeframe = "1m"
    Memory = Remembers

    def warmup(self, timeframe: str) -> int:
        """One bar."""
        return 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        """One average, so that there is something to carry."""
        return {"mean": ta.ema(bars.close, 3)}

    def decide(self, row: Any, memory: Any, holding: Holding) -> Wish | None:
        """Nothing."""
        memory.asked += 1
        return None


class Fixed:
    """Sizes every entry alike."""

    def __init__(self, quantity: str = "1") -> None:
        self.quantity = D(quantity)
        self.reason = ""
        self.stops = 1.0
        self.told: MarketRegime | None = None

    def size(self, signal: Signal, instrument: object, owner: Owner, price: D) -> tuple[D, str]:
        return (D(0), self.reason) if self.reason else (self.quantity, "")

    def stop_distance(self, instrument: InstrumentId, side: OrderSide, base: float) -> float:
        return base * self.stops

    def regime(self, instrument: InstrumentId) -> MarketRegime | None:
        return self.told


class House:
    """One account with 100,000 USDT, a market at 100, and one bot.

    Args:
        taker: Fee as a fraction.
        fees_in_base: Buys pay their fee in units.
        slow: Effects wait until `deliver` is called, as they do for a real venue.
        limits: Risk limits.
    """

    def __init__(
        self, *, taker: str = "0", fees_in_base: bool = False, slow: bool = False, limits: RiskLimits = LOOSE
    ) -> None:
        self.clock = SimulatedClock(1_700_000_000_000_000_000 // MINUTE * MINUTE)
        self.state = EngineState()
        self.journal = MemoryJournal(keep=True)
        self.ledger = Ledger(self.state, self.journal, self.clock, epoch=1)
        self.instrument = make_instrument(lot="0.001", taker=taker)
        plain = BarFillSettings(half_spread_bps=0, slippage=SlippageModel.NONE, participation=None)
        fee_currency = FeeCurrency.RECEIVED if fees_in_base else FeeCurrency.QUOTE
        self.exchange = PaperExchange(
            VENUE, [self.instrument], PaperSettings(bars=plain, fee_currency=fee_currency), kind=FillKind.BAR
        )
        self.exchange.open_account(PAPER, {USDT: D(100_000)})
        self.slow = slow
        self.rigid = False
        """Whether the venue changes no order in place."""
        self.effects: list[Effect] = []
        self.sent: list[Effect] = []
        self.last = 100.0
        self.heard = self.clock.now()
        self.risk = RiskDepartment(self.ledger, self, limits, PAPER)
        self.desk = Desk(self.ledger, self.risk.gate, self, ClientIds("abcdefgh", 1), self)
        self.risk.attach(self.desk)
        self.sizer = Fixed()
        account = Account(id=PAPER, venue=VENUE, mode=TradingMode.PAPER, base_currency=USDT)
        self.ledger.record(ev.AccountOpened(account=account))
        self.ledger.record(ev.InstrumentDefined(instrument=self.instrument))
        self.ledger.record(ev.Deposited(account=PAPER, currency=USDT, amount=D(100_000)))
        self.ledger.record(ev.BotCreated(bot=BOT, name="b", config=b"{}", capital=D(90_000), currency=USDT))
        self.bot = self.new_bot()
        self.ledger.subscribe(self._tell_bot)
        self.exchange.mark(MARKET, self.last)

    def new_bot(self) -> Bot:
        """A bot as after a restart: it knows nothing but the state."""
        runner = StrategyRunner(Quiet(Quiet.Params()), MARKET, timeframe="1m")
        return Bot(BOT, PAPER, self.instrument, runner, self.desk, self.ledger, self, self.sizer)

    def _tell_bot(self, record: ev.Record) -> None:
        event = record.event
        client_id = event.fill.client_id if isinstance(event, ev.OrderFilled) else getattr(event, "client_id", None)
        order = self.state.order(client_id) if client_id is not None else None
        if order is not None and order.owner == BOT:
            self.bot.on_record(record)

    # its own market and outbox

    def quote(self, instrument: InstrumentId) -> Quote | None:
        price = D(repr(self.last))
        return Quote(price, price, price, self.heard)

    def put(self, effect: Effect) -> None:
        if self.slow:
            self.effects.append(effect)
        else:
            self._carry(effect)

    def deliver(self, count: int = 1000) -> None:
        """Carry the next effects out, and those that follow from them."""
        while self.effects and count:
            self._carry(self.effects.pop(0))
            count -= 1

    def _carry(self, effect: Effect) -> None:
        self.sent.append(effect)
        assert len(self.sent) < 500, "an endless conversation with the venue"
        now = self.clock.now()
        reports: Sequence[tuple[AccountId, ev.VenueEvent]] = ()
        match effect:
            case PlaceEffect():
                self.desk.submitted(effect.command.client_id)
                reports = self.exchange.place(effect.command, now)
            case CancelEffect():
                reports = self.exchange.cancel(effect.account, effect.client_id, now)
            case AmendEffect() if self.rigid:
                said = ev.OrderCancelRejected(client_id=effect.client_id, code=AMEND_UNSUPPORTED, reason="no", ts=now)
                reports = [(effect.account, said)]
            case AmendEffect():
                reports = self.exchange.amend(
                    effect.account,
                    effect.client_id,
                    now,
                    quantity=effect.quantity,
                    price=effect.price,
                    stop_price=effect.stop_price,
                )
        for account, event in reports:
            self.desk.on_event(account, event)

    def bar(self, o: float, h: float, l: float, c: float, volume: float = 1e6) -> None:  # noqa: E741
        """Let a minute pass at the venue; what follows from its reports happens inside it."""
        opened = self.clock.now()
        self.exchange.on_bar(MARKET, opened, opened + MINUTE, o, h, l, c, volume, self._report)
        self.clock.set(opened + MINUTE)
        self.last, self.heard = c, self.clock.now()
        self.bot.settle()

    def _report(self, account: AccountId, event: ev.VenueEvent) -> None:
        self.desk.on_event(account, event)
        self.deliver()

    def flat(self, price: float = 100.0, bars: int = 1) -> None:
        """Nothing happens for some minutes."""
        for _ in range(bars):
            self.bar(price, price, price, price)

    # what the strategy wishes for

    def signal(self, action: SignalAction, direction: SignalDirection = SignalDirection.HOLD, **more: Any) -> Signal:
        return Signal(
            instrument=MARKET,
            strategy="quiet",
            action=action,
            direction=direction,
            confidence=1.0,
            ts=self.clock.now(),
            reason=more.pop("reason", str(action)),
            **more,
        )

    def enter(self, direction: SignalDirection = BUY, **more: Any) -> None:
        self.bot.act(self.signal(SignalAction.ENTER, direction, **more))

    def exit(self, reason: str = "over") -> None:
        self.bot.act(self.signal(SignalAction.EXIT, SELL, reason=reason))

    def trail(self, **more: Any) -> None:
        self.bot.act(self.signal(SignalAction.PROTECT, **more))

    def hold(self, stop: float | None = 95.0, **more: Any) -> None:
        """Enter, and let it fill at 100."""
        self.enter(stop=stop, **more)
        self.flat()
        assert self.held == 1

    # what can be seen

    @property
    def held(self) -> D:
        position = self.state.owned.get((BOT, PAPER, MARKET))
        return position.quantity if position is not None else D(0)

    def working(self, kind: OrderType | None = None) -> list[Order]:
        """The bot's orders that are open here."""
        return [order for order in self.bot.orders() if kind is None or order.type is kind]

    @property
    def stop(self) -> Order:
        (found,) = self.working(OrderType.STOP_LOSS)
        return found

    @property
    def target(self) -> Order:
        (found,) = self.working(OrderType.TAKE_PROFIT)
        return found

    def at_venue(self) -> list[tuple[str, D, D | None]]:
        """Type, quantity left and trigger of what works at the exchange."""
        orders = self.exchange.open_orders(PAPER)
        return [(str(order.type), order.quantity - order.filled, order.stop_price) for order in orders]

    def facts(self, *kinds: type) -> list[Any]:
        return [record.event for record in self.journal.records if isinstance(record.event, kinds)]

    def manual(self, side: OrderSide, quantity: str, **more: Any) -> Order:
        """An order by hand, in the same account."""
        kind = OrderType.LIMIT if "price" in more else OrderType.MARKET
        return self.desk.submit(
            OrderRequest(
                account=PAPER,
                instrument=MARKET,
                owner=MANUAL,
                side=side,
                type=kind,
                quantity=D(quantity),
                decision=Decision(reason="by hand"),
                **more,
            )
        )
