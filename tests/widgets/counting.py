"""A driver that counts what a real terminal would be sent, and a made-up market to draw."""

from __future__ import annotations

import random
from typing import Any

from textual.app import App
from textual.drivers.headless_driver import HeadlessDriver

from widgets.ladder import LastTrade, Level
from widgets.trade_tape import Trade


class CountingDriver(HeadlessDriver):
    """Writes nowhere, remembers everything; Textual believes a terminal is there."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.written: list[str] = []

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.written.append(data)

    def take(self) -> bytes:
        """Return what was written since the last call."""
        data = "".join(self.written).encode()
        self.written.clear()
        return data


class Counted(App[None]):
    """Mixed in before an app class: it draws into a :class:`CountingDriver` even in ``run_test``."""

    def _build_driver(self, headless: bool, inline: bool, mouse: bool, size: tuple[int, int] | None) -> CountingDriver:
        driver = self._driver = CountingDriver(self, debug=False, mouse=mouse, size=size)
        return driver

    @property
    def counter(self) -> CountingDriver:
        assert isinstance(self._driver, CountingDriver)
        return self._driver


class FakeMarket:
    """A seeded book around a wandering price: in every step most sizes change and now and then the price."""

    def __init__(self, seed: int = 7, depth: int = 20) -> None:
        self.random = random.Random(seed)
        self.mid = 6_743_110
        self.depth = depth
        self.sizes: dict[int, float] = {}
        self.trades: list[Trade] = []
        self.second = 0

    def step(self) -> None:
        rng = self.random
        if rng.random() < 0.6:
            self.mid += rng.choice([-20, -10, 10, 20])
        for key in [self.mid + 5 + 10 * i for i in range(-self.depth, self.depth)]:
            if key not in self.sizes or rng.random() < 0.7:
                self.sizes[key] = rng.lognormvariate(-0.5, 0.9)
        self.second += 1
        self.trades = [
            Trade(
                f"14:{self.second // 300 % 60:02}:{self.second // 5 % 60:02}",
                self._price(self.mid + (5 if buy else -5)),
                f"{rng.lognormvariate(-2, 1):.4f}",
                buy,
            )
            for buy in (rng.random() < 0.5 for _ in range(rng.choice([0, 1, 1, 2, 3])))
        ]

    def _price(self, key: int) -> str:
        return f"{key / 100:,.2f}"

    def side(self, direction: int) -> list[Level]:
        levels, total = [], 0.0
        keys = [self.mid + direction * (5 + 10 * i) for i in range(self.depth)]
        whole = sum(self.sizes[key] for key in keys)
        for key in keys:
            total += self.sizes[key]
            levels.append(Level(key, self._price(key), f"{self.sizes[key]:.4f}", f"{total:.3f}", total / whole))
        return levels

    def book(self) -> dict[str, Any]:
        buy = self.random.random() < 0.5
        key = self.mid + (5 if buy else -5)
        return {
            "bids": self.side(-1),
            "asks": self.side(1),
            "own": {6_743_095: "0.5000"},
            "last": LastTrade(key, self._price(key), buy),
            "spread": "0.10 · 0.1 bp",
        }
