"""Who yields when a bot would enter against another one."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.bots.coordinator import Coordinator
from engine.errors import ConflictError, OrderRejectionError
from engine.model.entries import TradingState
from engine.model.limits import RiskLimits
from engine.model.order import OrderSide
from tests.risk.house import BOT, BTC, OTHER_BOT, PERP, House

if TYPE_CHECKING:
    from engine.model.bot_settings import ConflictPolicy
    from engine.model.entries import BotEntry

BUY, SELL = OrderSide.BUY, OrderSide.SELL


class Closer:
    """Stands for the manager: notes who is told to close."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.down = False

    def close_position(self, entry: BotEntry, reason: str) -> None:
        if self.down:
            raise ConflictError("The bot is stopped and closes nothing by itself.")
        self.told.append((entry.name, reason))


class Pair:
    """One bot is long 0.01 on spot, the other one wants to be short in the perpetual."""

    def __init__(self, policy: ConflictPolicy, *priorities: int) -> None:
        self.house = House(RiskLimits(max_position_size_pct=D(1), max_portfolio_exposure=D(1), allow_short=True))
        self.closer = Closer()
        picture = self.house.risk.gate.picture
        manager: Any = self.closer
        self.coordinator = Coordinator(self.house.ledger, manager, lambda: picture.commitments, policy)
        for owner, priority in zip((OTHER_BOT, BOT), priorities, strict=True):
            config = msgspec.json.encode({"priority": priority})
            self.house.ledger.record(ev.BotConfigured(bot=owner, config=config, capital=D(2000)))
        self.house.trade(BUY, "0.01", BTC, owner=OTHER_BOT)

    def enter(self, quantity: str = "0.01") -> None:
        with pytest.raises(OrderRejectionError, match="do not enter against each other"):
            self.house.submit(SELL, quantity, PERP, owner=BOT)


@pytest.mark.parametrize(
    ("policy", "priorities", "quantity", "yields"),
    [
        ("refuse", (1, 10), "0.02", False),
        ("priority", (5, 5), "0.02", False),
        ("priority", (5, 6), "0.002", True),
        ("priority", (6, 5), "0.02", False),
        ("net", (10, 1), "0.009", False),
        ("net", (10, 1), "0.01", True),
    ],
)
def test_the_newer_is_refused_and_the_other_yields_as_the_policy_says(
    policy: ConflictPolicy, priorities: tuple[int, int], quantity: str, yields: bool
) -> None:
    pair = Pair(policy, *priorities)
    pair.enter(quantity)
    assert pair.closer.told == ([("bot2", f"it yields to bot1 ({policy})")] if yields else [])
    if yields:
        pair.house.trade(SELL, "0.01", BTC, owner=OTHER_BOT)
        pair.house.submit(SELL, quantity, PERP, owner=BOT)


def test_one_that_is_not_up_cannot_yield_and_nothing_else_happens() -> None:
    pair = Pair("priority", 1, 10)
    pair.closer.down = True
    pair.enter()
    assert pair.closer.told == []


def test_other_refusals_make_nobody_yield() -> None:
    pair = Pair("priority", 1, 10)
    with pytest.raises(OrderRejectionError):
        pair.house.submit(BUY, "100", PERP, owner=BOT)
    assert pair.closer.told == []


def test_nobody_yields_to_one_that_could_not_enter_for_other_reasons_as_well() -> None:
    pair = Pair("priority", 1, 10)
    pair.house.risk.hold("operator", "a look first", TradingState.HALTED)
    pair.enter()
    assert pair.closer.told == []
    pair.house.risk.release("operator", "looked")
    pair.enter()
    assert len(pair.closer.told) == 1, "nothing else speaks against it any more"
