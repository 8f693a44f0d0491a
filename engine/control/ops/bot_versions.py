"""Operations on a bot's strategy while it runs: another one, a new version of it, and every version it has had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.bots.changing import change
from engine.bots.config import BotConfig
from engine.control.live.bot_changes import admit_configuration
from engine.control.ops.bots import checked_config
from engine.control.present.bots import bot_row
from engine.control.registry import Role, Tier, operation
from engine.control.requests import BotName
from engine.control.requests_bots import RollBackBot, SwapBot
from engine.control.views_bots import BotVersion
from engine.errors import ConfigurationError, NotFoundError, StorageError
from engine.events import BotConfigured, BotCreated
from storage.journal.reader import Query

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import BotRow
    from engine.model.entries import BotEntry

MOST_VERSIONS = 1000
"""How many versions of one bot are listed, the newest ones."""


@operation("bots.swap", SwapBot, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def swap(context: Context, request: SwapBot) -> BotRow:
    """Give a bot another strategy, also while it runs and holds a position; what cannot start changes nothing."""
    engine, library = context.need_engine(), context.need_library()
    entry = engine.bots.find(request.bot)
    before = engine.bots.config(entry)
    name, file = before.strategy, before.strategy_file
    if request.strategy or request.strategy_file:
        name, file = request.strategy or name, request.strategy_file
        if request.strategy_file and not request.strategy:
            name = (await library.find("", request.strategy_file)).name
    values = {
        **before.model_dump(),
        "strategy": name,
        "strategy_file": file,
        "timeframe": request.timeframe or before.timeframe,
        "params": {**(before.params if name == before.strategy else {}), **request.params},
        "source": "",
    }
    await _put_into_force(context, entry, await library.settle(checked_config(values)), request.live, "bots.swap")
    return bot_row(engine, entry)


@operation("bots.versions", BotName)
async def versions(context: Context, request: BotName) -> list[BotVersion]:
    """Every configuration that a bot has had, with the source of its strategy, the newest first."""
    engine = context.need_engine()
    entry = engine.bots.find(request.bot)
    found, before = [], None
    for number, (ts, config) in enumerate(await _history(context, entry), 1):
        kept = context.library is not None and context.library.sources.has(config.source)
        found.append(
            BotVersion(
                version=number,
                ts=ts,
                in_force=False,
                strategy=config.strategy,
                source=config.source,
                kept=kept,
                strategy_file=config.strategy_file or "",
                timeframe=config.timeframe,
                params=dict(config.params),
                changed=_changed(before, config) if before is not None else "",
            )
        )
        before = config
    return [_in_force(row, last=row is found[-1]) for row in reversed(found)]


def _in_force(row: BotVersion, *, last: bool) -> BotVersion:
    from msgspec.structs import replace

    return replace(row, in_force=last)


@operation("bots.rollback", RollBackBot, Role.TRADER, mutates=True, tier=Tier.CONFIRM)
async def rollback(context: Context, request: RollBackBot) -> BotRow:
    """Bring an earlier configuration of a bot back, with the source its strategy had then; its capital stays."""
    engine, library = context.need_engine(), context.need_library()
    entry = engine.bots.find(request.bot)
    known = await _history(context, entry)
    if request.version > len(known):
        raise NotFoundError(f"The bot {entry.name} has had {len(known)} versions; `bots.versions` lists them.")
    _, wanted = known[request.version - 1]
    config = await library.restored(wanted.model_copy(update={"capital": entry.capital, "name": entry.name}))
    await _put_into_force(context, entry, config, request.live, "bots.rollback")
    return bot_row(engine, entry)


async def _put_into_force(context: Context, entry: BotEntry, config: BotConfig, live: str, operation: str) -> None:
    engine = context.need_engine()
    try:
        before: dict[str, Any] = engine.bots.config(entry).model_dump(mode="json")
    except ConfigurationError:
        # One of another release cannot be read; that it is replaced is what matters.
        before = {}
    admit_configuration(context, entry, config, live)
    await change(engine.bots, entry, config)
    after = config.model_dump(mode="json")
    changed = [name for name, value in after.items() if before.get(name) != value]
    context.audit_change(
        operation,
        {name: before.get(name) for name in changed},
        {name: after[name] for name in changed},
        subject=entry.name,
    )


async def _history(context: Context, entry: BotEntry) -> list[tuple[int, BotConfig]]:
    """When each configuration came into force, the oldest first; what changed nothing is left out.

    Raises:
        StorageError: There is no journal here.
    """
    if context.reader is None:
        raise StorageError("There is no journal here that knows earlier versions; ask a running engine.")
    query = Query(kinds=("BotCreated", "BotConfigured"), subject=entry.id)
    records = sorted(await context.reader.latest(MOST_VERSIONS, query), key=lambda record: record.seq)
    found: list[tuple[int, BotConfig]] = []
    for record in records:
        if not isinstance(record.event, BotCreated | BotConfigured):
            continue
        try:
            config = BotConfig.decode(record.event.config)
        except ConfigurationError:
            # One of another release that cannot be read cannot be brought back either.
            continue
        if not found or found[-1][1] != config:
            found.append((record.ts, config))
    return found


def _changed(before: BotConfig, after: BotConfig) -> str:
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    old |= {f"params.{name}": value for name, value in old.pop("params").items()}
    new |= {f"params.{name}": value for name, value in new.pop("params").items()}
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(f"{name}: {_word(old.get(name))} -> {_word(new.get(name))}" for name in names)


def _word(value: Any) -> str:
    return "none" if value in (None, "") else str(value)
