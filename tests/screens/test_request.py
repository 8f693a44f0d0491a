"""A request is done once, and anew only after a certain refusal."""

from __future__ import annotations

import pytest

from engine.errors import ConflictError, UnknownOutcomeError
from screens.request import request
from tests.kit.fake_link import FakeLink


async def test_asking_again_is_the_same_request() -> None:
    link = FakeLink()
    ask = request(link, "bots.pause", {"bot": "trend-btc"})
    await ask()
    await ask()
    assert len({call.request_id for call in link.calls}) == 1


async def test_while_the_outcome_is_unknown_it_stays_the_same_request() -> None:
    link = FakeLink()
    ask = request(link, "bots.pause", {"bot": "trend-btc"})
    link.refuse("bots.pause", UnknownOutcomeError("Nobody knows."))
    for _ in range(2):
        with pytest.raises(UnknownOutcomeError):
            await ask()
    assert len({call.request_id for call in link.calls}) == 1


async def test_after_a_refusal_another_try_is_another_request() -> None:
    link = FakeLink()
    ask = request(link, "bots.pause", {"bot": "trend-btc"})
    link.refuse("bots.pause", ConflictError("Not now."))
    with pytest.raises(ConflictError):
        await ask()
    link.refuse("bots.pause", None)
    await ask()
    assert len({call.request_id for call in link.calls}) == 2
