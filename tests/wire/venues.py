"""All simulated venues by name, and how each is made over the simulated market."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket

if TYPE_CHECKING:
    from engine.clock import Clock
    from tests.wire.simulator import Simulator

__all__ = ["VENUES", "make_simulator", "simulated_source"]

VENUES = {
    "binance": "tests.wire.binance.spot",
    "binanceusdm": "tests.wire.binance.usdm",
    "okx": "tests.wire.okx.simulator",
    "coinbase": "tests.wire.coinbase.simulator",
}
"""Module of each; it has a function `make(clock, *, seed, rate) -> Simulator`."""


def simulated_source(clock: Clock, *, seed: int, rate: float) -> SimulatedMarket:
    """The market that simulated venues follow: BTC/USDT, ETH/USDT, ETH/BTC, SOL/USDT and BNB/USDT of the venue SIM."""
    return SimulatedMarket(SimulatedSettings(seed=seed, rate=rate), clock.now())


def make_simulator(venue: str, clock: Clock, *, seed: int = 7, rate: float = 10.0) -> Simulator:
    """A venue over the simulated market with an account `main` that has money and a key; not yet started."""
    simulator: Simulator = import_module(VENUES[venue]).make(clock, seed=seed, rate=rate)
    return simulator
