"""How the trader's own executions press on the simulated market. Strategies cannot see any of it but in the prices.

Three effects, in the order in which they fade:

- Temporary: the execution takes its quantity out of the book; market makers refill it within a few updates.
- Transient: with x the trader's recent signed flow in units of the asset's daily volume V and s the daily volatility,

      I(x) = Y s sign(x) sqrt(|x|),    x(t) = sum_k w_k x_k(t),    dx_k = -x_k dt / tau_k + dQ / V,

  the square-root law of market impact (Tóth et al., "Anomalous price impact and the critical nature of liquidity",
  2011; Y near 1) on a flow that is forgotten like a propagator does (Bouchaud, Gefen, Potters and Wyart, "Fluctuations
  and response in financial markets", 2004): a mixture of exponentials from seconds to a quarter of an hour comes close
  to its power law. Splitting an order in time helps, splitting it into slices at once does not.
- Permanent: log price moves by g s Q / V for good, linear so that round trips cannot pump the price (Huberman and
  Stanzl, "Price manipulation and quasi-arbitrage", 2004; g = 0.314 from Almgren et al., "Direct estimation of equity
  market impact", 2005).

Pressure is kept per asset, not per instrument: a purchase of ETH/BTC presses half on ETH and half, downwards, on BTC.
Market makers keep the triangle closed, so all instruments of an asset move together.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.venues.markets.sim_profile import AssetProfile

__all__ = ["ImpactModel"]

_Y = 0.8
_GAMMA = 0.314
_WEIGHTS = (0.45, 0.35, 0.20)
_RELAXATION_S = (4.0, 60.0, 900.0)
_NOTHING = 1e-15
"""Flow below which the pressure is gone: far less than one lot of anything."""


class ImpactModel:
    """The pressure of the trader on each asset.

    Args:
        assets: In the order of the indices used below.
        volatility: The market's factor on all volatilities.
    """

    __slots__ = ("_flows", "_ts", "_volatility", "_volume", "active", "permanent")

    def __init__(self, assets: Sequence[AssetProfile], volatility: float) -> None:
        self._volume = [a.daily_volume for a in assets]
        self._volatility = [a.sigma * volatility * math.sqrt(1440) for a in assets]
        self._flows = [[0.0] * len(_WEIGHTS) for _ in assets]
        self._ts = 0
        self.active = False
        """Whether any transient pressure is left."""
        self.permanent = [0.0] * len(assets)
        """Log price shift of each asset that stays."""

    def press(self, ts: int, asset: int, value: float) -> None:
        """Add an execution.

        Args:
            ts: UTC nanoseconds.
            asset: Index of the asset.
            value: Executed value in USDT; negative for a sale.
        """
        self._relax(ts)
        share = value / self._volume[asset]
        flows = self._flows[asset]
        for k in range(len(flows)):
            flows[k] += share
        self.permanent[asset] += _GAMMA * self._volatility[asset] * share
        self.active = True

    def transient(self, ts: int) -> list[float]:
        """Log price shift of each asset that fades, at a time."""
        if not self.active:
            return [0.0] * len(self._flows)
        self._relax(ts)
        shifts = []
        left = False
        for flows, volatility in zip(self._flows, self._volatility, strict=True):
            x = sum(w * f for w, f in zip(_WEIGHTS, flows, strict=True))
            left = left or any(abs(f) > _NOTHING for f in flows)
            shifts.append(math.copysign(_Y * volatility * math.sqrt(abs(x)), x))
        if not left:
            self._flows = [[0.0] * len(_WEIGHTS) for _ in self._flows]
            self.active = False
            return [0.0] * len(self._flows)
        return shifts

    def dump(self) -> tuple[int, list[list[float]], list[float]]:
        """The whole state, for `load`."""
        return self._ts, [list(f) for f in self._flows], list(self.permanent)

    def load(self, state: tuple[int, list[list[float]], list[float]]) -> None:
        """Take up a state that `dump` gave."""
        self._ts, self._flows, self.permanent = state[0], [list(f) for f in state[1]], list(state[2])
        self.active = any(any(abs(x) > _NOTHING for x in f) for f in self._flows)

    def _relax(self, ts: int) -> None:
        elapsed = (ts - self._ts) / 1e9
        if elapsed <= 0:
            return
        self._ts = ts
        if not self.active:
            return
        fade = [math.exp(-elapsed / tau) for tau in _RELAXATION_S]
        for flows in self._flows:
            for k, factor in enumerate(fade):
                flows[k] *= factor
