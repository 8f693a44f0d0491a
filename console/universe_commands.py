"""The command `universe show`: which markets a rule means, by rank, and why the others are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from console.offline_call import table, utc
from console.plain import say, say_json

if TYPE_CHECKING:
    from console.cli import Invocation
    from engine.control.views_bots import UniverseView

__all__ = ["universe"]


@click.group()
def universe() -> None:
    """Which markets a rule means, now or then."""


@universe.command()
@click.argument("bot", required=False)
@click.option("--venue", metavar="binance", help="Venue of a rule that is not a bot's.")
@click.option("--rule", "rules", multiple=True, metavar="NAME=VALUE,…", help="quote=USDT,top=20,…; repeatable.")
@click.option("--stored", is_flag=True, help="Look at stored candles, not at what the venue says now.")
@click.option("--at", metavar="TIME", help="Moment in stored candles, a day or an ISO time, UTC.")
@click.option("--all", "everything", is_flag=True, help="Show those that do not fulfil the rule too, and why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(
    invocation: Invocation,
    /,
    bot: str | None,
    venue: str | None,
    rules: tuple[str, ...],
    stored: bool,
    at: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Show the universe of BOT, or of a rule that need not exist yet.

    A rule knows quote, kind (spot, perpetual, any), top, min_volume, min_age_days, max_age_days, min_price, max_price,
    max_spread, min_volatility, max_volatility, volatility_days, min_change, max_change, allow and deny (patterns, with
    ; between them), leave_factor, leave_after and refresh_s.

    With --stored or --at it says who would have been a member at that moment, from what was known then.
    """
    from console.operation_call import perform
    from console.reply_text import plain
    from engine.control.ops import all as entered
    from engine.control.registry import OPERATIONS

    assert entered.__all__
    values: dict[str, Any] = {}
    for rule in rules:
        name, sign, rest = rule.partition("=")
        if not sign:
            raise click.UsageError(f"{rule!r} is not NAME=VALUE, such as quote=USDT,top=20.")
        values[name.strip()] = rest
    request = {"bot": bot, "venue": venue, "rule": values, "stored": stored, "at": at, "all": everything}
    asked = {name: value for name, value in request.items() if value is not None}
    view: UniverseView = perform(invocation.home, OPERATIONS["universe.preview"], asked)
    if as_json:
        say_json(plain(view))
        return
    _show(view)


def _show(view: UniverseView) -> None:
    members = sum(row.member for row in view.rows)
    when = f", {utc(view.at)} UTC" if view.at else ""
    say(f"{view.venue.lower()}: {members} members, from {view.source}{when}")
    if view.rule:
        say("  " + ", ".join(f"{name}={value}" for name, value in view.rule.items()))
    if view.problem:
        say(f"! The last refresh failed: {view.problem}")
    head = (" rank", "market", " volume of a day", "", "why not")
    table(
        head,
        (
            (
                str(row.rank) if row.rank else "",
                row.symbol,
                "" if row.volume is None else f"{row.volume:,.0f}",
                "winding down" if row.winding_down else "member" if row.member else "",
                row.reason,
            )
            for row in view.rows
        ),
    )
    for note in view.notes:
        say(f"! {note}")
