"""Capital in lines: figures, pools, locks with their time, what is on its way, and the plan of rebalancing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.errands import new_request_id
from screens.dialogs import ConfirmDialog, SheetDialog
from screens.formats import MASK, age, at, number, percent
from screens.sheet import wrap
from widgets.text import clean, fit

if TYPE_CHECKING:
    from decimal import Decimal

    from console.app import QuarterdeckApp
    from engine.control.views_capital import CapitalPlanView, CapitalView, FlowPage, LockedProfitRow, PoolRow
    from screens.sheet import Line

__all__ = ["capital_lines", "plan_dialog", "plan_lines", "show_plan"]

WIDTH = 70
"""Cells of a line."""


def show_plan(app: QuarterdeckApp) -> None:
    """Ask what rebalancing would do, and show it: to be carried out where it moves something and may be."""

    def show(view: CapitalPlanView) -> None:
        if view.flows and not view.obstacles:
            app.push_screen(plan_dialog(app, view))
        else:
            app.push_screen(SheetDialog("Rebalance capital", plan_lines(app, view)))

    app.ask(app, "capital.plan", then=show)


def plan_dialog(app: QuarterdeckApp, view: CapitalPlanView) -> ConfirmDialog:
    """Ask whether the plan shall be carried out."""
    request_id = new_request_id()

    async def run() -> Any:
        return await app.link.call("capital.rebalance", {}, request_id=request_id)

    sentence = f"Move {_money(app, view.moved)} {view.currency} between pools; no order is sent."
    return ConfirmDialog(
        "Rebalance capital", sentence, plan_lines(app, view), run=run, verb="Rebalance", busy="Moving…"
    )


def _money(app: QuarterdeckApp, value: Decimal, *, signed: bool = False) -> str:
    return MASK if app.privacy else number(value, signed=signed)


def _head(text: str) -> Line:
    return [(text, "accent")]


def capital_lines(app: QuarterdeckApp, view: CapitalView, flows: FlowPage) -> list[Line]:
    """All of it, the figures first."""
    now = app.now()
    lines = _figures(app, view, now)
    lines += [[], _head(f"Pools {len(view.pools)}")]
    if not view.pools:
        lines.append([("No bot has capital yet.", "muted")])
    for pool in view.pools:
        lines += _pool(app, pool)
    lines += [[], _head(f"Locked profit {len(view.locks)}")]
    lines += [_lock(app, lock, now) for lock in view.locks] or [[("None.", "muted")]]
    if view.transfers:
        lines += [[], _head(f"On their way {len(view.transfers)}")]
        for row in view.transfers:
            ends = f"{clean(row.source) or 'outside'} → {clean(row.target) or 'outside'}"
            what = f"{_money(app, row.amount)} {row.currency} {ends}"
            lines.append([(f"{clean(row.transfer)}  ", "text"), (f"{what}, for {age(row.since, now)}", "muted")])
    lines += [[], _head("Last movements")]
    for flow in flows.rows:
        lines.append([
            (f"{at(flow.ts, app.zone)} ", "muted"),
            (f"{_money(app, flow.amount):>12} {flow.currency} ", "text"),
            (f"{clean(flow.source)} → {clean(flow.target)} ", "text"),
            (clean(flow.kind), "muted"),
        ])  # fmt: skip
    return lines


def _figures(app: QuarterdeckApp, view: CapitalView, now: int) -> list[Line]:
    unit = view.currency
    rows: list[Line] = []
    for label, value in (
        ("Total", view.total),
        ("Reserve", view.reserve),
        ("Locked", view.locked),
        ("Allocated", view.allocated),
        ("At work", view.utilised),
        ("By hand", view.by_hand),
        ("Available", view.available),
    ):
        ink = "breach" if value < 0 else "text"
        extra = {
            "At work": f"  {percent(view.utilisation, 1)} of what is allocated",
            "Allocated": f"  {percent(view.efficiency, 1)} of what may be",
        }.get(label, "")
        rows.append([(fit(label, 11), "muted"), (f"{_money(app, value):>14} {unit}", ink), (extra, "muted")])
    method = view.method.replace("_", " ")
    if view.next_rebalancing is None:
        when = "nothing to share out"
    elif not view.automatic:
        when = "by hand only"
    else:
        when = f"next in {age(now, view.next_rebalancing)}" if view.next_rebalancing > now else "due"
    rows.append([(fit("Method", 11), "muted"), (f"{method}, {when}", "text")])
    for account in view.accounts:
        if account.next_settlement is not None and account.next_settlement > now:
            rows.append([
                (fit("Settlement", 11), "muted"),
                (f"{clean(account.account)} in {age(now, account.next_settlement)}", "text"),
            ])  # fmt: skip
        if account.preserved:
            rows += wrap(f"{account.account} is preserved: {account.preserved}", WIDTH, "warn")
    if view.total < view.needed:
        purpose = view.purpose.replace("_", " ")
        rows += wrap(f"Less than the {number(view.needed, 0)} {unit} that {purpose} needs.", WIDTH, "warn")
    for words in view.obstacles:
        rows += wrap(words, WIDTH, "muted")
    for name in view.missing:
        rows += wrap(f"{name} cannot be valued.", WIDTH, "warn")
    return rows


def _pool(app: QuarterdeckApp, pool: PoolRow) -> list[Line]:
    record = f"{pool.days} d" + (f", Sharpe {number(pool.sharpe, 1)}" if pool.sharpe is not None else "")
    lines: list[Line] = [
        [
            (fit(clean(pool.name), 14), "strong"),
            (f"{_money(app, pool.value):>12} {pool.currency} ", "text"),
            (f"{percent(pool.share, 1):>7} ", "text"),
            (f"free {_money(app, pool.free)}  ", "muted"),
            (record, "muted"),
        ]
    ]
    for note in pool.notes:
        lines += wrap(f"  {note}", WIDTH, "warn")
    return lines


def _lock(app: QuarterdeckApp, lock: LockedProfitRow, now: int) -> Line:
    why = "asked for, opens" if lock.asked_at is not None else "opens"
    return [
        (f"{clean(lock.lock)}  ", "text"),
        (f"{_money(app, lock.amount)} {lock.currency}  ", "text"),
        (f"{why} in {age(now, lock.unlocks_at)}", "muted"),
    ]


def plan_lines(app: QuarterdeckApp, view: CapitalPlanView) -> list[Line]:
    """What each pool has, shall have and gets now."""
    lines: list[Line] = []
    for row in view.targets:
        ink = "gain" if row.change > 0 else "loss" if row.change < 0 else "muted"
        lines.append([
            (fit(clean(row.name), 14), "strong"),
            (f"{_money(app, row.value):>11} → {_money(app, row.target):>11} ", "text"),
            (f"{_money(app, row.change, signed=True):>11} ", ink),
            (percent(row.share, 1), "muted"),
        ])  # fmt: skip
        for note in row.notes:
            lines += wrap(f"  {note}", WIDTH, "muted")
    if not view.targets:
        lines.append([("No running bot takes part.", "muted")])
    lines.append([])
    for words in (*view.obstacles, *view.notes):
        lines += wrap(words, WIDTH, "warn")
    method = view.method.replace("_", " ")
    lines.append([(f"By {method}; {_money(app, view.cap)} {view.currency} may still move today.", "muted")])
    return lines
