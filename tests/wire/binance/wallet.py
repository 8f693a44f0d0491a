"""What both servers answer beside their markets: coins, rights of a key, markets that are not here."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.wire.binance.common import BinanceServer, text

if TYPE_CHECKING:
    from tests.wire.simulator import Call

__all__ = ["BinanceWallet"]


class BinanceWallet(BinanceServer):
    """Adds the `sapi` answers."""

    def restrictions(self, call: Call) -> Any:
        """GET sapi account/apiRestrictions."""
        key = call.key
        assert key is not None
        return {
            "ipRestrict": False,
            "createTime": self.exchange.ms(),
            "enableReading": key.read,
            "enableSpotAndMarginTrading": key.trade,
            "enableWithdrawals": key.withdraw,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": key.derivatives,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enablePortfolioMarginTrading": False,
        }

    def coins(self, call: Call) -> Any:
        """GET sapi capital/config/getall."""
        found = {b.currency: b for b in self.exchange.balances(self.account(call))}
        names = sorted({c for d in self.exchange.instruments.values() for c in (d.base, d.quote)})
        rows = []
        for name in names:
            balance = found.get(name)
            free = balance.total - balance.locked if balance is not None else Decimal(0)
            rows.append(
                {
                    "coin": name,
                    "depositAllEnable": True,
                    "withdrawAllEnable": True,
                    "name": name,
                    "free": text(free),
                    "locked": text(balance.locked if balance is not None else Decimal(0)),
                    "freeze": "0",
                    "withdrawing": "0",
                    "ipoing": "0",
                    "ipoable": "0",
                    "storage": "0",
                    "isLegalMoney": False,
                    "trading": True,
                    "networkList": [],
                }
            )
        return rows

    def nothing(self, call: Call) -> Any:
        """What margin accounts would have; there are none."""
        return []

    def no_market(self, call: Call) -> Any:
        """ExchangeInfo of a market that is not here."""
        return {"timezone": "UTC", "serverTime": self.exchange.ms(), "rateLimits": [], "symbols": []}

    # --- the account -------------------------------------------------------------------------------------------------

    def system_status(self, call: Call) -> Any:
        """GET sapi system/status."""
        return {"status": 0, "msg": "normal"}
