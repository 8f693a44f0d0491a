"""Operations that look after bots: what they have done, what a comparison suggests, and bots in files."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.bots.advice import Compared, advise
from engine.clock import NS_PER_S
from engine.control.bot_files import bot_file, read_bot, write_bot
from engine.control.live.bot_changes import admit_configuration
from engine.control.ops.data import local_path
from engine.control.present.bots import bot_report, bot_row, owned_pool
from engine.control.registry import Role, operation
from engine.control.requests import BotName, Empty
from engine.control.requests_bots import ExportBot, ImportBot
from engine.control.views_bots import BotMoment, BotReport, BotSuggestion
from engine.errors import StorageError
from engine.events import BotMemorySaved, BotStateChanged
from engine.logs import get_logger
from storage.journal.reader import Query

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.round_trips import RoundTrips
    from engine.control.views import BotRow
    from engine.model.entries import BotEntry
    from storage.database import Database

log = get_logger(__name__)

STATES = 200
"""States that a report goes back."""


@operation("bots.report", BotName)
async def report(context: Context, request: BotName) -> BotReport:
    """What a bot has done: its states, round trips, profit, drawdown, Sharpe ratio, failures and use of resources."""
    engine = context.need_engine()
    entry = engine.bots.find(request.bot)
    moments = await _states(context, entry)
    trips = await _trips(context, entry)
    return bot_report(engine, entry, moments, trips)


async def _states(context: Context, entry: BotEntry) -> tuple[BotMoment, ...]:
    if context.reader is None:
        return ()
    found = await context.reader.latest(STATES, Query(kinds=("BotStateChanged",), subject=entry.id))
    moments = [
        BotMoment(ts=record.ts, state=record.event.state, reason=record.event.reason)
        for record in found
        if isinstance(record.event, BotStateChanged)
    ]
    return tuple(sorted(moments, key=lambda moment: moment.ts, reverse=True))


async def _trips(context: Context, entry: BotEntry) -> RoundTrips | None:
    from engine.control.round_trips import round_trips

    instruments = dict(context.need_engine().state.instruments)

    async def work(database: Database) -> RoundTrips:
        return await round_trips(database, instruments, str, owners=[entry.id])

    try:
        return await context.need_reports().run(work)
    except StorageError as error:
        log.warning("a bot's report goes without its round trips", bot=entry.id, problem=error.message)
        return None


@operation("bots.suggest", Empty)
async def suggest(context: Context, _: Empty) -> list[BotSuggestion]:
    """What comparing the bots suggests: other capital, parameters or limits; nothing is done by itself."""
    engine = context.need_engine()
    compared = []
    for entry in engine.state.bots.values():
        pool = owned_pool(engine, entry)
        if pool is not None:
            compared.append(
                Compared(
                    name=entry.name,
                    account=pool.account,
                    performance=pool.performance,
                    signals=entry.signals,
                    refusals=entry.refusals,
                )
            )
    return [BotSuggestion(kind=found.kind, bots=found.bots, text=found.text) for found in advise(compared)]


@operation("bots.export", ExportBot, Role.TRADER)
async def export(context: Context, request: ExportBot) -> str:
    """Write a bot's configuration and what its strategy remembers to a file."""
    engine = context.need_engine()
    entry = engine.bots.find(request.bot)
    found = bot_file(entry, engine.bots.config(entry), engine.clock.now())
    file = local_path(request.file)
    await asyncio.to_thread(write_bot, file, found, overwrite=request.overwrite)
    return f"The bot {entry.name} is in {file}."


@operation("bots.import", ImportBot, Role.TRADER, mutates=True)
async def import_bot(context: Context, request: ImportBot) -> BotRow:
    """Make a stopped bot from a file, or set a stopped one back to what the file holds."""
    engine, library = context.need_engine(), context.need_library()
    found = await asyncio.to_thread(read_bot, local_path(request.file))
    memory = found.remembered() if request.memory else b""
    if request.into:
        entry = engine.bots.find(request.into)
        config = await library.settle(found.configuration(entry.name))
        admit_configuration(context, entry, config, request.live)
        engine.bots.configure(entry, config)
    else:
        config = await library.settle(found.configuration(request.name))
        admit_configuration(context, None, config, request.live)
        entry = engine.bots.create(config)
    if memory:
        engine.ledger.record(
            BotMemorySaved(
                bot=entry.id,
                strategy=config.strategy,
                schema=found.memory_schema,
                memory=memory,
                bar_ts=found.memory_bar,
            )
        )
    age = max(engine.clock.now() - found.exported_ns, 0) // NS_PER_S
    context.audit_change("bots.import", {"file": ""}, {"file": request.file, "age_s": age}, subject=entry.name)
    return bot_row(engine, entry)
