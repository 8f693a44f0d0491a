"""Facts in words, for the activity log and for toasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.control.views import Activity
from engine.model.algos import ParentStatus
from engine.model.ids import InstrumentId, symbol_of, venue_of
from engine.model.places import place_name
from engine.model.regime import PORTFOLIO
from engine.model.scenario import ScenarioKind
from engine.model.verification import Grade

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from engine.state import EngineState

__all__ = ["TOLD", "activity"]

INFO, GOOD, WARNING, CRITICAL = "info", "good", "warning", "critical"
Words = tuple[str, str, str, str]
"""Severity, text, owner, instrument."""


def _n(value: Decimal | None) -> str:
    if value is None:
        return "?"
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _who(state: EngineState, owner: str) -> str:
    bot = state.bots.get(owner)  # type: ignore[call-overload]
    return bot.name if bot is not None else owner


def _market(state: EngineState, instrument: InstrumentId, account: str = "") -> str:
    """A market by its symbol, and by its venue where several are traded at."""
    name = place_name(_places(state), venue_of(instrument), account)
    return f"{symbol_of(instrument)} on {name}" if name else symbol_of(instrument)


def _places(state: EngineState) -> list[tuple[str, str]]:
    return [(str(known.venue), str(known.id)) for known in state.accounts.values()]


def _order(state: EngineState, client_id: str) -> tuple[str, str, str]:
    """An order in words, its owner and its instrument."""
    order = state.order(client_id)  # type: ignore[arg-type]
    if order is None:
        return f"order {client_id}", "", ""
    at = order.price if order.price is not None else order.stop_price
    market = _market(state, order.instrument, order.account)
    words = f"{order.side} {_n(order.quantity)} {market} {order.type.replace('_', ' ')}"
    return words + (f" at {_n(at)}" if at is not None else ""), _who(state, order.owner), order.instrument


def _about_order(text: str, severity: str = INFO) -> Callable[[EngineState, Any], Words]:
    def words(state: EngineState, event: Any) -> Words:
        what, owner, instrument = _order(state, event.client_id)
        reason = getattr(event, "reason", "")
        return severity, f"{text}: {what}" + (f" ({reason})" if reason else ""), owner, instrument

    return words


def _filled(state: EngineState, event: ev.OrderFilled) -> Words:
    fill = event.fill
    order = state.order(fill.client_id)
    left = order.remaining if order is not None else None
    market = _market(state, fill.instrument, fill.account)
    text = f"{'Bought' if fill.side == 'buy' else 'Sold'} {_n(fill.quantity)} {market}"
    text += f" at {_n(fill.price)}, fee {_n(fill.fee)} {fill.fee_currency}"
    if left:
        text += f", {_n(left)} still open"
    return GOOD, text, _who(state, order.owner) if order is not None else "", fill.instrument


def _refused(state: EngineState, event: ev.OrderRefused) -> Words:
    text = (
        f"Refused: {event.side} {_n(event.quantity)} {_market(state, event.instrument, event.account)}. {event.message}"
    )
    return WARNING, text, _who(state, event.owner), event.instrument


def _bot_state(state: EngineState, event: ev.BotStateChanged) -> Words:
    severity = CRITICAL if event.state == "error" else INFO
    text = f"Bot {_who(state, event.bot)} is {event.state}" + (f": {event.reason}" if event.reason else "")
    return severity, text, _who(state, event.bot), ""


def _trading(_state: EngineState, event: ev.TradingStateChanged) -> Words:
    severity = GOOD if event.state == "active" else CRITICAL
    scope = "Trading" if event.scope == "engine" else f"Trading of {event.scope}"
    return severity, f"{scope} is {event.state}: {event.reason} (by {event.actor})", "", ""


def _signal(state: EngineState, event: ev.SignalRaised) -> Words:
    text = f"Signal {event.action} {event.direction} {_market(state, event.instrument)}: {event.reason}"
    return INFO, text, _who(state, event.bot), event.instrument


def _money(verb: str) -> Callable[[EngineState, Any], Words]:
    def words(state: EngineState, event: Any) -> Words:
        why = getattr(event, "reason", "") or getattr(event, "reference", "")
        known = state.accounts.get(event.account)
        name = place_name(_places(state), known.venue, known.id) if known is not None else ""
        place = f" in {name}" if name else ""
        return INFO, f"{verb} {_n(event.amount)} {event.currency}{place}" + (f" ({why})" if why else ""), "", ""

    return words


def _funds_moved(state: EngineState, event: ev.FundsMoved) -> Words | None:
    if not event.flows:
        return None
    moves = ", ".join(
        f"{_n(flow.amount)} {event.currency} from {_who(state, flow.source)} to {_who(state, flow.target)}"
        for flow in event.flows
    )
    return INFO, f"Capital moved: {moves} ({event.reason})", "", ""


def _funding(_state: EngineState, event: ev.FundingPaid) -> Words:
    verb = "received" if event.amount < 0 else "paid"
    return INFO, f"Funding {verb}: {_n(abs(event.amount))} {event.currency}", "", event.instrument


def _recovered(state: EngineState, event: ev.RecoveryVerified) -> Words:
    severity = CRITICAL if event.verdict != "verified" else WARNING if event.findings else GOOD
    did = [
        f"{count} {what}"
        for count, what in (
            (event.fills, "executions booked"),
            (event.ended, "orders ended"),
            (event.adopted, "orders taken over"),
            (event.canceled, "of them cancelled"),
        )
        if count
    ]
    found = [finding.text for finding in event.findings]
    account = state.accounts.get(event.account)
    whose = event.account if account is None else f"{account.venue}/{account.id}"
    text = f"The start of {whose} is {event.verdict}: {', '.join(did) or 'nothing had changed'}"
    return severity, " ".join((f"{text} ({event.duration_ms:.0f} ms).", *found)), "", ""


def _checked(_state: EngineState, event: ev.StateChecked) -> Words | None:
    fresh = [finding for finding in event.findings if not finding.standing]
    if not fresh:
        return None
    grave = any(finding.grade not in (Grade.LOGGED, Grade.RECONCILED) for finding in fresh)
    told = [f"{finding.text} {finding.correction}".strip() for finding in fresh]
    return CRITICAL if grave else WARNING, f"A check of the state found: {' '.join(told)}", "", ""


def _scenario_began(_state: EngineState, event: ev.ScenarioBegan) -> Words:
    known = event.scenario in set(ScenarioKind)
    words = ScenarioKind(event.scenario).words if known else event.scenario
    return WARNING, f"{words} ({event.subject}): {event.cause}", "", ""


def _scenario_ended(_state: EngineState, event: ev.ScenarioEnded) -> Words:
    known = event.scenario in set(ScenarioKind)
    words = ScenarioKind(event.scenario).words_at_end if known else event.scenario
    text = f"{words} ({event.subject}): {event.outcome} ({event.duration_ms / 1e3:.1f} s)"
    return GOOD if event.succeeded else WARNING, text, "", ""


def _regime(_state: EngineState, event: ev.RegimeChanged) -> Words:
    scope = "the portfolio" if event.scope == PORTFOLIO else event.scope
    before = f", before {event.before}" if event.before else ""
    severity = WARNING if event.after in ("high", "elevated") else INFO
    instrument = "" if event.scope == PORTFOLIO else event.scope
    return (
        severity,
        f"{event.kind.capitalize()} of {scope} is {event.after} now{before} ({event.cause})",
        "",
        instrument,
    )


def _adapted(_state: EngineState, event: ev.RiskAdapted) -> Words:
    name = event.name.replace("_", " ")
    where = "" if event.scope == PORTFOLIO else f" in {event.scope}"
    text = f"Adapted: {name}{where} is {_n(event.value)}, set is {_n(event.base)} ({event.cause})"
    return INFO, text, "", "" if event.scope == PORTFOLIO else event.scope


def _stressed(_state: EngineState, event: ev.StressTested) -> Words:
    broken = [result.label for result in event.results if result.breached]
    told = f"limits would break in: {', '.join(broken)}" if broken else "no limit would break"
    return WARNING if broken else INFO, f"Stress test ({event.cause}): {told}", "", ""


def _parent(text: str, severity: str = INFO) -> Callable[[EngineState, Any], Words]:
    def words(state: EngineState, event: Any) -> Words:
        parent = state.parent(event.parent)
        if parent is None:
            return severity, f"{text}: {event.parent}", "", ""
        what = f"{parent.side} {_n(parent.quantity)} {_market(state, parent.instrument, parent.account)}"
        reason = getattr(event, "reason", "")
        said = f"{text}: {parent.id}, {what}" + (f" ({reason})" if reason else "")
        return severity, said, _who(state, parent.owner), parent.instrument

    return words


def _parent_ended(state: EngineState, event: ev.ParentEnded) -> Words:
    severity, text = {
        ParentStatus.DONE: (GOOD, "Algorithm done"),
        ParentStatus.STOPPED: (WARNING, "Algorithm stopped"),
    }.get(event.status, (INFO, "Algorithm cancelled"))
    return _parent(text, severity)(state, event)


TOLD: dict[type[Any], Callable[[EngineState, Any], Words | None]] = {
    ev.EngineStarted: lambda _s, e: (INFO, f"The engine started (release {e.release}, pid {e.pid})", "", ""),
    ev.EngineStopped: lambda _s, e: (INFO, f"The engine stopped: {e.reason}", "", ""),
    ev.HandedOver: lambda _s, e: (INFO, f"The engine is handed over to process {e.pid} (release {e.release})", "", ""),
    ev.HandoverAbandoned: lambda _s, e: (WARNING, f"The engine was not handed over: {e.reason}", "", ""),
    ev.OperatorActed: lambda _s, e: (INFO, f"{e.actor}: {e.operation} {e.summary}".strip(), "", ""),
    ev.Deposited: _money("Deposited"),
    ev.Withdrawn: _money("Withdrew"),
    ev.BalanceAdjusted: _money("Balance adjusted by"),
    ev.FundingPaid: _funding,
    ev.InterestCharged: _money("Interest"),
    ev.FundsMoved: _funds_moved,
    ev.ProfitSettled: lambda _s, e: (
        GOOD,
        f"Profit of {_n(e.profit)} {e.currency} settled: {_n(e.locked)} locked, {_n(e.compounded)} put to work",
        "",
        "",
    ),
    ev.ProfitUnlockAsked: lambda _s, e: (WARNING, f"Locked profit {e.lock} asked for by {e.actor}: {e.reason}", "", ""),
    ev.ProfitUnlocked: lambda _s, e: (INFO, f"Locked profit {e.lock} is free: {e.reason}", "", ""),
    ev.CapitalPreserved: lambda _s, e: (
        CRITICAL if e.on else GOOD,
        f"Capital of {e.account} {'is preserved' if e.on else 'flows again'}: {e.reason} (by {e.actor})",
        "",
        "",
    ),
    ev.TransferPlanned: lambda _s, e: (
        INFO,
        f"Planned: {e.kind} of {_n(e.amount)} {e.currency}, {e.source or 'outside'} to {e.target or 'outside'}",
        "",
        "",
    ),
    ev.TransferLeft: lambda _s, e: (INFO, f"The transfer {e.transfer} is on its way", "", ""),
    ev.TransferEnded: lambda _s, e: (
        GOOD if e.arrived else WARNING,
        f"The transfer {e.transfer} {'is done' if e.arrived else 'was given up'}",
        "",
        "",
    ),
    ev.MarginSet: lambda _s, e: (
        WARNING if e.adopted else INFO,
        f"{e.instrument} is at {_n(e.leverage)}x {e.mode}" + (", found so at the venue" if e.adopted else ""),
        "",
        e.instrument,
    ),
    ev.PositionAdopted: lambda _s, e: (
        WARNING,
        f"Taken over, as the venue has it: {_n(e.quantity)} {e.instrument} at {_n(e.price)} ({e.reason})",
        "",
        e.instrument,
    ),
    ev.PositionLiquidated: lambda _s, e: (CRITICAL, f"Liquidated: {e.reason}", "", e.instrument),
    ev.ExternalOrderSeen: lambda _s, e: (WARNING, f"An order of somebody else: {e.venue_order_id}", "", e.instrument),
    ev.ExternalFillSeen: lambda _s, e: (WARNING, f"An execution of somebody else: {e.fill.key}", "", e.fill.instrument),
    ev.OrderRefused: _refused,
    ev.OrderIntended: _about_order("Ordered"),
    ev.OrderAdopted: _about_order("Taken over, as the venue has it", WARNING),
    ev.RecoveryVerified: _recovered,
    ev.StateChecked: _checked,
    ev.OrderOutcomeUnknown: _about_order("Outcome unknown, asking the venue", WARNING),
    ev.OrderAccepted: _about_order("Accepted"),
    ev.OrderRejected: _about_order("Rejected by the venue", WARNING),
    ev.OrderTriggered: _about_order("Triggered"),
    ev.OrderFilled: _filled,
    ev.OrderCancelRejected: _about_order("Not cancelled", WARNING),
    ev.OrderCanceled: _about_order("Cancelled"),
    ev.OrderExpired: _about_order("Expired"),
    ev.BotCreated: lambda _s, e: (INFO, f"Bot {e.name} created with {_n(e.capital)} {e.currency}", e.name, ""),
    ev.BotStateChanged: _bot_state,
    ev.BotDeleted: lambda s, e: (INFO, f"Bot {_who(s, e.bot)} deleted", "", ""),
    ev.SignalRaised: _signal,
    ev.TradingStateChanged: _trading,
    ev.BreakerTripped: lambda _s, e: (CRITICAL, f"Breaker {e.breaker} tripped: {e.reason}", "", ""),
    ev.BreakerHalfOpened: lambda _s, e: (INFO, f"Breaker {e.breaker} is on trial: {e.reason}", "", ""),
    ev.BreakerHeld: lambda _s, e: (WARNING, f"Breaker {e.breaker} is held open by {e.actor}: {e.reason}", "", ""),
    ev.LockPlaced: lambda _s, e: (WARNING, f"Lock {e.lock}: {e.reason}", "", ""),
    ev.LockEnded: lambda _s, e: (INFO, f"Lock {e.lock} ended{f' by {e.actor}' * bool(e.actor)}: {e.reason}", "", ""),
    ev.BreakerReset: lambda _s, e: (GOOD, f"Breaker {e.breaker} reset by {e.actor}: {e.reason}", "", ""),
    ev.ScenarioBegan: _scenario_began,
    ev.ScenarioEnded: _scenario_ended,
    ev.RegimeChanged: _regime,
    ev.RiskAdapted: _adapted,
    ev.StressTested: _stressed,
    ev.ParentOpened: _parent("Algorithm started"),
    ev.ParentPaused: _parent("Algorithm paused"),
    ev.ParentResumed: _parent("Algorithm resumed"),
    ev.ParentAccelerated: lambda s, e: _parent(f"Algorithm at {e.pace}% of its pace")(s, e),
    ev.ParentCancelRequested: _parent("Algorithm is ending"),
    ev.ParentEnded: _parent_ended,
    ev.PoorExecution: lambda s, e: (
        WARNING,
        f"Poor execution: {e.subject} was {e.slippage:.2%} worse than {_n(e.price)}, {_n(e.cost)} {e.currency}",
        _who(s, e.owner),
        e.instrument,
    ),
    ev.LimitBreached: lambda _s, e: (WARNING, f"Limit exceeded: {e.reason}", "", ""),
    ev.LimitHealed: lambda _s, e: (GOOD, f"Limit kept again: {e.reason}", "", ""),
    ev.LimitsChanged: lambda _s, e: (INFO, f"Risk limits changed by {e.actor}", "", ""),
}
"""How each fact worth telling is said; what is missing (marks, memories, amendments) is not told."""


def activity(state: EngineState, record: ev.Record) -> Activity | None:
    """A fact in words; None when it is not worth telling."""
    say = TOLD.get(type(record.event))
    if say is None:
        return None
    told = say(state, record.event)
    if told is None:
        return None
    severity, text, owner, instrument = told
    return Activity(
        seq=record.seq,
        ts=record.ts,
        severity=severity,
        kind=ev.event_name(record.event),
        text=text,
        owner=owner,
        instrument=InstrumentId(instrument),
    )
