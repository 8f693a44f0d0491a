"""Settings: one frozen, typed tree that refuses what it does not know.

Sources, weakest first: built-in defaults, `config.toml` (or `config.yaml`) in the home folder, `.env` there, the
environment, explicit values. A file may refer to the environment with `${NAME}` or `${NAME:default}`. Every setting is
reached from the environment as `QUARTERDECK_<GROUP>_<SETTING>`; settings with a name of their own in `ENV_NAMES` also
under that name, with and without the prefix.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic import ValidationError as PydanticError

from engine.errors import ConfigurationError
from engine.model.limits import RiskLimits
from storage.settings import DatabaseSettings

__all__ = [
    "ENV_NAMES",
    "BotSettings",
    "ConsoleSettings",
    "JournalSettings",
    "LogSettings",
    "PaperSettings",
    "Settings",
    "json_schema",
    "load_settings",
]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class PaperSettings(_Group):
    """The paper venue and its market."""

    balances: dict[str, Decimal] = Field(
        default_factory=lambda: {"USDT": Decimal(10000)}, description="What a new paper account starts with."
    )
    base_currency: str = Field("USDT", description="Currency in which the account is valued.")
    market: Literal["simulated", "replay"] = Field("simulated", description="Where prices come from.")
    seed: int = Field(42, ge=0, description="Seed of the simulated market.")
    updates_per_second: float = Field(
        10.0, gt=0, le=200, description="Book updates per second and instrument of the simulated market."
    )
    replay_file: Path | None = Field(None, description="Recording to replay: candles, trades or a raw capture.")
    replay_speed: float = Field(1.0, ge=0, le=10_000, description="Replay speed; 1 is real time, 0 as fast as it goes.")
    latency_ms: float = Field(
        20.0, ge=0, le=10_000, description="Mean time of an order to the venue, and of its answer."
    )
    latency_jitter_ms: float = Field(5.0, ge=0, le=10_000, description="Spread of that time.")
    allow_short: bool = Field(default=False, description="Let spot accounts sell what they do not have.")


class LogSettings(_Group):
    """Log files in the home folder; nothing is ever logged to the terminal."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field("INFO", description="Least level written.")
    max_megabytes: int = Field(10, ge=1, le=1024, description="Size at which a log file is rotated.")
    files: int = Field(5, ge=1, le=100, description="Rotated files kept.")
    max_days: int = Field(90, ge=1, le=3650, description="Age at which a log file is removed.")


class JournalSettings(_Group):
    """The engine's journal."""

    snapshot_events: int = Field(10_000, ge=100, le=1_000_000, description="Facts between two snapshots of the state.")
    snapshot_seconds: float = Field(900.0, ge=1, description="Longest time between two snapshots.")
    snapshots_kept: int = Field(3, ge=2, le=20, description="Snapshots kept.")


class BotSettings(_Group):
    """Limits on bots."""

    max_concurrent_strategies: int = Field(10, ge=1, le=100, description="Bots that may run at once.")


class ConsoleSettings(_Group):
    """How the console looks and is operated."""

    theme: str = Field("quarterdeck-dark", description="Colour theme.")
    mouse: bool = Field(default=True, description="Listen to the mouse.")
    frames_per_second: float = Field(5.0, ge=1, le=10, description="How often live figures are redrawn.")
    keys: dict[str, str] = Field(default_factory=dict, description="Action id -> keys that replace the default ones.")
    time_zone: str = Field("UTC", description="Zone of the clock and of shown times.")
    stall_seconds: float = Field(
        30.0, ge=5, le=3600, description="A terminal that accepts nothing for this long counts as lost."
    )


class Settings(_Group):
    """The whole configuration."""

    environment: Literal["development", "staging", "production"] = Field(
        "development", description="Which environment this is."
    )
    debug: bool = Field(default=False, description="Log more.")
    paper: PaperSettings = Field(default_factory=PaperSettings)
    risk: RiskLimits = Field(default_factory=RiskLimits)
    strategies: BotSettings = Field(default_factory=BotSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    journal: JournalSettings = Field(default_factory=JournalSettings)
    logging: LogSettings = Field(default_factory=LogSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)


ENV_NAMES: dict[str, str] = {
    "ENVIRONMENT": "environment",
    "DEBUG": "debug",
    "DB_HOST": "database.postgresql_host",
    "DB_PORT": "database.postgresql_port",
    "DB_NAME": "database.postgresql_database",
    "DB_USERNAME": "database.postgresql_username",
    "DB_PASSWORD": "database.postgresql_password",
    "DB_POOL_SIZE": "database.postgresql_pool_size",
    "RISK_POSITION_SIZE_PCT": "risk.position_size_pct",
    "RISK_MAX_POSITION_SIZE_PCT": "risk.max_position_size_pct",
    "RISK_MAX_POSITIONS": "risk.max_total_positions",
    "RISK_MAX_PORTFOLIO_EXPOSURE": "risk.max_portfolio_exposure",
    "RISK_MAX_DAILY_LOSS": "risk.max_daily_loss_pct",
    "RISK_MAX_DRAWDOWN": "risk.max_drawdown_pct",
    "CAPITAL_BASE_CURRENCY": "paper.base_currency",
    "MAX_STRATEGIES": "strategies.max_concurrent_strategies",
}
"""Names of single settings in the environment -> setting; also understood with the prefix QUARTERDECK_."""

PREFIX = "QUARTERDECK_"
_NOT_SETTINGS = ("HOME", "TEST_")
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


def load_settings(
    home: Path, environ: Mapping[str, str] | None = None, explicit: Mapping[str, Any] | None = None
) -> Settings:
    """Read all sources and validate them as a whole.

    Args:
        home: Home folder; `config.toml`, else `config.yaml`, and `.env` are read from it when they exist.
        environ: The environment; None for this process's own.
        explicit: Setting path (`paper.seed`) -> value, the strongest source.

    Raises:
        ConfigurationError: A file cannot be read, or settings are unknown or out of range; every fault is listed with
            its source, key and, for unknown ones, the nearest known key.
    """
    env = dict(os.environ if environ is None else environ)
    tree: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for name in ("config.toml", "config.yaml"):
        path = home / name
        if path.is_file():
            _merge(tree, _fill(_read(path), env, path.name), origin, str(path))
            break
    _merge(tree, _from_env(_read_dotenv(home / ".env"), strict=True), origin, str(home / ".env"))
    _merge(tree, _from_env(env, strict=False), origin, "the environment")
    for key, value in (explicit or {}).items():
        _merge(tree, _nested(key, value), origin, "the command line")
    try:
        return Settings.model_validate(tree)
    except PydanticError as error:
        faults = [_sentence(fault, origin) for fault in error.errors()]
        raise ConfigurationError(
            "The settings cannot be used; nothing was started.\n" + "\n".join(f"  - {fault}" for fault in faults),
            details={"faults": faults},
        ) from None


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the whole configuration."""
    return Settings.model_json_schema()


def known_keys() -> list[str]:
    """Every setting as `group.setting`, sorted."""
    keys: list[str] = []
    for name, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += [f"{name}.{inner}" for inner in kind.model_fields]
        else:
            keys.append(name)
    return sorted(keys)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        import yaml

        try:
            found = yaml.safe_load(text) or {}
        except yaml.YAMLError as error:
            raise ConfigurationError(f"{path} is not valid YAML: {error}") from None
        if not isinstance(found, dict):
            raise ConfigurationError(f"{path} must hold groups of settings, not a {type(found).__name__}.")
        return found
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}. Correct it or move it away.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    values: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigurationError(f"Line {number} of {path} is not NAME=value.")
        values[name.strip()] = value.strip().strip("\"'")
    return values


def _from_env(env: Mapping[str, str], *, strict: bool) -> dict[str, Any]:
    """Settings named in an environment; unknown names with our prefix are refused, others only in our own file."""
    by_name = {key.upper().replace(".", "_"): key for key in known_keys()}
    tree: dict[str, Any] = {}
    for raw, value in sorted(env.items()):
        name = raw.upper()
        prefixed = name.startswith(PREFIX)
        bare = name.removeprefix(PREFIX)
        key = ENV_NAMES.get(bare) or (by_name.get(bare) if prefixed else None)
        # Without the prefix only a file of our own may speak: DEBUG in a shell means somebody else's program.
        if key is not None and (prefixed or strict):
            _merge(tree, _nested(key, value), {}, "")
        elif prefixed and not bare.startswith(_NOT_SETTINGS):
            hint = difflib.get_close_matches(bare, [*by_name, *ENV_NAMES], 1, 0.5)
            near = f" Did you mean {PREFIX}{hint[0]}?" if hint else ""
            raise ConfigurationError(f"The environment variable {raw} names no setting.{near}")
    return tree


def _fill(value: Any, env: Mapping[str, str], where: str) -> Any:
    """Replace `${NAME}` and `${NAME:default}` in every text of a file."""
    if isinstance(value, dict):
        return {key: _fill(inner, env, where) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, env, where) for inner in value]
    if not isinstance(value, str):
        return value

    def resolve(match: re.Match[str]) -> str:
        found = env.get(match[1], match[2])
        if found is None:
            raise ConfigurationError(f"{where} refers to ${{{match[1]}}}, which is not set and has no default.")
        return found

    return _PLACEHOLDER.sub(resolve, value)


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


def _merge(tree: dict[str, Any], more: Mapping[str, Any], origin: dict[str, str], source: str, at: str = "") -> None:
    for key, value in more.items():
        path = f"{at}{key}"
        origin[path] = source
        if isinstance(value, Mapping):
            inner = tree.setdefault(key, {})
            if isinstance(inner, dict):
                _merge(inner, value, origin, source, f"{path}.")
                continue
        tree[key] = value


def _sentence(fault: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    source = origin.get(key) or origin.get(key.partition(".")[0], "the defaults")
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, [*known_keys(), *Settings.model_fields], 1, 0.4)
        return f"{source}: {key} is not a setting." + (f" Did you mean {near[0]}?" if near else "")
    return f"{source}: {key}: {fault['msg']}."
