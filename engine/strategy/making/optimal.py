"""Quotes of the two classical models of a market maker who dislikes inventory.

Prices are in quote currency, times in seconds, volatility in quote currency per √s, inventory in base units.
"""

from __future__ import annotations

import math

import msgspec

__all__ = ["Depths", "avellaneda_stoikov", "glft"]


class Depths(msgspec.Struct, frozen=True):
    """How far the quotes lie from the mid; positive is passive, negative would cross it."""

    bid: float
    ask: float


def avellaneda_stoikov(
    inventory: float, *, gamma: float, kappa: float, sigma: float, horizon: float, unit: float = 1.0
) -> Depths:
    """Optimal quotes with a horizon.

    Reservation price r = s − q γ σ² (T − t); whole spread γ σ² (T − t) + (2/γ) ln(1 + γ/κ). Source: M. Avellaneda and
    S. Stoikov, "High-frequency trading in a limit order book", Quantitative Finance 8 (2008), eqs. 29 and 30.

    Args:
        inventory: Distance from the wanted inventory, base units.
        gamma: Risk aversion, per quote currency; above 0.
        kappa: Decay of the arrivals with the distance from the mid, per quote currency; above 0.
        sigma: Volatility of the price.
        horizon: T − t in seconds.
        unit: Base units that count as one in q.
    """
    q, variance = inventory / unit, sigma * sigma * horizon
    half = gamma * variance / 2.0 + math.log1p(gamma / kappa) / gamma
    skew = q * gamma * variance
    return Depths(half + skew, half - skew)


def glft(
    inventory: float, *, gamma: float, kappa: float, arrival: float, sigma: float, lot: float = 1.0, skew: float = 1.0
) -> Depths:
    """Stationary quotes without a horizon.

    δ(bid) = c₁ + Δ/2 σ c₂ + q σ c₂ and δ(ask) = c₁ + Δ/2 σ c₂ − q σ c₂ with c₁ = 1/(γΔ) ln(1 + γΔ/κ) and
    c₂ = √(γ/(2 A Δ κ) (1 + γΔ/κ)^(κ/(γΔ) + 1)). Source: O. Guéant, C.-A. Lehalle and J. Fernandez-Tapia, "Dealing with
    the inventory risk", Mathematics and Financial Economics 7 (2013), the asymptotic quotes; in units of a lot as in
    O. Guéant, "Optimal market making", Applied Mathematical Finance 24 (2017), section 4, with ξ = γ.

    Args:
        inventory: q, distance from the wanted inventory, base units.
        gamma: Risk aversion, per quote currency and base unit; above 0.
        kappa: κ, decay of the arrivals with the distance from the mid, per quote currency; above 0.
        arrival: A, arrivals per second at the mid; above 0.
        sigma: Volatility of the price.
        lot: Δ, size of one quote in base units.
        skew: Factor on the answer to inventory; 1 is the model's.
    """
    risk = gamma * lot
    power = kappa / risk + 1.0
    # By logarithms, because a tiny risk makes the power huge while the value stays near e.
    c1 = math.log1p(risk / kappa) / risk
    c2 = math.sqrt(gamma / (2.0 * arrival * lot * kappa) * math.exp(power * math.log1p(risk / kappa)))
    half = c1 + lot / 2.0 * sigma * c2
    lean = skew * inventory * sigma * c2
    return Depths(half + lean, half - lean)
