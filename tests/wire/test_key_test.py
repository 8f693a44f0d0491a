"""`keys test` at every simulated exchange: what a key may do, and what is said of one that is not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from engine.clock import SystemClock
from engine.config import load_settings
from engine.control.key_test import ask_venue
from engine.errors import AuthenticationError, NotFoundError
from tests.wire.accounts import StaticCredentials
from tests.wire.harness import MAIN
from tests.wire.venues import VENUES, make_simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.vault import Vault
    from engine.control.views_keys import KeyTest
    from tests.wire.accounts import Key


class Known(StaticCredentials):
    """A vault whose ring has as many names as it has keys."""

    def ring(self) -> Known:
        return self

    def names(self) -> list[str]:
        return []


class Place:
    """A simulated exchange, and a home folder that knows it."""

    def __init__(self, kind: str, home: Path) -> None:
        self.simulator = make_simulator(kind, SystemClock(), rate=5.0)
        self.venue = self.simulator.exchange.venue
        self.key: Key = self.simulator.exchange.keys.of(MAIN)
        self.given = self.key.credentials
        self._kind = kind
        self._home = home

    async def test(self) -> KeyTest:
        """Ask as `keys test` does."""
        addresses = ", ".join(f'{name} = "{where}"' for name, where in self.simulator.addresses.items())
        (self._home / "config.toml").write_text(
            f'[venues.{self._kind}]\nmode = "live"\ntestnet = false\naccounts = ["{MAIN}"]\n'
            f"addresses = {{ {addresses} }}\n"
        )
        known = Known()
        if self.given is not None:
            known.add(self.venue, MAIN, self.given)
        return await ask_venue(load_settings(self._home), cast("Vault", known), SystemClock(), self.venue, MAIN)


@pytest.fixture(params=sorted(VENUES))
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    found = Place(request.param, tmp_path)
    await found.simulator.start()
    yield found
    await found.simulator.stop()


async def test_a_key_that_may_trade_and_no_more(place: Place) -> None:
    told = await place.test()
    assert (told.venue, told.account) == (place.venue, MAIN)
    assert (told.read, told.trade, bool(told.withdraw)) == (True, True, False)
    assert told.balances
    assert told.clock_offset_ms is not None
    assert abs(told.clock_offset_ms) < 1000
    assert not any("withdraw" in line for line in told.warnings)


async def test_a_key_that_may_withdraw_is_warned_about(place: Place) -> None:
    place.key.withdraw = True
    told = await place.test()
    assert told.withdraw
    assert any("withdraw" in line for line in told.warnings), told.warnings


async def test_a_key_with_another_secret_is_refused_in_words(place: Place) -> None:
    changed: dict[str, Any] = {"secret": _other(place)}
    place.given = msgspec.structs.replace(place.given, **changed)
    with pytest.raises(AuthenticationError) as refused:
        await place.test()
    assert place.given.secret not in refused.value.message


async def test_a_key_that_has_expired_is_refused_in_words(place: Place) -> None:
    place.key.expired = True
    with pytest.raises(AuthenticationError) as refused:
        await place.test()
    assert place.key.secret not in refused.value.message


def _other(place: Place) -> str:
    """A secret of the same shape that belongs to nobody's key."""
    from tests.wire.coinbase.keys import ec_fields

    return str(ec_fields("another")["secret"]) if place.venue == "COINBASE" else place.key.secret[::-1]


async def test_without_a_key_nothing_is_asked(place: Place) -> None:
    place.given = None  # type: ignore[assignment]
    with pytest.raises(NotFoundError, match=r"has no key.* There are no keys yet"):
        await place.test()
    assert not place.simulator.requests
