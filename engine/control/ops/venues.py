"""Operations on venues: how they are, what they have, and what of it is watched."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.present.market import instrument_row
from engine.control.present.venues import found_row, venue_rows
from engine.control.registry import Role, operation
from engine.control.requests import Empty
from engine.control.requests_venues import OneInstrument, SearchInstruments
from engine.errors import ConflictError, NotFoundError, QuarterdeckError
from engine.logs import get_logger
from engine.model.ids import InstrumentId, short_symbol

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import InstrumentRow
    from engine.control.views_venues import FoundInstrument, VenueRow
    from engine.model.instrument import Instrument
    from engine.venue_unit import VenueUnit

log = get_logger(__name__)


@operation("venues.list", Empty, emergency=True)
async def venues(context: Context, _: Empty) -> list[VenueRow]:
    """How the way to every venue is: connections, latency, clock, used limits, accounts."""
    return venue_rows(context.need_engine())


@operation("instruments.search", SearchInstruments)
async def search(context: Context, request: SearchInstruments) -> list[FoundInstrument]:
    """Look for instruments in everything that the venues have; the nearest names first."""
    engine = context.need_engine()
    units = [unit for unit in engine.venues.values() if request.venue.upper() in ("", unit.id)]
    if not units:
        raise NotFoundError(f"There is no venue {request.venue}; there are {', '.join(engine.venues)}.")
    wanted = request.query.strip().upper()
    found: list[Instrument] = []
    problems: list[str] = []
    for unit in units:
        try:
            found += [one for one in await _catalogue(unit) if _is_called(one, wanted)]
        except QuarterdeckError as error:
            log.info("a venue cannot be searched", venue=unit.id, problem=error.message)
            problems.append(error.message)
    if not found and problems:
        raise ConflictError(f"Nothing was found, and not every venue could be asked. {' '.join(problems)}")
    found.sort(key=lambda one: _nearness(one, wanted))
    return [found_row(engine, instrument) for instrument in found[: request.limit]]


async def _catalogue(unit: VenueUnit) -> list[Instrument]:
    if not unit.catalogue:
        await unit.learn()
    return list(unit.catalogue.values())


def _is_called(instrument: Instrument, wanted: str) -> bool:
    return wanted in instrument.id.upper() or wanted in short_symbol(instrument.id).upper()


def _nearness(instrument: Instrument, wanted: str) -> tuple[bool, bool, bool, int, str]:
    """What somebody who types this means, first: the coin itself, against the usual money, a short name."""
    exact = wanted in (instrument.symbol.upper(), instrument.base.upper(), short_symbol(instrument.id).upper())
    begins = instrument.symbol.upper().startswith(wanted)
    usual = instrument.quote in ("USDT", "USD", "USDC")
    return not exact, not begins, not usual, len(instrument.symbol), instrument.id


@operation("instruments.watch", OneInstrument, Role.TRADER, mutates=True)
async def watch(context: Context, request: OneInstrument) -> InstrumentRow:
    """Keep an instrument's market from now on, over restarts too."""
    engine, instrument = context.need_engine(), InstrumentId(request.instrument)
    await engine.watch(instrument)
    engine.watch_list[instrument] = None
    await _keep(context)
    return instrument_row(engine.state.instruments[instrument])


@operation("instruments.unwatch", OneInstrument, Role.TRADER, mutates=True)
async def unwatch(context: Context, request: OneInstrument) -> str:
    """Keep an instrument's market no more; not while an order, a position, a bot or the settings need it."""
    engine, instrument = context.need_engine(), InstrumentId(request.instrument)
    unit = engine.unit(instrument)
    engine.hub.market(instrument)
    chosen = instrument in engine.watch_list
    engine.watch_list.pop(instrument, None)
    try:
        await unit.unwatch(instrument)
    except ConflictError:
        if chosen:
            engine.watch_list[instrument] = None
        raise
    await _keep(context)
    return f"{instrument} is not watched any more."


async def _keep(context: Context) -> None:
    if context.watch_list is not None:
        await asyncio.to_thread(context.watch_list.keep, tuple(context.need_engine().watch_list))
