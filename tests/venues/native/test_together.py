"""What several ask for at the same moment is asked for once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.errors import ExchangeConnectionError
from engine.venues.native.together import Together
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence


class Exchange:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[Sequence[int]] = []
        self.fails = False
        self.go = asyncio.Event()

    async def ask(self, keys: Sequence[int]) -> int:
        self.asked.append(keys)
        await self.go.wait()
        if self.fails:
            raise ExchangeConnectionError("away")
        return len(keys)


async def test_those_of_one_moment_share_a_request_and_later_ones_have_their_own() -> None:
    exchange = Exchange()
    together = Together(exchange.ask, 3, "test")
    asking = [asyncio.ensure_future(together.answer(key)) for key in range(4)]
    await eventually(lambda: len(exchange.asked) == 2)
    late = asyncio.ensure_future(together.answer(9))
    exchange.go.set()
    assert await asyncio.gather(*asking, late) == [3, 3, 3, 1, 1]
    assert exchange.asked == [(0, 1, 2), (3,), (9,)]


async def test_an_error_is_everybodys_and_one_who_gives_up_is_no_loss_to_others() -> None:
    exchange = Exchange()
    exchange.fails = True
    together = Together(exchange.ask, 10, "test")
    first, second, third = (asyncio.ensure_future(together.answer(key)) for key in range(3))
    await eventually(lambda: exchange.asked)
    first.cancel()
    exchange.go.set()
    for one in (second, third):
        with pytest.raises(ExchangeConnectionError):
            await one
    assert first.cancelled()
    assert exchange.asked == [(0, 1, 2)]
