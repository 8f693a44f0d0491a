"""Binance USD-M's private stream: listen keys and what is told over them."""

from __future__ import annotations

import re
import secrets
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.events import OrderAmended, OrderCanceled, OrderExpired, OrderFilled, OrderTriggered
from engine.model.fill import FillCause
from engine.model.order import Liquidity, OrderType
from engine.model.venue import MarginMode
from tests.wire.binance.common import refuse, text
from tests.wire.binance.streams import BinanceStreams
from tests.wire.binance.usdm_orders import UsdmOrders
from tests.wire.binance.usdm_rows import ALGO_OFFSET, rounded

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.ids import AccountId, Currency, InstrumentId
    from engine.model.venue import FundingPayment
    from tests.wire.exchange import Notice
    from tests.wire.ledger import WireOrder
    from tests.wire.simulator import Call
    from tests.wire.sockets import Socket

__all__ = ["UsdmUserStream"]

_KEY_LIFE_S = 3600.0
_KEY = re.compile(r"(?:listenKey=|/ws/)([A-Za-z0-9]{64})")


class UsdmUserStream(UsdmOrders, BinanceStreams):
    """Adds the private stream to the USD-M server."""

    def begin_user_stream(self) -> None:
        """Listen to the exchange; call it once."""
        self._listen_keys: dict[str, tuple[AccountId, int]] = {}
        """Account and number of renewals, by listen key."""
        self._wallets: dict[AccountId, dict[Currency, Decimal]] = {}
        self._positions: dict[AccountId, dict[InstrumentId, Decimal]] = {}
        self._realised: dict[AccountId, dict[InstrumentId, Decimal]] = {}
        self._mark_flushes = 0
        self.exchange.private.append(self._hear_private)
        self.exchange.settled.append(self._settled)
        self.exchange.money.append(self._hear_money)
        self.exchange.funding.append(self._hear_funding)
        self.exchange.after(1.0, self._tell_marks)

    # --- listen keys -------------------------------------------------------------------------------------------------

    def open_key(self, call: Call) -> Any:
        """POST listenKey: the account's key, living for an hour from now."""
        account = self.account(call)
        name = next((n for n, (whose, _) in self._listen_keys.items() if whose == account), secrets.token_hex(32))
        self._renew(name, account)
        return {"listenKey": name}

    def renew_key(self, call: Call) -> Any:
        """PUT listenKey."""
        account = self.account(call)
        name = next((n for n, (whose, _) in self._listen_keys.items() if whose == account), None)
        if name is None:
            refuse(-1125, "This listenKey does not exist.")
        self._renew(name, account)
        return {"listenKey": name}

    def close_key(self, call: Call) -> Any:
        """DELETE listenKey."""
        account = self.account(call)
        self._listen_keys = {n: k for n, k in self._listen_keys.items() if k[0] != account}
        return {}

    def _renew(self, name: str, account: AccountId) -> None:
        renewal = self._listen_keys.get(name, (account, 0))[1] + 1
        self._listen_keys[name] = account, renewal
        self.exchange.after(_KEY_LIFE_S, lambda: self.expire_listen_key(name, renewal))

    def expire_listen_key(self, name: str | None = None, renewal: int | None = None) -> None:
        """End a listen key (unless it was renewed since), or all of them: their streams say so and fall silent."""
        for known in [n for n in self._listen_keys if name in (None, n)]:
            if renewal is not None and self._listen_keys[known][1] != renewal:
                continue
            del self._listen_keys[known]
            event = {"e": "listenKeyExpired", "E": self.exchange.ms(), "listenKey": known}
            for socket in list(self.sockets):
                if socket.state.get("listen_key") == known:
                    self._say(socket, "listenKeyExpired", event)

    def accept(self, socket: Socket) -> Callable[[Any], None] | None:
        """Private streams by listen key, else the market streams."""
        match = _KEY.search(socket.path)
        if match is None:
            return super().accept(socket)
        name = match[1]
        if name not in self._listen_keys:
            return None
        account = self._listen_keys[name][0]
        socket.private = True
        socket.state |= {"listen_key": name, "account": account, "combined": "/stream" in socket.path}
        self._wallets.setdefault(account, self._wallet(account))
        self.exchange.after(86_400.0, socket.close)
        return lambda said: self._command(socket, said)

    # --- telling -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _say(socket: Socket, kind: str, event: dict[str, Any]) -> None:
        whole = {"stream": socket.state["listen_key"], "data": event} if socket.state["combined"] else event
        socket.send(whole, kind)

    def _tell_account(self, account: AccountId, event: dict[str, Any]) -> None:
        for socket in list(self.sockets):
            if socket.state.get("account") == account and socket.state["listen_key"] in self._listen_keys:
                self._say(socket, event["e"], event)

    def _head(self, kind: str, ts: int | None = None) -> dict[str, Any]:
        now = self.exchange.ms()
        return {"e": kind, "T": now if ts is None else self.exchange.ms(ts), "E": now}

    def _hear_private(self, notice: Notice) -> None:
        order, event = notice.order, notice.event
        forced = "type" not in order.terms
        if forced and isinstance(event, OrderFilled):
            self._name_forced(order, event.fill.cause)
        if isinstance(event, OrderFilled):
            profit = self.book_profit(event.fill)
            mine = self._realised.setdefault(notice.account, {})
            mine[order.command.instrument] = mine.get(order.command.instrument, Decimal(0)) + profit
        if order.terms.get("algo"):
            self._tell_algo(notice)
        if isinstance(event, OrderTriggered) or (not self.waits(order) and not self._algo_only(notice)):
            self._tell_account(notice.account, self.report(notice))
        if forced and isinstance(event, OrderFilled) and event.fill.cause is FillCause.LIQUIDATION:
            self._tell_liquidation(order)

    @staticmethod
    def _algo_only(notice: Notice) -> bool:
        """Whether an event is of an order that never reached the matching engine."""
        return bool(notice.order.terms.get("algo")) and not notice.order.triggered

    @staticmethod
    def _name_forced(order: WireOrder, cause: FillCause) -> None:
        number = "".join(c for c in order.client_id if c.isdigit())
        order.terms["name"] = "adl_autoclose" if cause is FillCause.DELEVERAGING else f"autoclose-{number}"

    def _tell_algo(self, notice: Notice) -> None:
        order, event = notice.order, notice.event
        if isinstance(event, OrderTriggered):
            self._tell_account(notice.account, self.algo_update(order, "TRIGGERING"))
            self._tell_account(notice.account, self.algo_update(order, "TRIGGERED"))
        elif not (isinstance(event, OrderFilled | OrderAmended) and order.is_open):
            self._tell_account(notice.account, self.algo_update(order, self.algo_status(order)))

    def algo_update(self, order: WireOrder, status: str) -> dict[str, Any]:
        """`ALGO_UPDATE`."""
        details = self.exchange.instruments[order.command.instrument]
        now = self.native_types(order)[0]
        body = {
            "caid": order.client_id,
            "aid": ALGO_OFFSET + order.number,
            "at": "CONDITIONAL",
            "o": order.terms["type"],
            "s": self.symbol(details.id),
            "S": order.command.side.value.upper(),
            "ps": "BOTH",
            "f": self.tif(order),
            "q": self._size(details, order.quantity),
            "X": status,
            "ai": str(order.number) if status in ("TRIGGERED", "FINISHED") else "",
            "ap": rounded(order.average, 5),
            "aq": rounded(order.filled, 5),
            "act": now if status in ("TRIGGERED", "FINISHED") else "0",
            "tp": self._price(details, order.stop_price),
            "p": self._price(details, order.price),
            "V": "EXPIRE_MAKER",
            "wt": order.terms["workingType"],
            "pm": "NONE",
            "cp": bool(order.terms["close"]),
            "pP": False,
            "R": order.command.reduce_only,
            "tt": self.trigger_time(order),
            "gtd": 0,
            "rm": "",
        }
        return {**self._head("ALGO_UPDATE", order.updated), "o": body}

    def report(self, notice: Notice) -> dict[str, Any]:
        """`ORDER_TRADE_UPDATE`."""
        order, event = notice.order, notice.event
        fill = event.fill if isinstance(event, OrderFilled) else None
        details = self.exchange.instruments[order.command.instrument]
        now, original = self.native_types(order)
        forced = "type" not in order.terms
        body = {
            "s": self.symbol(details.id),
            "c": self.shown_id(order),
            "S": order.command.side.value.upper(),
            "o": "LIQUIDATION" if forced else now,
            "f": "IOC" if forced else self.tif(order),
            "q": self._size(details, order.quantity),
            "p": self._price(details, order.price),
            "ap": rounded(order.average, details.price_scale + 2),
            "sp": self._price(details, order.stop_price),
            "x": self._execution_type(notice),
            "X": self._status_then(notice),
            "i": order.number,
            "l": self._size(details, fill.quantity if fill is not None else Decimal(0)),
            "z": self._size(details, order.filled),
            "L": self._price(details, fill.price if fill is not None else None),
            "N": "USDT" if fill is None else fill.fee_currency,
            "n": "0" if fill is None else text(fill.fee),
            "T": self.exchange.ms(order.updated),
            "t": 0 if fill is None else self.trade_id(fill),
            "b": "0",
            "a": "0",
            "m": fill is not None and fill.liquidity is Liquidity.MAKER,
            "R": order.command.reduce_only,
            "wt": order.terms.get("workingType", "CONTRACT_PRICE"),
            "ot": original,
            "ps": "BOTH",
            "cp": False,
            "pP": False,
            "si": 0,
            "ss": 0,
            "rp": "0" if fill is None else rounded(self.profit_of(fill)),
            "V": "EXPIRE_MAKER",
        }
        return {**self._head("ORDER_TRADE_UPDATE", order.updated), "o": body}

    def _execution_type(self, notice: Notice) -> str:
        event, order = notice.event, notice.order
        if isinstance(event, OrderFilled):
            return "CALCULATED" if "type" not in order.terms else "TRADE"
        if isinstance(event, OrderAmended):
            return "AMENDMENT"
        if isinstance(event, OrderExpired):
            return "EXPIRED"
        if isinstance(event, OrderCanceled):
            return "EXPIRED" if order.command.type is OrderType.MARKET else "CANCELED"
        return "NEW"

    def _status_then(self, notice: Notice) -> str:
        kind, order = self._execution_type(notice), notice.order
        if kind in ("EXPIRED", "CANCELED"):
            return kind
        if kind in ("TRADE", "CALCULATED"):
            return "FILLED" if order.filled >= order.quantity else "PARTIALLY_FILLED"
        return "PARTIALLY_FILLED" if order.filled else "NEW"

    def _tell_liquidation(self, order: WireOrder) -> None:
        details = self.exchange.instruments[order.command.instrument]
        size = self._size(details, order.filled)
        body = {
            "s": self.symbol(details.id),
            "S": order.command.side.value.upper(),
            "o": "LIMIT",
            "f": "IOC",
            "q": size,
            "p": self._price(details, order.price),
            "ap": rounded(order.average, details.price_scale),
            "X": "FILLED",
            "l": size,
            "z": size,
            "T": self.exchange.ms(order.updated),
        }
        event = {"e": "forceOrder", "E": self.exchange.ms(), "o": body}
        self.publish(f"{self.symbol(details.id).lower()}@forceOrder", "forceOrder", event)
        self.publish("!forceOrder@arr", "forceOrder", event)

    # --- money and positions -----------------------------------------------------------------------------------------

    def _wallet(self, account: AccountId) -> dict[Currency, Decimal]:
        return {b.currency: b.total for b in self.exchange.balances(account)}

    def _settled(self, accounts: set[AccountId]) -> None:
        for account in sorted(accounts):
            self.tell_update(account, "ORDER")

    def _hear_money(self, account: AccountId, currency: Currency, amount: Decimal) -> None:
        self.tell_update(account, "DEPOSIT" if amount > 0 else "WITHDRAW", {currency: amount})

    def _hear_funding(self, payment: FundingPayment) -> None:
        self.tell_update(payment.account, "FUNDING_FEE", {payment.currency: -payment.amount}, positions=False)

    def tell_update(
        self,
        account: AccountId,
        reason: str,
        changes: dict[Currency, Decimal] | None = None,
        *,
        positions: bool = True,
    ) -> None:
        """`ACCOUNT_UPDATE` of balances and positions that moved."""
        now, before = self._wallet(account), self._wallets.get(account, {})
        self._wallets[account] = now
        moved = sorted(c for c in {*now, *before} if now.get(c) != before.get(c))
        rows = [
            {
                "a": currency,
                "wb": text(now.get(currency, Decimal(0))),
                "cw": text(now.get(currency, Decimal(0)) - self._isolated(account)),
                "bc": text((changes or {}).get(currency, Decimal(0))),
            }
            for currency in moved
        ]
        held = self._moved_positions(account) if positions else []
        if rows or held:
            body = {"m": reason, "B": rows, "P": held}
            self._tell_account(account, {**self._head("ACCOUNT_UPDATE"), "a": body})

    def _isolated(self, account: AccountId) -> Decimal:
        found = self.exchange.paper.positions(account, self.exchange.time())
        return sum((p.margin for p in found if p.margin_mode is MarginMode.ISOLATED), Decimal(0))

    def _moved_positions(self, account: AccountId) -> list[dict[str, Any]]:
        found = {p.instrument: p for p in self.exchange.paper.positions(account, self.exchange.time())}
        sizes = {i: p.quantity for i, p in found.items()}
        before = self._positions.get(account, {})
        self._positions[account] = sizes
        rows = []
        for instrument in sorted(i for i in {*sizes, *before} if sizes.get(i) != before.get(i)):
            details, position = self.exchange.instruments[instrument], found.get(instrument)
            isolated = self.margin_mode(account, instrument) is MarginMode.ISOLATED
            margin = position.margin if position is not None and isolated else Decimal(0)
            entry = position.entry_price if position is not None else Decimal(0)
            rows.append(
                {
                    "s": self.symbol(instrument),
                    "pa": self._size(details, sizes.get(instrument, Decimal(0))),
                    "ep": rounded(entry),
                    "bep": rounded(entry),
                    "cr": rounded(self._realised.get(account, {}).get(instrument, Decimal(0))),
                    "up": rounded(position.unrealised) if position is not None else "0",
                    "mt": "isolated" if isolated else "cross",
                    "iw": rounded(margin),
                    "ps": "BOTH",
                }
            )
        return rows

    def margin_mode(self, account: AccountId, instrument: InstrumentId) -> MarginMode:
        """An account's margin mode in an instrument."""
        return self.exchange.margin(account, instrument).mode

    # --- marks -------------------------------------------------------------------------------------------------------

    def _tell_marks(self) -> None:
        """Every second for `@1s`, every third for the others."""
        self._mark_flushes += 1
        every = []
        for instrument in self.exchange.instruments:
            message = self.mark_message(instrument)
            if message is None:
                continue
            every.append(message)
            low = self.symbol(instrument).lower()
            self.publish(f"{low}@markPrice@1s", "markPriceUpdate", message)
            if self._mark_flushes % 3 == 0:
                self.publish(f"{low}@markPrice", "markPriceUpdate", message)
        self.publish("!markPrice@arr@1s", "markPriceUpdate", every)
        if self._mark_flushes % 3 == 0:
            self.publish("!markPrice@arr", "markPriceUpdate", every)
        self.exchange.after(1.0, self._tell_marks)

    def mark_message(self, instrument: InstrumentId) -> dict[str, Any] | None:
        """`markPriceUpdate`."""
        mark = self.exchange.marks.get(instrument)
        if mark is None:
            return None
        return {
            "e": "markPriceUpdate",
            "E": self.exchange.ms(),
            "s": self.symbol(instrument),
            "p": text(mark.mark),
            "i": text(mark.index or mark.mark),
            "P": text(mark.mark),
            "r": text(mark.funding_rate or Decimal(0)),
            "T": self.exchange.ms(mark.next_funding or 0),
        }
