"""The small trading house with a capital department, for tests."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.capital.department import CapitalDepartment
from engine.capital.figures import CapitalFigures
from engine.capital.kinds import kind_of
from engine.model.account import TradingMode
from engine.model.capital import NS_PER_DAY, PoolMeasure
from engine.model.capital_settings import CapitalManagementSettings
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, Owner, TradeId, VenueOrderId
from engine.model.order import Liquidity, OrderSide, OrderType
from engine.model.valuation import Rates, account_equity
from tests.risk.house import BTC, PAPER, USDT, VENUE, House

if TYPE_CHECKING:
    from engine.capital.figures import Pool
    from engine.model.entries import BotEntry
    from engine.model.ids import InstrumentId

DAY = NS_PER_DAY
HOUR = DAY // 24


class Bank(House):
    """Two bots run; capital is looked after as the settings say."""

    def __init__(self, funds: str = "10000", *, running: bool = True, **settings: Any) -> None:
        super().__init__(funds=funds)
        self.strategies: dict[Owner, str] = {}
        self.allowed = D(1)
        self.steady = True
        self.settings = CapitalManagementSettings(**settings)
        rates = Rates(self.state.instruments, self.mark)
        self.figures = CapitalFigures(
            self.state, self.risk.budgets, rates, self.mark,
            lambda account: value.value if (value := account_equity(self.state, account, rates, self.mark)).known
            else None,
            lambda bot: PAPER, self.strategy_of, self.settings, lambda: USDT,
        )  # fmt: skip
        self.capital = CapitalDepartment(self.ledger, self.figures, self.risk_of, lambda account: self.steady)
        if running:
            for owner in tuple(self.state.bots):
                self.ledger.record(ev.BotStateChanged(bot=owner, state="running"))

    def mark(self, key: InstrumentId) -> D | None:
        quote = self.quote(key)
        return None if quote is None else quote.mark

    def strategy_of(self, bot: BotEntry) -> tuple[str, str]:
        name = self.strategies.get(bot.id, "own_idea")
        return name, kind_of(name)

    def risk_of(self, pool: Pool) -> D:
        return self.allowed

    def earn(self, owner: Owner, amount: str) -> None:
        """A bot buys one unit and sells it for so much more."""
        for side, price in ((OrderSide.BUY, D(1000)), (OrderSide.SELL, D(1000) + D(amount))):
            self.execute(owner, side, price, D("0.5") * 2)

    def execute(self, owner: Owner, side: OrderSide, price: D, quantity: D) -> None:
        """An execution of a bot in BTC, whatever the limits say."""
        self.trades += 1
        client_id = ClientOrderId(f"bank{self.trades:06d}")
        self.ledger.record(
            ev.OrderAdopted(
                client_id=client_id, account=PAPER, instrument=BTC, owner=owner, side=side,
                venue_order_id=VenueOrderId(client_id), type=OrderType.LIMIT, quantity=quantity, price=price,
                reserve_currency=USDT, reserve_unit=D(0), ts=self.now, executed_before=D(0),
            )
        )  # fmt: skip
        self.ledger.record(
            ev.OrderFilled(
                fill=Fill(
                    venue=VENUE, account=PAPER, instrument=BTC, trade_id=TradeId(client_id), client_id=client_id,
                    venue_order_id=VenueOrderId(client_id), side=side, price=price, quantity=quantity, fee=D(0),
                    fee_currency=USDT, liquidity=Liquidity.TAKER, ts=self.now,
                )
            )
        )  # fmt: skip

    def record_of(self, owner: Owner, daily: list[float], capital: str = "2000") -> None:
        """A bot has made so much on each of the last days, as fractions of its capital."""
        today, result = self.now // DAY, D(0)
        first = today - len(daily) - 1
        for count, made in enumerate([0.0, *daily]):
            result += D(repr(round(made, 6))) * D(capital)
            self.ledger.record(
                ev.PoolsMeasured(account=PAPER, day=first + count, pools=(PoolMeasure(owner, D(capital), result),))
            )

    def capital_of(self, owner: Owner) -> D:
        return self.state.bots[owner].capital

    def pool(self, owner: Owner) -> Pool:
        return next(pool for pool in self.figures.pools() if pool.owner == owner)

    def go_live(self) -> None:
        """The same account with real money."""
        known = self.state.accounts[PAPER]
        self.ledger.record(
            ev.AccountOpened(
                account=type(known)(id=PAPER, venue=known.venue, mode=TradingMode.LIVE, base_currency=USDT)
            )
        )

    def open_account(self, name: str) -> AccountId:
        """Another account at the same venue."""
        account = AccountId(name)
        known = self.state.accounts[PAPER]
        opened = type(known)(id=account, venue=known.venue, mode=TradingMode.PAPER, base_currency=Currency("USDT"))
        self.ledger.record(ev.AccountOpened(account=opened))
        return account
