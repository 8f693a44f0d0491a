"""An account at Binance USD-M: its assets, positions, settings, and what it earned and paid."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.errors import ValidationError
from engine.model.venue import MarginMode
from tests.wire.binance.common import refuse, text
from tests.wire.binance.usdm_info import UsdmInfo
from tests.wire.binance.usdm_rows import rounded

if TYPE_CHECKING:
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.venue import VenuePosition
    from tests.wire.simulator import Call

__all__ = ["UsdmAccount"]


class UsdmAccount(UsdmInfo):
    """Adds accounts to the USD-M server."""

    def balance(self, call: Call) -> Any:
        """GET balance."""
        account, now = self.account(call), self.exchange.ms()
        unrealised = sum((p.unrealised for p in self._cross(account)), Decimal(0))
        rows = []
        for balance in self.exchange.balances(account):
            free = max(balance.total - balance.locked, Decimal(0))
            rows.append(
                {
                    "accountAlias": "SgsR",
                    "asset": balance.currency,
                    "balance": text(balance.total),
                    "crossWalletBalance": rounded(balance.total - self._isolated(account)),
                    "crossUnPnl": rounded(unrealised),
                    "availableBalance": rounded(free),
                    "maxWithdrawAmount": rounded(free),
                    "marginAvailable": True,
                    "updateTime": now,
                }
            )
        return rows

    def _cross(self, account: AccountId) -> list[VenuePosition]:
        return [p for p in self.exchange.positions(account) if p.margin_mode is MarginMode.CROSS]

    def account_request(self, call: Call) -> Any:
        """GET account, version 2: every symbol has a position row."""
        return self._account(call, newest=False)

    def account_v3(self, call: Call) -> Any:
        """GET account, version 3: only open positions have rows, and these say less."""
        return self._account(call, newest=True)

    def _account(self, call: Call, *, newest: bool) -> Any:
        assert call.key is not None
        account = self.account(call)
        held = {p.instrument: p for p in self.exchange.positions(account)}
        assets = [
            self._asset_row(account, b.currency, b.total, b.locked, newest=newest)
            for b in self.exchange.balances(account)
        ]
        main = next((a for a in assets if a["asset"] == "USDT"), None)
        zero = "0.00000000"
        head: dict[str, Any] = {} if newest else {
            "feeTier": 0, "canTrade": call.key.trade, "canDeposit": True, "canWithdraw": call.key.withdraw,
            "updateTime": 0, "multiAssetsMargin": False, "tradeGroupId": -1,
        }  # fmt: skip
        totals = {
            "totalInitialMargin": "initialMargin",
            "totalMaintMargin": "maintMargin",
            "totalWalletBalance": "walletBalance",
            "totalUnrealizedProfit": "unrealizedProfit",
            "totalMarginBalance": "marginBalance",
            "totalPositionInitialMargin": "positionInitialMargin",
            "totalOpenOrderInitialMargin": "openOrderInitialMargin",
            "totalCrossWalletBalance": "crossWalletBalance",
            "totalCrossUnPnl": "crossUnPnl",
            "availableBalance": "availableBalance",
            "maxWithdrawAmount": "maxWithdrawAmount",
        }
        head |= {name: zero if main is None else main[part] for name, part in totals.items()}
        if newest:
            rows = [self._v3_row(account, p) for p in held.values()]
        else:
            rows = [self._v2_row(account, i, held.get(i)) for i in self.exchange.instruments]
        return head | {"assets": assets, "positions": rows}

    def _asset_row(
        self, account: AccountId, currency: str, total: Decimal, locked: Decimal, *, newest: bool
    ) -> dict[str, Any]:
        positions = [
            p for p in self.exchange.positions(account) if self.exchange.instruments[p.instrument].settle == currency
        ]
        unrealised = sum((p.unrealised for p in positions), Decimal(0))
        margin = sum((p.margin for p in positions), Decimal(0))
        maintenance = sum((p.maintenance for p in positions), Decimal(0))
        cross = sum((p.unrealised for p in positions if p.margin_mode is MarginMode.CROSS), Decimal(0))
        free = max(total - locked, Decimal(0))
        row: dict[str, Any] = {
            "asset": currency,
            "walletBalance": text(total),
            "unrealizedProfit": rounded(unrealised),
            "marginBalance": rounded(total + unrealised),
            "maintMargin": rounded(maintenance),
            "initialMargin": rounded(locked),
            "positionInitialMargin": rounded(margin),
            "openOrderInitialMargin": rounded(max(locked - margin, Decimal(0))),
            "crossWalletBalance": rounded(total - self._isolated(account)),
            "crossUnPnl": rounded(cross),
            "availableBalance": rounded(free),
            "maxWithdrawAmount": rounded(free),
        }
        if not newest:
            row["marginAvailable"] = True
        return row | {"updateTime": self.exchange.ms()}

    def _v2_row(self, account: AccountId, instrument: InstrumentId, position: VenuePosition | None) -> dict[str, Any]:
        details, setting = self.exchange.instruments[instrument], self.exchange.margin(account, instrument)
        nothing = Decimal(0)
        return {
            "symbol": self.symbol(instrument),
            "initialMargin": rounded(position.margin) if position is not None else "0",
            "maintMargin": rounded(position.maintenance) if position is not None else "0",
            "unrealizedProfit": rounded(position.unrealised if position is not None else nothing),
            "positionInitialMargin": rounded(position.margin) if position is not None else "0",
            "openOrderInitialMargin": "0",
            "leverage": str(int(setting.leverage)),
            "isolated": setting.mode is MarginMode.ISOLATED,
            "entryPrice": rounded(position.entry_price if position is not None else nothing, 5),
            "maxNotional": "5000000",
            "bidNotional": "0",
            "askNotional": "0",
            "positionSide": "BOTH",
            "positionAmt": self._size(details, position.quantity) if position is not None else "0",
            "updateTime": self.exchange.ms(position.updated) if position is not None else 0,
        }

    def _v3_row(self, account: AccountId, position: VenuePosition) -> dict[str, Any]:
        details, isolated = self.exchange.instruments[position.instrument], position.margin_mode is MarginMode.ISOLATED
        return {
            "symbol": self.symbol(position.instrument),
            "positionSide": "BOTH",
            "positionAmt": self._size(details, position.quantity),
            "unrealizedProfit": rounded(position.unrealised),
            "isolatedMargin": rounded(position.margin + position.unrealised) if isolated else "0",
            "notional": rounded(details.notional(position.mark_price, position.quantity)),
            "isolatedWallet": rounded(position.margin) if isolated else "0",
            "initialMargin": rounded(position.margin),
            "maintMargin": rounded(position.maintenance),
            "updateTime": self.exchange.ms(position.updated),
        }

    def risk_v2(self, call: Call) -> Any:
        """GET positionRisk, version 2: every symbol."""
        account = self.account(call)
        symbol = call.params.get("symbol")
        wanted = [self.details(symbol).id] if symbol else list(self.exchange.instruments)
        held = {p.instrument: p for p in self.exchange.positions(account)}
        return [self._risk_row(account, i, held.get(i)) for i in wanted]

    def _risk_row(self, account: AccountId, instrument: InstrumentId, position: VenuePosition | None) -> dict[str, Any]:
        details, setting = self.exchange.instruments[instrument], self.exchange.margin(account, instrument)
        isolated, nothing = setting.mode is MarginMode.ISOLATED, Decimal(0)
        mark = self.exchange.mark(instrument) or nothing
        quantity = position.quantity if position is not None else nothing
        entry = position.entry_price if position is not None else nothing
        wallet = position.margin if position is not None and isolated else nothing
        unrealised = position.unrealised if position is not None else nothing
        liquidation = position.liquidation_price if position is not None else None
        return {
            "symbol": self.symbol(instrument),
            "positionAmt": self._size(details, quantity),
            "entryPrice": rounded(entry),
            "breakEvenPrice": rounded(entry),
            "markPrice": rounded(mark),
            "unRealizedProfit": rounded(unrealised),
            "liquidationPrice": rounded(liquidation or nothing) if liquidation else "0",
            "leverage": str(int(setting.leverage)),
            "maxNotionalValue": "5000000",
            "marginType": "isolated" if isolated else "cross",
            "isolatedMargin": rounded(wallet + unrealised) if isolated else "0.00000000",
            "isAutoAddMargin": "false",
            "positionSide": "BOTH",
            "notional": rounded(details.notional(mark, quantity)),
            "isolatedWallet": rounded(wallet),
            "updateTime": self.exchange.ms(position.updated) if position is not None else 0,
        }

    def risk_v3(self, call: Call) -> Any:
        """GET positionRisk, version 3: only open positions."""
        symbol = call.params.get("symbol")
        wanted = self.details(symbol).id if symbol else None
        rows = []
        for position in self.exchange.positions(self.account(call)):
            if wanted not in (None, position.instrument):
                continue
            details = self.exchange.instruments[position.instrument]
            isolated, liquidation = position.margin_mode is MarginMode.ISOLATED, position.liquidation_price
            rows.append(
                {
                    "symbol": self.symbol(position.instrument),
                    "positionSide": "BOTH",
                    "positionAmt": self._size(details, position.quantity),
                    "entryPrice": rounded(position.entry_price),
                    "breakEvenPrice": rounded(position.entry_price),
                    "markPrice": rounded(position.mark_price),
                    "unRealizedProfit": rounded(position.unrealised),
                    "liquidationPrice": rounded(liquidation) if liquidation else "0",
                    "isolatedMargin": rounded(position.margin + position.unrealised) if isolated else "0",
                    "notional": rounded(details.notional(position.mark_price, position.quantity)),
                    "marginAsset": details.settle,
                    "isolatedWallet": rounded(position.margin) if isolated else "0",
                    "initialMargin": rounded(position.margin),
                    "maintMargin": rounded(position.maintenance),
                    "positionInitialMargin": rounded(position.margin),
                    "openOrderInitialMargin": "0",
                    "adl": 2,
                    "bidNotional": "0",
                    "askNotional": "0",
                    "updateTime": self.exchange.ms(position.updated),
                }
            )
        return rows

    def symbol_config(self, call: Call) -> Any:
        """GET symbolConfig."""
        account, symbol = self.account(call), call.params.get("symbol")
        wanted = [self.details(symbol).id] if symbol else list(self.exchange.instruments)
        rows = []
        for instrument in wanted:
            setting = self.exchange.margin(account, instrument)
            rows.append(
                {
                    "symbol": self.symbol(instrument),
                    "marginType": "ISOLATED" if setting.mode is MarginMode.ISOLATED else "CROSSED",
                    "isAutoAddMargin": False,
                    "leverage": int(setting.leverage),
                    "maxNotionalValue": "5000000",
                }
            )
        return rows

    def account_config(self, call: Call) -> Any:
        """GET accountConfig."""
        assert call.key is not None
        return {
            "feeTier": 0,
            "canTrade": call.key.trade,
            "canDeposit": True,
            "canWithdraw": call.key.withdraw,
            "dualSidePosition": self.account(call) in self.hedged,
            "updateTime": 0,
            "multiAssetsMargin": False,
            "tradeGroupId": -1,
        }

    def commission(self, call: Call) -> Any:
        """GET commissionRate."""
        details = self.details(call.params.get("symbol"))
        rules = details.current_rules
        return {
            "symbol": self.symbol(details.id),
            "makerCommissionRate": text(rules.maker_fee, 6),
            "takerCommissionRate": text(rules.taker_fee, 6),
        }

    def position_mode(self, call: Call) -> Any:
        """GET positionSide/dual."""
        return {"dualSidePosition": self.account(call) in self.hedged}

    def set_position_mode(self, call: Call) -> Any:
        """POST positionSide/dual."""
        account, wanted = self.account(call), self.need(call, "dualSidePosition") == "true"
        if wanted is (account in self.hedged):
            refuse(-4059, "No need to change position side.")
        if self.exchange.positions(account):
            refuse(-4068, "Position side cannot be changed if there exists position.")
        if wanted:
            self.hedged.add(account)
        else:
            self.hedged.discard(account)
        return {"code": 200, "msg": "success"}

    def assets_mode(self, call: Call) -> Any:
        """GET multiAssetsMargin."""
        return {"multiAssetsMargin": False}

    def set_margin_type(self, call: Call) -> Any:
        """POST marginType."""
        account, details = self.account(call), self.details(call.params.get("symbol"))
        modes = {"ISOLATED": MarginMode.ISOLATED, "CROSSED": MarginMode.CROSS}
        wanted = modes.get(self.need(call, "marginType"))
        if wanted is None:
            refuse(-1102, "Mandatory parameter 'marginType' was not sent, was empty/null, or malformed.")
        setting = self.exchange.margin(account, details.id)
        if setting.mode is wanted:
            refuse(-4046, "No need to change margin type.")
        if any(p.instrument == details.id for p in self.exchange.positions(account)):
            refuse(-4048, "Margin type cannot be changed if there exists position.")
        if any(o.command.instrument == details.id for o in self.exchange.open(account)):
            refuse(-4047, "Margin type cannot be changed if there exists open orders.")
        self.exchange.paper.set_margin(account, details.id, setting.leverage, wanted)
        return {"code": 200, "msg": "success"}

    def set_leverage(self, call: Call) -> Any:
        """POST leverage."""
        account, details = self.account(call), self.details(call.params.get("symbol"))
        wanted = self.number(call, "leverage")
        if wanted is None or not 1 <= wanted <= 125:
            refuse(-4028, f"Leverage {wanted} is not valid")
        setting = self.exchange.margin(account, details.id)
        try:
            self.exchange.paper.set_margin(account, details.id, Decimal(wanted), setting.mode)
        except ValidationError as error:
            refuse(-4028, f"Leverage {wanted} is not valid") if "must be" in error.message else refuse(
                -2027, "Exceeded the maximum allowable position at current leverage."
            )
        event = {**self._head("ACCOUNT_CONFIG_UPDATE"), "ac": {"s": self.symbol(details.id), "l": wanted}}
        self._tell_account(account, event)
        return {"leverage": wanted, "maxNotionalValue": "5000000", "symbol": self.symbol(details.id)}

    def income(self, call: Call) -> Any:
        """GET income: realised profit, commissions and funding, oldest first."""
        account, wanted = self.account(call), call.params.get("incomeType")
        symbol = call.params.get("symbol")
        begin, end = self.number(call, "startTime"), self.number(call, "endTime")
        limit = min(self.number(call, "limit", 100) or 100, 1000)
        rows = []
        for number, fill in self.exchange.fills(account):
            profit, name = self.profit_of(fill), str(self.trade_id(fill))
            if profit:
                rows.append(self._income_row(fill, "REALIZED_PNL", profit, 2 * number, name))
            rows.append(self._income_row(fill, "COMMISSION", -fill.fee, 2 * number + 1, name))
        payments, _ = self.exchange.paper.funding_since(account, "")
        for number, payment in enumerate(payments, 1):
            rows.append(self._income_row(payment, "FUNDING_FEE", -payment.amount, 1_000_000_000 + number, ""))
        found = [r for r in rows if wanted in (None, "", r["incomeType"]) and symbol in (None, "", r["symbol"])]
        found = [r for r in found if (begin is None or r["time"] >= begin) and (end is None or r["time"] <= end)]
        found.sort(key=lambda row: (row["time"], row["tranId"]))
        return found[:limit] if begin is not None else found[-limit:]

    def _income_row(self, what: Any, kind: str, amount: Decimal, number: int, trade: str) -> dict[str, Any]:
        return {
            "symbol": self.symbol(what.instrument),
            "incomeType": kind,
            "income": rounded(amount),
            "asset": self.exchange.instruments[what.instrument].settle,
            "info": trade if trade else kind,
            "time": self.exchange.ms(what.ts),
            "tranId": number,
            "tradeId": trade,
        }
