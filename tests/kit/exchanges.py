"""An engine whose exchanges are stand-ins: adapters of the settings are replaced by feeds that a test plays."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from engine.control import home_venues
from engine.control.host import build_engine
from engine.venues.paper import live as paper_module
from tests.control.house import Deck

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from tests.kit.fake_feed import FakeFeed

__all__ = ["Exchanges"]


class Exchanges:
    """Feeds by the name of their venue, the same over all starts.

    Args:
        monkeypatch: Puts them in the place of adapters.
        feeds: The feeds.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *feeds: FakeFeed) -> None:
        self.feeds = {str(feed.id): feed for feed in feeds}
        monkeypatch.setattr(home_venues, "exchange_adapter", lambda wanted, *_: self.feeds[wanted.id])
        monkeypatch.setattr(paper_module, "FIRST_S", 0.2)

    def quote(self, venue: str = "BINANCE", symbol: str = "BTC/USDT", bid: int = 600_000) -> None:
        """A market shows a book of 2 units at a spread of one tick."""
        self.feeds[venue].book_is([(bid, 2000), (bid - 10, 5000)], [(bid + 1, 2000), (bid + 10, 5000)], symbol)

    @asynccontextmanager
    async def deck(self, home: Path, config: str, **explicit: Any) -> AsyncIterator[Deck]:
        """Start an engine with these settings, and stop it in the end."""
        _write(home, config)
        given = {name.replace("__", "."): value for name, value in explicit.items()}
        host = build_engine(home, {"paper.latency_ms": 0, "paper.latency_jitter_ms": 0, "paper.seed": 7, **given})
        try:
            await host.start()
            yield Deck(host)
        finally:
            await host.stop()


def _write(home: Path, config: str) -> None:
    home.mkdir(exist_ok=True)
    (home / "config.toml").write_text(config, encoding="utf-8")
