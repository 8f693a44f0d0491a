"""Names of exchanges as other programs write them."""

from __future__ import annotations

__all__ = ["venue_of_theirs"]

_OURS = {
    "binance": "binance",
    "binanceusdm": "binanceusdm",
    "binance_perpetual": "binanceusdm",
    "binance perpetual futures": "binanceusdm",
    "binance spot": "binance",
    "okx": "okx",
    "okx_perpetual": "okx",
    "myokx": "okx",
    "okex": "okx",
    "coinbase": "coinbase",
    "coinbase_advanced_trade": "coinbase",
    "coinbaseadvanced": "coinbase",
    "coinbase spot": "coinbase",
}


def venue_of_theirs(name: str, *, futures: bool = False) -> tuple[str, bool]:
    """Our name of an exchange, and whether it has an adapter of its own here."""
    known = _OURS.get(name.strip().lower())
    if known == "binance" and futures:
        known = "binanceusdm"
    if known is not None:
        return known, True
    plain = name.strip().lower().split(" ")[0].replace("_perpetual", "").replace("_", "")
    return plain, False
