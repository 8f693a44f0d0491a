"""Risk in words: what orders may do now, how much of each limit is used, how the breakers stand, what happened."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal, get_args, get_origin

from engine.model.entries import TradingState
from screens.form_fields import NO, YES, YES_NO, Field, Kind, changed, read
from screens.formats import DASH, MASK, age, clock
from screens.risk_stops import unclosable_words
from screens.sheet import Line, wrap
from widgets.limit_bar import LimitState
from widgets.text import clean, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

    from pydantic.fields import FieldInfo

    from engine.control.views import Activity, LimitRow, RiskView
    from widgets.glyphs import Glyphs

__all__ = [
    "LEVELS",
    "STATES",
    "WARN_AT",
    "changed_limits",
    "difference_lines",
    "fact_lines",
    "limit_fields",
    "limit_states",
    "summary",
    "trading_lines",
]

WARN_AT = 0.75
"""The engine calls a limit high from here on."""
LEVELS = {"low": "ok", "medium": "text", "high": "warn", "critical": "breach"}
"""Risk level -> ink."""
STATES = {
    TradingState.ACTIVE: ("ACTIVE", "ok", "Orders pass as the limits allow."),
    TradingState.REDUCING: ("REDUCING", "warn", "Only reductions and cancels pass."),
    TradingState.HALTED: ("HALTED", "halt", "Only reductions and cancels pass, until released."),
}
"""What trading may do -> its word, ink and meaning."""
RISK_FACTS = frozenset(
    {
        "OrderRefused",
        "TradingStateChanged",
        "BreakerTripped",
        "BreakerHalfOpened",
        "BreakerHeld",
        "BreakerReset",
        "LimitsChanged",
        "PositionLiquidated",
        "LockPlaced",
        "LockEnded",
        "RegimeChanged",
        "RiskAdapted",
        "StressTested",
        "LimitBreached",
        "LimitHealed",
    }
)
SIGNS = {"info": "·", "good": "+", "warning": "!", "critical": "X"}
HUNDRED = Decimal(100)
# Name in RiskLimits -> label, unit, and the heading it begins; % fields hold fractions of 1.
WORDS = {
    "position_size_method": ("Size of an entry by", "", "Size"),
    "position_size_pct": ("Size of an entry", "%", ""),
    "risk_mode": ("Mode of risk", "", ""),
    "max_position_size_pct": ("Largest position", "%", ""),
    "max_total_positions": ("Positions", "", "Exposure"),
    "max_positions_per_symbol": ("Positions a symbol", "", ""),
    "max_positions_per_strategy": ("Positions a bot", "", ""),
    "max_portfolio_exposure": ("Exposure", "%", ""),
    "max_account_exposure": ("Exposure an account", "%", ""),
    "max_venue_exposure": ("Exposure a venue", "%", ""),
    "max_strategy_exposure": ("Exposure a bot", "%", ""),
    "max_class_exposure": ("Exposure a class", "%", ""),
    "max_currency_exposure": ("Exposure a currency", "%", ""),
    "max_correlated_exposure": ("Moving together", "%", ""),
    "correlation_threshold": ("Together from", "%", ""),
    "max_concentration": ("Three largest", "%", ""),
    "max_leverage": ("Leverage", "×", ""),
    "allow_short": ("Sell short", "", ""),
    "max_daily_loss_pct": ("Loss of the day", "%", "Breakers"),
    "max_weekly_loss_pct": ("Loss of the week", "%", ""),
    "max_monthly_loss_pct": ("Loss of the month", "%", ""),
    "breaker_drawdown_pct": ("Drawdown, stop", "%", ""),
    "max_drawdown_pct": ("Drawdown, close all", "%", ""),
    "price_band_pct": ("Price band", "%", "Orders"),
    "stale_market_s": ("Oldest market", "s", ""),
    "max_orders_per_second": ("Orders a second", "", ""),
    "max_orders_per_minute": ("Orders a minute", "", ""),
}


def trading_lines(view: RiskView, glyphs: Glyphs, now: int) -> tuple[Line, Line]:
    """Return what trading may do: the state with its meaning, and since when, by whom and why."""
    word, ink, meaning = STATES[view.trading]
    sign = {"ok": glyphs.ok, "warn": glyphs.warn}.get(ink, glyphs.breach)
    first: Line = [(f" {sign} {word} ", ink), (f"  {meaning}", "text")]
    if view.emergency:
        return first, [(clean(f" Emergency stop: {view.emergency}"), "breach")]
    stops = [stop for stop in view.stops if stop.unclosable]
    if stops:
        return first, [(f" {unclosable_words(stops)}", "breach")]
    if view.trading is TradingState.ACTIVE:
        parts = [clean(halt.scope) for halt in view.halts]
        if parts:
            return first, [(f" Held in part: {', '.join(parts)}", "warn")]
        if view.care:
            return first, [(f" With care: {clean(view.care)}", "warn")]
        return first, [(" No halt is in force.", "muted")]
    second: Line = [(f" Since {age(view.since, now)}", "muted"), (f" by {clean(view.actor) or '?'}: ", "muted")]
    return first, [*second, (clean(view.reason) or DASH, "text")]


def summary(view: RiskView) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the risk level, and the refusals of the last hour with the open breakers; each with its ink."""
    tripped = sum(1 for row in view.breakers if row.open)
    refused = view.refusals_last_hour
    words = f"{refused or 'none'} refused within an hour · {tripped or 'no'} breaker{'' if tripped == 1 else 's'} open"
    ink = "breach" if tripped else "warn" if refused else "muted"
    return (f"risk {clean(view.level).upper()}", LEVELS.get(view.level, "text")), (words, ink)


def limit_states(rows: Sequence[LimitRow], currency: str, *, hidden: bool = False) -> list[LimitState]:
    """Return every limit for its bar; amounts of money are hidden on wish, shares stay.

    Args:
        rows: The limits.
        currency: The account's currency, by which amounts of money are known.
        hidden: Whether amounts are hidden.
    """
    pairs = [_figures(row, currency, hidden) for row in rows]
    used = max((width_of(pair[0]) for pair in pairs), default=0)
    allowed = max((width_of(pair[1]) for pair in pairs), default=0)
    label = max((width_of(clean(row.label)) for row in rows), default=0)
    return [
        LimitState(
            label=row.label,
            share=row.share,
            figures=f"{pair[0]:>{used}} of {pair[1]:<{allowed}}",
            warn_at=WARN_AT,
            label_width=label + 1,
        )
        for row, pair in zip(rows, pairs, strict=True)
    ]


def _figures(row: LimitRow, currency: str, hidden: bool) -> tuple[str, str]:
    used, limit = clean(row.used), clean(row.limit)
    tail = f" {currency}"
    if currency and (used.endswith(tail) or limit.endswith(tail)):
        return (MASK, MASK + tail) if hidden else (used.removesuffix(tail), limit)
    if used.endswith(" %") and limit.endswith(" %"):
        return used.removesuffix(" %"), limit
    return used, limit


def fact_lines(facts: Iterable[Activity], inks: Mapping[str, str], zone: tzinfo, width: int) -> list[Line]:
    """Return what happened to risk lately, the newest first, each in as many lines as it takes."""
    lines: list[Line] = []
    for fact in reversed([fact for fact in facts if fact.kind in RISK_FACTS]):
        ink = inks.get(fact.severity, "text")
        first, *rest = wrap(fact.text, max(10, width - 11), "text" if fact.severity == "info" else ink) or [[]]
        lines.append([(f"{clock(fact.ts, zone)} ", "muted"), (f"{SIGNS.get(fact.severity, ' ')} ", ink), *first])
        lines += [[(" " * 11, "text"), *line] for line in rest]
    return lines


# --- editing


def _declared() -> dict[str, FieldInfo]:
    """The limits as they are declared, loaded when they are edited: an attached console begins sooner without."""
    from engine.model.limits import RiskLimits

    return RiskLimits.model_fields


def _bound(name: str, *kinds: str) -> tuple[str, bool]:
    """Return a declared bound as text, and whether the value itself is excluded."""
    for fact in _declared()[name].metadata:
        for kind in kinds:
            if (value := getattr(fact, kind, None)) is not None:
                return _figure(Decimal(str(value)) * (HUNDRED if WORDS[name][1] == "%" else 1)), kind in {"gt", "lt"}
    return "", False


def _figure(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _reading(name: str, value: object) -> tuple[str, Kind, tuple[tuple[str, str], ...]]:
    """Return how a limit stands in its field: the text, the kind and the choices."""
    annotation, unit = _declared()[name].annotation, WORDS[name][1]
    if annotation is bool:
        return YES if value in {True, "True", "true"} else NO, Kind.CHOICE, YES_NO
    if get_origin(annotation) is Literal:
        return str(value), Kind.CHOICE, tuple((method, method.replace("_", " ")) for method in get_args(annotation))
    figure = Decimal(str(value)) * (HUNDRED if unit == "%" else 1)
    return _figure(figure), Kind.WHOLE if annotation is int else Kind.NUMBER, ()


def limit_fields(values: Mapping[str, object]) -> list[Field]:
    """Return a field for every limit there is, with the values in force; fractions are shown in percent."""
    fields = []
    for name, (label, unit, heading) in WORDS.items():
        info = _declared()[name]
        text, kind, choices = _reading(name, values.get(name, info.default))
        low, above = _bound(name, "gt", "ge")
        high, _ = _bound(name, "lt", "le")
        help_ = (info.description or "").replace("as a fraction of", "in percent of")
        fields.append(Field(name, label, kind, text, choices, low, high, above, unit, help_, heading=heading))
    return fields


def changed_limits(fields: Sequence[Field], texts: Mapping[str, str]) -> dict[str, str | int | bool]:
    """Return the limits that differ, as `risk.set_limits` takes them; exact ones as text."""
    found: dict[str, str | int | bool] = {}
    for field in fields:
        text = texts[field.name]
        if not changed(field, text):
            continue
        value = read(field, text)
        if field.choices == YES_NO:
            found[field.name] = text == YES
        elif isinstance(value, Decimal):
            found[field.name] = f"{value / HUNDRED if field.unit == '%' else value:f}"
        elif isinstance(value, int | str):
            found[field.name] = value
    return found


def difference_lines(fields: Sequence[Field], texts: Mapping[str, str]) -> list[Line]:
    """Return what would change, before and after, a line a limit."""
    lines: list[Line] = []
    for field in fields:
        if changed(field, texts[field.name]):
            unit = f" {field.unit}" if field.unit else ""
            words = dict(field.choices)
            before, after = (words.get(text, text) for text in (field.value, texts[field.name].strip()))
            lines.append(
                [(f"{field.label:<22}", "muted"), (f"{before}{unit} → ", "text"), (f"{after}{unit}", "strong")]
            )
    return lines
