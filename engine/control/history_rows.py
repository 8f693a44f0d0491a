"""What the journal's facts look like as rows of history: ended orders, executions, audit, alerts.

Pure, and repeatable: the same facts give the same rows with the same keys, so that projecting them again is harmless.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.model.decimals import ZERO
from engine.model.ids import symbol_of, venue_of
from engine.model.order import TERMINAL_STATUSES, OrderStatus, TimeInForce, can_move
from engine.model.regime import PORTFOLIO
from engine.model.verification import CHECKS, Grade
from storage.database import utc_from_ns
from storage.tables import LOCAL_OPERATOR_ID, AlertRow, AuditLogRow, FillHistoryRow, OrderHistoryRow, StateAuditRow
from storage.tables.words import Severity
from storage.types import round_for_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from engine.model.fill import Fill

__all__ = ["ALERTS", "alert_row", "audit_row", "fill_row", "order_row", "state_rows", "told_of", "told_rows"]

_SPACE = uuid.UUID("8d1f6c0e-51b3-4f43-9a53-7a1d3c7f0a11")
_LONG = 4096
_NAME = 128
_ADOPTED = "found at the venue"


def _key(*parts: object) -> uuid.UUID:
    return uuid.uuid5(_SPACE, "|".join(map(str, parts)))


class _Life:
    """An order's life, folded from its facts as the engine's state folds it."""

    def __init__(self, intent: ev.OrderIntended | ev.OrderAdopted, ts: int) -> None:
        self.intent = intent
        self.created = intent.ts if isinstance(intent, ev.OrderAdopted) else ts
        self.updated = ts
        self.status = OrderStatus.PENDING
        self.quantity, self.price, self.stop_price = intent.quantity, intent.price, intent.stop_price
        self.venue_order_id = ""
        self.filled = self.value = self.before = ZERO
        self.fees: dict[str, Decimal] = {}
        self.reason = ""
        self._fills: set[str] = set()

    def hear(self, record: ev.Record) -> None:
        """Fold one fact."""
        match record.event:
            case ev.OrderAccepted(venue_order_id=venue_order_id):
                self.venue_order_id = venue_order_id
                if can_move(self.status, OrderStatus.ACCEPTED):
                    self.reason = ""
                    self._move(
                        OrderStatus.PARTIALLY_FILLED if self.filled + self.before else OrderStatus.ACCEPTED, record.ts
                    )
            case ev.OrderAmended() as change:
                self._amend(change, record.ts)
            case ev.OrderFilled(fill=fill):
                self._fill(fill, record.ts)
            case ev.OrderAdopted() as taken:
                self.adopt(taken, record.ts)
            case ev.OrderOutcomeUnknown(reason=reason):
                self._move(OrderStatus.UNKNOWN, record.ts, reason)
            case ev.OrderRejected(reason=reason):
                self._move(OrderStatus.REJECTED, record.ts, reason)
            case ev.OrderCanceled(reason=reason):
                self._move(OrderStatus.CANCELED, record.ts, reason)
            case ev.OrderExpired(reason=reason):
                self._move(OrderStatus.EXPIRED, record.ts, reason)
            case _:
                pass

    def _amend(self, change: ev.OrderAmended, ts: int) -> None:
        self.quantity = change.quantity if change.quantity is not None else self.quantity
        self.price = change.price if change.price is not None else self.price
        self.stop_price = change.stop_price if change.stop_price is not None else self.stop_price
        if self.status not in TERMINAL_STATUSES and ZERO < self.filled + self.before >= self.quantity:
            self._move(OrderStatus.FILLED, ts)

    def adopt(self, taken: ev.OrderAdopted, ts: int) -> None:
        """Begin, or begin anew, as the venue has the order."""
        self.venue_order_id, self.before = taken.venue_order_id, taken.executed_before
        self.quantity, self.price, self.stop_price = taken.quantity, taken.price, taken.stop_price
        self.reason = ""
        self._move(OrderStatus.PARTIALLY_FILLED if self.filled + self.before else OrderStatus.ACCEPTED, ts)

    def _fill(self, fill: Fill, ts: int) -> None:
        if fill.key in self._fills:
            return
        self._fills.add(fill.key)
        self.venue_order_id = fill.venue_order_id
        self.filled += fill.quantity
        self.value += fill.price * fill.quantity
        self.fees[fill.fee_currency] = self.fees.get(fill.fee_currency, ZERO) + fill.fee
        if self.filled + self.before >= self.quantity:
            self._move(OrderStatus.FILLED, ts)
        elif self.status not in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
            self._move(OrderStatus.PARTIALLY_FILLED, ts)
        else:
            self.updated = ts

    def _move(self, status: OrderStatus, ts: int, reason: str = "") -> None:
        self.status, self.updated = status, ts
        self.reason = reason or self.reason


def order_row(records: Iterable[ev.Record]) -> OrderHistoryRow | None:
    """The row of an order from all its facts, oldest first; None while it is open, or when its intent is missing."""
    life: _Life | None = None
    for record in records:
        event = record.event
        if isinstance(event, ev.OrderIntended) or (life is None and isinstance(event, ev.OrderAdopted)):
            life = _Life(event, record.ts)
        if life is not None:
            life.hear(record)
    if life is None or life.status not in TERMINAL_STATUSES:
        return None
    intent = life.intent
    return OrderHistoryRow(
        id=_key("order", intent.account, intent.client_id),
        client_order_id=intent.client_id,
        venue_order_id=life.venue_order_id or None,
        account=intent.account,
        venue=venue_of(intent.instrument),
        instrument=intent.instrument,
        owner=intent.owner,
        side=intent.side,
        type=intent.type,
        tif=intent.tif if isinstance(intent, ev.OrderIntended) else TimeInForce.GTC,
        quantity=life.quantity,
        price=life.price,
        stop_price=life.stop_price,
        filled=life.filled,
        average_price=round_for_storage(life.value / life.filled) if life.filled else None,
        fees={currency: format(fee, "f") for currency, fee in life.fees.items()},
        overfilled=life.filled > life.quantity,
        status=life.status,
        reason=intent.decision.reason[:_LONG] if isinstance(intent, ev.OrderIntended) else _ADOPTED,
        close_reason="" if life.status is OrderStatus.FILLED else life.reason[:_LONG],
        created_ns=life.created,
        closed_ns=max(life.updated, life.created),
    )


def fill_row(fill: Fill, owner: str) -> FillHistoryRow:
    """The row of an execution."""
    return FillHistoryRow(
        id=_key("fill", fill.key),
        venue=fill.venue,
        account=fill.account,
        instrument=fill.instrument,
        trade_id=fill.trade_id,
        venue_order_id=fill.venue_order_id,
        client_order_id=fill.client_id,
        owner=owner,
        side=fill.side,
        quantity=fill.quantity,
        price=fill.price,
        # A fee may have more places than a column keeps; the journal has them all.
        fee=round_for_storage(fill.fee),
        fee_currency=fill.fee_currency,
        liquidity=fill.liquidity,
        ts_ns=fill.ts,
    )


def audit_row(record: ev.Record, event: ev.OperatorActed) -> AuditLogRow:
    """The row of what somebody did through an operation."""
    return AuditLogRow(
        id=_key("audit", record.ts, record.seq, event.actor, event.operation, event.summary),
        user_id=LOCAL_OPERATOR_ID,
        action=event.operation[:_NAME],
        resource_type=event.operation.partition(".")[0][:_NAME],
        old_value=json.loads(event.before) if event.before else None,
        new_value={
            "asked": event.summary,
            "fact": record.seq,
            **({"values": json.loads(event.after)} if event.after else {}),
        },
        user_agent=event.actor[:256],
        timestamp=utc_from_ns(record.ts),
    )


def state_rows(record: ev.Record, event: ev.StateChecked | ev.RecoveryVerified) -> list[StateAuditRow]:
    """The rows of a round of checks: one of every check that passed, one of every finding."""
    checks = event.checks if isinstance(event, ev.StateChecked) else CHECKS
    failed = {finding.check for finding in event.findings}
    rows = [
        StateAuditRow(
            id=_key("state", record.ts, record.seq, check),
            check_name=check,
            account=event.account,
            passed=True,
            timestamp=utc_from_ns(record.ts),
        )
        for check in checks
        if check not in failed
    ]
    rows += [
        StateAuditRow(
            id=_key("state", record.ts, record.seq, number, found.check),
            check_name=found.check,
            account=event.account,
            subject=found.subject[:_NAME],
            passed=False,
            discrepancy=None if found.discrepancy is None else round_for_storage(found.discrepancy),
            finding=f"{found.grade}: {found.text}"[:_LONG],
            correction=found.correction[:_LONG],
            before={"booked": found.before} if found.before else None,
            after={"said": found.after} if found.after else None,
            timestamp=utc_from_ns(record.ts),
        )
        for number, found in enumerate(event.findings)
    ]
    return rows


_Told = tuple[str, Severity, str, str]
"""Kind, severity, title, message of an alert."""


def _breaker(event: ev.BreakerTripped) -> _Told:
    # What stops one market, or makes entries smaller, is less than what stops all of them.
    narrow = event.reduces or event.scope.startswith("instrument:")
    severity = Severity.HIGH if narrow else Severity.CRITICAL
    return "breaker", severity, f"The breaker {event.breaker} has tripped", event.reason


def _lock(event: ev.LockPlaced) -> _Told | None:
    return None if event.reduces else ("lock", Severity.MEDIUM, f"{event.scope} is locked for bots", event.reason)


def _exceeded(event: ev.LimitBreached) -> _Told:
    return "limit", Severity.HIGH, f"The limit {event.limit} is exceeded", event.reason


def _liquidated(event: ev.PositionLiquidated) -> _Told:
    return "liquidation", Severity.CRITICAL, f"{symbol_of(event.instrument)} was liquidated", event.reason


def _adopted(event: ev.PositionAdopted) -> _Told:
    message = f"{event.quantity:f} contracts at {event.price:f}: {event.reason}"
    return "position", Severity.HIGH, f"A position in {symbol_of(event.instrument)} was taken over", message


def _trading(event: ev.TradingStateChanged) -> _Told | None:
    if event.state == "active":
        return None
    scope = "Trading" if event.scope == "engine" else f"Trading of {event.scope}"
    return "halt", Severity.HIGH, f"{scope} is {event.state}", f"{event.reason} (by {event.actor})"


def _bot(event: ev.BotStateChanged) -> _Told | None:
    return ("bot", Severity.HIGH, f"The bot {event.bot} has failed", event.reason) if event.state == "error" else None


def _scenario(event: ev.ScenarioEnded) -> _Told:
    severity = Severity.MEDIUM if event.succeeded else Severity.HIGH
    steps = "; ".join(event.steps)
    title = f"{event.scenario.replace('_', ' ').capitalize()} of {event.subject}"
    return "recovery", severity, title, f"{event.outcome} After {event.duration_ms / 1e3:.1f} s: {steps}"


def _differs(event: ev.StateChecked | ev.RecoveryVerified) -> _Told | None:
    told = [f for f in event.findings if not f.standing and f.grade not in (Grade.LOGGED, Grade.RECONCILED)]
    if not told:
        return None
    text = " ".join(f"{finding.text} {finding.correction}".strip() for finding in told)
    return "state", Severity.CRITICAL, "The state differs from the venue or contradicts itself", text


def _regime(event: ev.RegimeChanged) -> _Told | None:
    if not event.before:
        # The first reading of a market is no change.
        return None
    scope = "the portfolio" if event.scope == PORTFOLIO else event.scope
    severity = Severity.MEDIUM if event.after in ("high", "elevated") else Severity.LOW
    return "regime", severity, f"{event.kind.capitalize()} of {scope} is {event.after}", f"{event.cause}"


def _stressed(event: ev.StressTested) -> _Told | None:
    broken = [result for result in event.results if result.breached]
    if not broken:
        return None
    lines = [
        f"{result.label}: -{result.loss:,.2f} {event.currency} would break {', '.join(result.breached)}."
        for result in broken
        if result.loss is not None
    ]
    return "stress", Severity.MEDIUM, "The daily stress test would break limits", " ".join(lines)


def _poor(event: ev.PoorExecution) -> _Told:
    message = (
        f"{event.subject} was executed {event.slippage:.2%} worse than {event.price.normalize():f}, which cost "
        f"{event.cost.normalize():f} {event.currency}; {event.limit:.2%} is accepted."
    )
    return "execution", Severity.MEDIUM, f"A poor execution in {symbol_of(event.instrument)}", message


ALERTS: dict[type[Any], Callable[[Any], _Told | None]] = {
    ev.BreakerTripped: _breaker,
    ev.LockPlaced: _lock,
    ev.LimitBreached: _exceeded,
    ev.PositionLiquidated: _liquidated,
    ev.PositionAdopted: _adopted,
    ev.TradingStateChanged: _trading,
    ev.BotStateChanged: _bot,
    ev.ScenarioEnded: _scenario,
    ev.StateChecked: _differs,
    ev.RecoveryVerified: _differs,
    ev.RegimeChanged: _regime,
    ev.StressTested: _stressed,
    ev.PoorExecution: _poor,
}
"""Facts that a person should find again later."""


def told_of(event: ev.Event) -> tuple[str, Severity, str, str] | None:
    """Kind, severity, title and message of a fact that a person should know; None for any other."""
    tell = ALERTS.get(type(event))
    return tell(event) if tell is not None else None


def alert_row(record: ev.Record) -> AlertRow | None:
    """The row of a fact that a person should know; None for any other."""
    told = told_of(record.event)
    if told is None:
        return None
    kind, severity, title, message = told
    return AlertRow(
        id=_key("alert", record.ts, record.seq, title),
        user_id=LOCAL_OPERATOR_ID,
        alert_type=kind,
        severity=severity,
        title=title[:_NAME],
        message=message[:_LONG],
        details={"fact": record.seq},
        timestamp=utc_from_ns(record.ts),
    )


def told_rows(record: ev.Record) -> list[AuditLogRow | StateAuditRow | AlertRow]:
    """The rows of a fact that is neither an execution nor the end of an order: audit, checks, alerts."""
    rows: list[AuditLogRow | StateAuditRow | AlertRow] = []
    match record.event:
        case ev.OperatorActed():
            rows.append(audit_row(record, record.event))
        case ev.RecoveryVerified() | ev.StateChecked():
            rows += state_rows(record, record.event)
    alert = alert_row(record)
    return rows if alert is None else [*rows, alert]
