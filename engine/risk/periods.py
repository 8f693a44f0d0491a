"""Loss periods: where days, weeks and months begin, and what an account was worth then.

Calendar periods in a zone of choice: a day begins at the chosen hour, a week on Monday's, a month on that of its
first day. What a period begins with is what the one before ended with.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, get_args
from zoneinfo import ZoneInfo

from engine import events as ev

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.ids import AccountId
    from engine.model.protections import ProtectionSettings
    from engine.risk.equities import Measured
    from engine.state import EngineState

__all__ = ["PERIODS", "Period", "begin_facts", "bounds", "start_equity"]

NS = 1_000_000_000
Period = Literal["day", "week", "month"]
PERIODS: tuple[Period, ...] = get_args(Period)


def bounds(period: Period, now: int, zone: str = "UTC", hour: int = 0) -> tuple[int, int]:
    """Begin and end of the period around a time, UTC nanoseconds.

    Args:
        period: day, week or month.
        now: UTC nanoseconds.
        zone: Time zone.
        hour: Hour of that zone at which days begin.
    """
    local = ZoneInfo(zone)
    # The wall clock's hours before the boundary belong to the day before.
    day = (datetime.fromtimestamp(now // NS, UTC).astimezone(local).replace(tzinfo=None) - timedelta(hours=hour)).date()
    if period == "week":
        day -= timedelta(days=day.weekday())
        after = day + timedelta(days=7)
    elif period == "month":
        day = day.replace(day=1)
        after = (day + timedelta(days=32)).replace(day=1)
    else:
        after = day + timedelta(days=1)
    begin, end = (
        int(datetime(one.year, one.month, one.day, hour, tzinfo=local).timestamp()) * NS for one in (day, after)
    )
    return begin, end


def start_equity(state: EngineState, account: AccountId, period: Period, before: Decimal, now: int) -> Decimal:
    """What the loss of the running period is measured from.

    Args:
        state: What the engine knows.
        account: Whose.
        period: day, week or month.
        before: What the account was worth last, which is where a period begins that nobody has noted yet.
        now: UTC nanoseconds.
    """
    entry = state.periods.get((account, period))
    return before if entry is None or now >= entry.end else entry.equity


def begin_facts(
    state: EngineState, account: AccountId, measured: Measured, now: int, settings: ProtectionSettings
) -> list[ev.Event]:
    """Facts of the periods that have begun since the last look."""
    facts: list[ev.Event] = []
    for period in PERIODS:
        entry = state.periods.get((account, period))
        if entry is None or now >= entry.end:
            start, end = bounds(period, now, settings.day_zone, settings.day_hour)
            equity: Decimal = getattr(measured, f"{period}_start")
            facts.append(ev.PeriodBegan(account=account, period=period, start=start, end=end, equity=equity))
    return facts
