"""What opens something in a derivative and had to wait is looked at again, and judged again, before it leaves."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine import events as ev
from engine.errors import ExchangeRateLimitError, ValidationError
from engine.execution.effects import CancelEffect
from engine.execution.margins import CHANGED
from engine.model.order import OrderStatus
from tests.execution.house import House, fails, turns

if TYPE_CHECKING:
    from engine.execution.effects import Effect
    from engine.model.order import Order


@pytest.fixture
def house() -> House:
    return House()


def every_effect_opens(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat what leaves as if it opened something in a derivative."""
    put = house.dispatcher.put

    def opening(effect: Effect) -> None:
        put(effect if isinstance(effect, CancelEffect) else msgspec.structs.replace(effect, opens=True))

    monkeypatch.setattr(house.dispatcher, "put", opening)


async def test_what_leaves_again_after_a_pause_of_the_venue_is_looked_at_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    async def check(_venue: object, order: Order, *_: object) -> None:
        looks.append(order.client_id)
        if len(looks) == 2:
            raise ValidationError("It is at 20x cross now.", error_code=CHANGED)

    monkeypatch.setattr(house.dispatcher.margins, "check", check)
    every_effect_opens(house, monkeypatch)
    async with house.running():
        house.venue.on("place", fails(ExchangeRateLimitError("429")))
        order = house.submit()
        await turns()
        assert looks == [order.client_id]
        await house.clock.advance(60)
        await turns()
        assert looks == [order.client_id] * 2
        assert house.status(order) is OrderStatus.REJECTED
        assert house.venue.requests("place") == []


async def test_a_change_that_had_to_wait_for_the_margin_is_judged_again_for_what_would_be_open(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def establish(*_: object) -> bool:
        house.gate.forbids = True
        return True

    async with house.running():
        order = house.submit(quantity="3")
        await turns()
        house.venue.execute(order.client_id, "1")
        monkeypatch.setattr(house.dispatcher.margins, "establish", establish)
        every_effect_opens(house, monkeypatch)
        house.desk.amend(order.client_id, quantity=D(5))
        await turns()
        request, replaced = house.gate.asked[-1]
        assert (request.quantity, replaced) == (D(4), order.client_id)
        assert house.venue.requests("amend") == []
        assert [fact.reason for fact in house.facts(ev.OrderCancelRejected)] == ["Trading is halted."]
        assert order.quantity == 3
