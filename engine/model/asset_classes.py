"""Which class of assets a base currency belongs to, so that one kind of thing does not become the whole portfolio.

There is no agreed list of sectors for digital assets; this table follows what a coin is used for. Settings add to it
or change it (`asset_classes`). What nobody has classified is in one class of its own, `other`, and limited as such:
nobody knows whether those assets move together, so they are taken to.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument

__all__ = ["DEFAULT_CLASSES", "OTHER", "AssetClasses"]

OTHER = "other"
"""Class of everything that no table names."""

_MEMBERS = {
    "bitcoin": "BTC WBTC TBTC CBBTC BCH LTC BSV",
    "ether": "ETH WETH STETH WSTETH CBETH RETH",
    "platform": "SOL ADA AVAX DOT NEAR ATOM TON SUI APT ALGO FTM TRX EOS ICP HBAR EGLD XTZ SEI INJ KAS FLOW ETC NEO",
    "scaling": "POL MATIC ARB OP STRK IMX MNT ZK STX LRC METIS",
    "payment": "XRP XLM DASH XMR ZEC NANO",
    "finance": "LINK UNI AAVE MKR CRV COMP SNX LDO PENDLE DYDX CAKE SUSHI YFI 1INCH BAL GMX JUP RUNE ENA ONDO",
    "exchange": "BNB OKB CRO LEO GT KCS HT",
    "meme": "DOGE SHIB PEPE BONK WIF FLOKI",
    "data": "FIL AR RNDR RENDER GRT TAO FET AGIX OCEAN THETA HNT AKT WLD",
    "game": "AXS SAND MANA GALA ENJ APE CHZ",
    "metal": "PAXG XAUT",
    "cash": "USDT USDC DAI TUSD FDUSD BUSD PYUSD USDP GUSD EURC EURT USD EUR GBP JPY CHF AUD CAD TRY BRL",
}
DEFAULT_CLASSES: Mapping[str, str] = MappingProxyType(
    {symbol: name for name, symbols in _MEMBERS.items() for symbol in symbols.split()}
)
"""Base currency -> class, for the assets that are traded most."""


class AssetClasses:
    """Looks classes up: first by symbol (`BTC/USDT`), then by base currency, first in the settings' table.

    Args:
        table: What the settings say, on top of `DEFAULT_CLASSES`.
    """

    def __init__(self, table: Mapping[str, str] | None = None) -> None:
        self._table = {**DEFAULT_CLASSES, **{name.upper(): value for name, value in (table or {}).items()}}

        self._found: dict[InstrumentId, str] = {}

    def of(self, instrument: Instrument) -> str:
        """The class of an instrument; `OTHER` where neither its symbol nor its base is in a table."""
        found = self._found.get(instrument.id)
        if found is None:
            base = self._table.get(instrument.base.upper(), OTHER)
            found = self._found[instrument.id] = self._table.get(instrument.symbol.upper()) or base
        return found
