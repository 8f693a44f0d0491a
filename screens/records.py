"""Pages to read from any screen: how the engine's parts are, and what became of orders of all time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.dialogs import SheetDialog
from screens.formats import age, at, exact
from screens.venues import venue_lines
from widgets.text import clean, fit

if TYPE_CHECKING:
    from console.app import QuarterdeckApp
    from engine.control.views import FeedRow, FillHistoryView, HealthRow, OrderHistoryView
    from engine.control.views_venues import VenueRow
    from screens.sheet import Line

__all__ = ["PAGE", "show_fills", "show_health", "show_orders"]

PAGE = 200
"""Rows that a page of history has."""
_INKS = {"ok": "gain", "warning": "warn", "failed": "breach"}


def show_health(app: QuarterdeckApp) -> None:
    """Ask how everything is, and show it."""

    def venues(parts: list[HealthRow]) -> None:
        def feeds(known: list[VenueRow]) -> None:
            def show(rows: list[FeedRow]) -> None:
                now = app.now()
                lines = health_lines(parts, rows, now)
                # Behind the parts, as these are what is left of the day when something fails.
                place = lines.index([])
                app.push_screen(SheetDialog("Health", [*lines[:place], [], *venue_lines(known, now), *lines[place:]]))

            app.ask(app, "engine.feeds", then=show)

        app.ask(app, "venues.list", then=feeds)

    app.ask(app, "health.components", then=venues)


def show_orders(app: QuarterdeckApp) -> None:
    """Ask for the newest ended orders, and show them."""

    def show(view: OrderHistoryView) -> None:
        app.push_screen(SheetDialog("Order history", order_lines(app, view)))

    app.ask(app, "orders.history", {"size": PAGE}, then=show)


def show_fills(app: QuarterdeckApp) -> None:
    """Ask for the newest executions, and show them."""

    def show(view: FillHistoryView) -> None:
        app.push_screen(SheetDialog("Execution history", fill_lines(app, view)))

    app.ask(app, "orders.fill_history", {"size": PAGE}, then=show)


def health_lines(parts: list[HealthRow], feeds: list[FeedRow], now: int) -> list[Line]:
    """The parts of the engine, then its markets."""
    lines: list[Line] = [[("Parts of the engine", "accent")]]
    for part in parts:
        ink = _INKS.get(part.state, "muted")
        lines.append([
            (fit(clean(part.component), 14), "text"), (fit(clean(part.state), 9), ink), (clean(part.summary), "text"),
        ])  # fmt: skip
    lines += [[], [("Markets", "accent")]]
    for feed in feeds:
        words = f"last heard {age(feed.last, now)} ago" if feed.last else "not heard yet"
        lines.append([
            (fit(clean(feed.instrument), 18), "text"),
            (fit("live" if feed.live else "stale", 7), "gain" if feed.live else "warn"),
            (f"{words}, {feed.updates:,} updates, {feed.gaps:,} gaps", "text"),
        ])  # fmt: skip
    return lines


def order_lines(app: QuarterdeckApp, view: OrderHistoryView) -> list[Line]:
    """How many there are, and a line each."""
    lines = _head(len(view.rows), view.total, "ended orders")
    for row in view.rows:
        done = "•••" if app.privacy else f"{exact(row.filled)} of {exact(row.quantity)}"
        price = f" at {exact(row.average_price)}" if row.average_price is not None else ""
        lines.append([
            (f"{at(row.updated, app.zone)} ", "muted"),
            (f"{row.side.upper():<4} ", "gain" if row.side == "buy" else "loss"),
            (f"{clean(row.instrument)} {row.type.replace('_', ' ')} {row.status.replace('_', ' ')}: ", "text"),
            (f"{done}{price} ", "text"),
            (f"{clean(row.owner_name)} {clean(row.reason)}", "muted"),
        ])  # fmt: skip
    return lines


def fill_lines(app: QuarterdeckApp, view: FillHistoryView) -> list[Line]:
    """How many there are, and a line each."""
    lines = _head(len(view.rows), view.total, "executions")
    for row in view.rows:
        quantity = "•••" if app.privacy else exact(row.quantity)
        lines.append([
            (f"{at(row.ts, app.zone)} ", "muted"),
            (f"{row.side.upper():<4} ", "gain" if row.side == "buy" else "loss"),
            (f"{clean(row.instrument)} {quantity} at {exact(row.price)} ", "text"),
            (clean(row.owner_name), "muted"),
        ])  # fmt: skip
    return lines


def _head(shown: int, total: int, what: str) -> list[Line]:
    if not total:
        return [[(f"There are no {what} yet.", "muted")]]
    words = (
        f"The newest {shown:,} of {total:,} {what}." if shown < total else f"All {total:,} {what}, the newest first."
    )
    return [[(words, "muted")], []]
