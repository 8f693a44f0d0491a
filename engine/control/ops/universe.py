"""The operation on universes: which markets a rule means, now or then, and why the others are not among them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.bots.market_facts import market_facts
from engine.control.registry import operation
from engine.control.requests_universe import PreviewUniverse
from engine.control.views_bots import UniverseRow, UniverseView
from engine.errors import ConfigurationError, NotFoundError
from engine.market.universe import judge
from engine.model.ids import VenueId
from engine.model.universe import UniverseRule, universe_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.control.context import Context
    from engine.model.universe import Verdict

SURVIVORS = (
    "Only markets whose candles are stored are looked at: those that were delisted and never downloaded are missing, "
    "so what is shown has a survivorship bias."
)
NO_SPREADS = "Candles tell no spreads; a rule that asks for one admits nothing."


@operation("universe.preview", PreviewUniverse, offline=True)
async def preview(context: Context, request: PreviewUniverse) -> UniverseView:
    """Which markets a universe has now, or had at a moment of stored candles, by rank, and why others are left out."""
    if request.bot is not None:
        return _of_bot(context, request)
    if request.venue is None:
        raise ConfigurationError("Name a bot on a universe, or a venue and a rule.")
    rule = universe_rule(request.rule)
    venue = VenueId(request.venue.strip().upper())
    if request.stored or request.at is not None or context.engine is None:
        return await asyncio.to_thread(_stored, context, request, rule, venue)
    unit = context.engine.venues.get(venue)
    if unit is None:
        known = ", ".join(context.engine.venues)
        raise NotFoundError(f"There is no venue {venue} here; there are {known}. Stored candles are asked by `stored`.")
    verdicts = judge(rule, await market_facts(unit.guard, rule))
    return _view(request, rule, str(venue), context.clock.now(), "venue", _chosen(rule, verdicts), ())


def _of_bot(context: Context, request: PreviewUniverse) -> UniverseView:
    engine = context.need_engine()
    entry = engine.bots.find(str(request.bot))
    config = engine.bots.config(entry)
    if config.universe is None:
        raise ConfigurationError(f"The bot {entry.name} trades {config.instrument} alone; it has no universe.")
    universes = engine.bots.universes
    verdicts = universes.verdicts.get(entry.id, [])
    if not verdicts:
        # Since the engine began no refresh has been: the members that are booked are what is known.
        symbols = [engine.bots.config(member).instrument.partition(":")[2] for member in universes.members(entry)]
        rows = [UniverseRow(symbol=symbol, rank=0, member=True) for symbol in symbols]
    else:
        rows = _rows(verdicts)
    notes = ("It has not been refreshed since the engine began.",) if not verdicts else ()
    venue, at = config.instrument.partition(":")[0], universes.refreshed.get(entry.id, 0)
    found = _view(request, config.universe, venue, at, entry.name, rows, notes)
    return _with_problem(found, universes.problems.get(entry.id, ""))


def _with_problem(view: UniverseView, problem: str) -> UniverseView:
    import msgspec

    return msgspec.structs.replace(view, problem=problem)


def _stored(context: Context, request: PreviewUniverse, rule: UniverseRule, venue: VenueId) -> UniverseView:
    from engine.control.universes import stored_universe

    at, verdicts = stored_universe(rule, context.candles, venue, request.at)
    notes = (SURVIVORS, *((NO_SPREADS,) if rule.max_spread is not None else ()))
    return _view(request, rule, str(venue), at, "stored candles", _chosen(rule, verdicts), notes)


def _chosen(rule: UniverseRule, verdicts: Sequence[Verdict]) -> list[UniverseRow]:
    """Rows of a rule that nobody has put to use yet: the first `top` would be members."""
    import msgspec

    return _rows([msgspec.structs.replace(v, member=0 < v.rank <= rule.top) for v in verdicts])


def _rows(verdicts: Sequence[Verdict]) -> list[UniverseRow]:
    rows = [UniverseRow(**{name: getattr(v, name) for name in UniverseRow.__struct_fields__}) for v in verdicts]
    return sorted(rows, key=lambda row: (not row.member, not row.winding_down, not row.rank, row.rank))


def _view(
    request: PreviewUniverse,
    rule: UniverseRule,
    venue: str,
    at: int,
    source: str,
    rows: Sequence[UniverseRow],
    notes: tuple[str, ...],
) -> UniverseView:
    kept = rows if request.all else [row for row in rows if row.rank or row.member or row.winding_down]
    values: dict[str, Any] = rule.model_dump(mode="json", exclude_defaults=True)
    return UniverseView(venue=venue, rule=values, at=at, source=source, rows=tuple(kept), notes=notes)
