"""Operations on bots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError as PydanticError

from engine.bots.changing import change
from engine.bots.config import BotConfig
from engine.bots.roster import ACTIVE
from engine.bots.watching import markets_of
from engine.control.live.admission import require_armed
from engine.control.live.bot_changes import admit_configuration
from engine.control.present.bots import bot_row
from engine.control.present.listing import listed
from engine.control.registry import Role, Tier, operation
from engine.control.requests import BotName, BotStop, ConfigureBot, CreateBot, StartBot
from engine.control.requests_listing import ListBots
from engine.errors import ConfigurationError
from engine.model.ids import InstrumentId, venue_of

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import BotRow
    from engine.engine import Engine
    from engine.model.entries import BotEntry


@operation("bots.list", ListBots)
async def list_bots(context: Context, request: ListBots) -> list[BotRow]:
    """Bots, the newest first unless sorted otherwise."""
    engine = context.need_engine()
    rows = [bot_row(engine, entry) for entry in reversed(engine.state.bots.values())]
    wanted = {"state": request.state, "strategy": request.strategy, "instrument": request.instrument}
    asked = {name: value for name, value in wanted.items() if value is not None}
    return listed([row for row in rows if all(getattr(row, name) == value for name, value in asked.items())], request)


@operation("bots.get", BotName)
async def get(context: Context, request: BotName) -> BotRow:
    """One bot."""
    engine = context.need_engine()
    return bot_row(engine, engine.bots.find(request.bot))


async def _config(context: Context, request: CreateBot) -> BotConfig:
    values, library = request.model_dump(exclude={"bot", "live"}), context.need_library()
    if values["timeframe"] is None:
        found = await library.find("" if request.strategy_file else request.strategy, request.strategy_file)
        values["timeframe"] = found.cls.timeframe
    # Whatever is asked for, the file's code has then been run in a thread, and the manager finds it loaded.
    return await library.settle(checked_config(values))


def checked_config(values: dict[str, Any]) -> BotConfig:
    """A bot's configuration from plain values.

    Raises:
        ConfigurationError: It cannot be used; all faults are named.
    """
    try:
        return BotConfig(**values)
    except PydanticError as error:
        faults = "; ".join(f"{'.'.join(str(p) for p in f['loc'])}: {f['msg']}" for f in error.errors())
        raise ConfigurationError(f"The bot's configuration cannot be used: {faults}.") from None


async def _bring_market(engine: Engine, config: BotConfig) -> None:
    """Have the market of a bot's instrument kept, where its venue has more than what is kept."""
    instrument = InstrumentId(config.instrument)
    unit = engine.venues.get(venue_of(instrument))
    if unit is not None and unit.plan.watched is not None:
        others = markets_of(instrument, config.watches).values()
        await unit.watch([instrument, *(other for other in others if other in unit.catalogue)])


@operation("bots.create", CreateBot, Role.TRADER, mutates=True)
async def create(context: Context, request: CreateBot) -> BotRow:
    """A new, stopped bot from a validated configuration."""
    engine = context.need_engine()
    config = await _config(context, request)
    admit_configuration(context, None, config, request.live)
    await _bring_market(engine, config)
    return bot_row(engine, engine.bots.create(config))


@operation("bots.configure", ConfigureBot, Role.TRADER, mutates=True)
async def configure(context: Context, request: ConfigureBot) -> BotRow:
    """Replace a bot's configuration as a whole, also while it runs; one that is not acceptable changes nothing."""
    engine = context.need_engine()
    config = await _config(context, request)
    entry = engine.bots.find(request.bot)
    admit_configuration(context, entry, config, request.live)
    await _bring_market(engine, config)
    before = _configuration(engine, entry)
    await change(engine.bots, entry, config)
    after = config.model_dump(mode="json")
    changed = [name for name, value in after.items() if before.get(name) != value]
    context.audit_change(
        "bots.configure",
        {name: before.get(name) for name in changed},
        {name: after[name] for name in changed},
        subject=entry.name,
    )
    return bot_row(engine, entry)


def _configuration(engine: Engine, entry: BotEntry) -> dict[str, Any]:
    try:
        return engine.bots.config(entry).model_dump(mode="json")
    except ConfigurationError:
        # One of another release cannot be read; that it is replaced is what matters.
        return {}


@operation("bots.start", StartBot, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def start(context: Context, request: StartBot) -> BotRow:
    """Warm a bot up and let it trade."""
    engine = context.need_engine()
    entry = engine.bots.find(request.bot)
    _require_armed(context, entry, request.live)
    await _take_present_source(context, entry)
    await engine.bots.start(entry)
    return bot_row(engine, entry)


async def _take_present_source(context: Context, entry: BotEntry) -> None:
    """Who starts a bot by hand wants the strategy as its file is now; a kept version stays what it is.

    Raises:
        StrategyLoadError, NotFoundError: It cannot be had as it is now; nothing was changed.
    """
    engine = context.need_engine()
    if entry.state in ACTIVE:
        return
    try:
        config = engine.bots.config(entry)
    except ConfigurationError:
        # What cannot be read is said by the start itself.
        return
    settled = await context.need_library().settle(config)
    if settled.source != config.source:
        engine.bots.book(entry, settled)


@operation("bots.pause", BotName, Role.TRADER, mutates=True)
async def pause(context: Context, request: BotName) -> BotRow:
    """No new entries; positions stay protected."""
    engine = context.need_engine()
    entry = engine.bots.find(request.bot)
    engine.bots.pause(entry)
    return bot_row(engine, entry)


@operation("bots.resume", StartBot, Role.TRADER, mutates=True)
async def resume(context: Context, request: StartBot) -> BotRow:
    """Allow a paused bot entries again."""
    engine = context.need_engine()
    entry = engine.bots.find(request.bot)
    _require_armed(context, entry, request.live)
    engine.bots.resume(entry)
    return bot_row(engine, entry)


@operation("bots.stop", BotStop, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def stop(context: Context, request: BotStop) -> BotRow:
    """Stop a bot: leave everything, cancel its orders, or close its position."""
    engine = context.need_engine()
    entry = engine.bots.find(request.bot)
    engine.bots.stop(entry, request.positions, f"stopped by {context.actor}")
    return bot_row(engine, entry)


@operation("bots.delete", BotName, Role.ADMIN, mutates=True, tier=Tier.CONFIRM)
async def delete(context: Context, request: BotName) -> str:
    """Remove a stopped bot; its history stays."""
    engine = context.need_engine()
    entry = engine.bots.find(request.bot)
    engine.bots.delete(entry)
    return f"The bot {entry.name} is deleted."


def _require_armed(context: Context, entry: BotEntry, typed: str) -> None:
    account = context.need_engine().bots.account_of(entry)
    if account is not None:
        require_armed(context, account, typed)
