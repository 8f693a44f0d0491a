"""Operations on settings: what is in force and who said so, and changes of the settings file."""

from __future__ import annotations

import asyncio
import difflib
from typing import TYPE_CHECKING

from engine.config import Settings, known_keys, setting_field, setting_sources
from engine.control.config_file import plain_values, write_settings
from engine.control.registry import Role, Tier, operation
from engine.control.reload import LIVE
from engine.control.requests_listing import ConfigQuery, SetConfig
from engine.control.views_records import ConfigChange, SettingChange, SettingRow
from engine.errors import NotFoundError

if TYPE_CHECKING:
    from engine.control.context import Context


@operation("config.get", ConfigQuery, offline=True)
async def get(context: Context, request: ConfigQuery) -> list[SettingRow]:
    """Settings in force with their defaults and who said them; secrets are masked."""
    wanted = [key for key in known_keys() if request.key is None or key == request.key or _in_group(key, request.key)]
    if not wanted:
        names = [*known_keys(), *Settings.model_fields]
        near = difflib.get_close_matches(request.key or "", names, 1, 0.4)
        raise NotFoundError(f"There is no setting {request.key!r}." + (f" Did you mean {near[0]}?" if near else ""))
    sources = await asyncio.to_thread(setting_sources, context.home)
    values, defaults = plain_values(context.settings), plain_values(Settings())
    return [
        SettingRow(
            key=key,
            value=values[key],
            default=defaults[key],
            source=sources.get(key, "the defaults"),
            help=_help(key),
        )
        for key in wanted
    ]


def _in_group(key: str, group: str) -> bool:
    return key.startswith(f"{group}.")


def _help(key: str) -> str:
    field = setting_field(key)
    return (field.description or "") if field is not None else ""


@operation("config.set", SetConfig, Role.ADMIN, mutates=True, tier=Tier.CONFIRM, offline=True)
async def change(context: Context, request: SetConfig) -> ConfigChange:
    """Write settings to the settings file, checked as a whole first; each says when it takes effect."""
    written = await asyncio.to_thread(write_settings, context.home, dict(request.values))
    changed = {key: value for key, value in written.after.items() if value != written.before[key]}
    if changed:
        context.audit_change("config.set", {key: written.before[key] for key in changed}, changed)
    if context.reload is not None:
        await context.reload()
    return ConfigChange(
        file=str(written.file),
        changes=tuple(
            SettingChange(
                key=key,
                before=written.before[key],
                after=written.after[key],
                effect=_effect(key, written.outranked, live=context.reload is not None),
            )
            for key in request.values
        ),
    )


def _effect(key: str, outranked: dict[str, str], *, live: bool) -> str:
    if key in outranked:
        return f"none: {outranked[key]} says it too, and outranks the file"
    if key.startswith("console."):
        return "when a console is opened the next time"
    if not live or key.partition(".")[0] not in LIVE:
        return "at the next start of the engine"
    return "at once; limits changed by risk.set_limits outrank it" if key.startswith("risk.") else "at once"
