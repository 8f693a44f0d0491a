"""Settings: one frozen, typed tree that refuses what it does not know.

Sources, weakest first: built-in defaults, `config.toml` (or `config.yaml`) in the home folder, `.env` there, the
environment, explicit values. A file may refer to `.env` and the environment with `${NAME}` or `${NAME:default}`. Every
setting but those in `FILE_ONLY` is reached from both as `QUARTERDECK_<GROUP>_<SETTING>`, settings in `ENV_NAMES` also
under that name; the two that every other program uses too (`DEBUG`, `ENVIRONMENT`) need the prefix in the environment.
Settings that hold several values are written there as JSON.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic import ValidationError as PydanticError

from engine.errors import ConfigurationError
from engine.logs import redact
from engine.model.adaptation import AdaptiveSettings
from engine.model.backtest_settings import BacktestingSettings
from engine.model.bot_settings import BotSettings
from engine.model.capital_settings import CapitalManagementSettings
from engine.model.execution_settings import ExecutionSettings
from engine.model.faults import Severity
from engine.model.ids import SIMULATED, VenueId
from engine.model.limits import RiskLimits
from engine.model.protections import ProtectionSettings
from engine.model.quality_settings import QualitySettings
from engine.model.risk_settings import MetricsSettings, StressSettings
from engine.resilience.rules import RuleSettings
from engine.resilience.settings import ErrorHandlingSettings
from engine.setting_names import ENV_NAMES, FILE_ONLY, PREFIX
from engine.venue_settings import VenueSettings, add_meant_venue, merged_venues, venue_settings
from storage.recordings.settings import RecorderSettings
from storage.settings import DatabaseSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

__all__ = [
    "BackupSettings",
    "BotSettings",
    "CapitalSettings",
    "ConsoleSettings",
    "JournalSettings",
    "LogSettings",
    "PaperSettings",
    "RecoverySettings",
    "Settings",
    "changes",
    "json_schema",
    "known_keys",
    "load_settings",
    "setting_field",
    "setting_sources",
    "shown",
]


class _Group(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, str_strip_whitespace=True, allow_inf_nan=False
    )


class PaperSettings(_Group):
    """The built-in simulated market, which is called SIM."""

    enabled: bool | None = Field(
        None, description="Whether it is there; nothing for as long as no exchange is named in the settings."
    )
    balances: dict[str, Annotated[Decimal, Field(ge=0)]] = Field(
        default_factory=lambda: {"USDT": Decimal(10000)}, description="What a new paper account starts with."
    )
    base_currency: str = Field("USDT", description="Currency in which the account is valued.")
    market: Literal["simulated", "replay"] = Field("simulated", description="Where prices come from.")
    seed: int = Field(42, ge=0, description="Seed of the simulated market.")
    updates_per_second: float = Field(
        10.0, gt=0, le=200, description="Book updates per second and instrument of the simulated market."
    )
    replay_file: Path | None = Field(
        None, description="Recording to replay: a session's folder, candles, trades or a raw capture."
    )
    replay_speed: float = Field(1.0, ge=0, le=10_000, description="Replay speed; 1 is real time, 0 as fast as it goes.")
    latency_ms: float = Field(
        20.0, ge=0, le=10_000, description="Mean time of an order to the venue, and of its answer."
    )
    latency_jitter_ms: float = Field(5.0, ge=0, le=10_000, description="Spread of that time.")
    allow_short: bool = Field(default=False, description="Let spot accounts sell what they do not have.")
    perpetuals: bool = Field(
        default=False, description="Add perpetuals on BTC/USDT and ETH/USDT to the simulated market."
    )
    process: bool = Field(
        default=False,
        description="Run the simulated market as a process of its own, so that orders go on working while no engine "
        "runs.",
    )


class LogSettings(_Group):
    """Log files in the home folder; nothing is ever logged to the terminal."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field("INFO", description="Least level written.")
    max_megabytes: int = Field(10, ge=1, le=1024, description="Size at which a log file is rotated.")
    files: int = Field(5, ge=2, le=100, description="Log files kept, the one being written included.")
    max_days: int = Field(90, ge=1, le=3650, description="Age at which a log file is removed.")


class JournalSettings(_Group):
    """The engine's journal."""

    snapshot_events: int = Field(10_000, ge=100, le=1_000_000, description="Facts between two snapshots of the state.")
    snapshot_seconds: float = Field(900.0, ge=1, le=86_400, description="Longest time between two snapshots.")
    snapshots_kept: int = Field(3, ge=2, le=20, description="Snapshots kept.")
    hot_days: float = Field(
        90.0, ge=0, le=3650, description="Age in days at which facts move from the journal's file to its archive."
    )
    budget_megabytes: int = Field(
        4096,
        ge=0,
        description="Room for journal, snapshots and archive; from 80 % on facts move to the archive whatever their "
        "age, and a warning is shown. 0 sets no limit.",
    )


class RecoverySettings(_Group):
    """What a start, and the comparison with venues, may do by itself."""

    untracked_orders: Literal["adopt", "cancel"] = Field(
        "adopt",
        description="What becomes of a working order under an id of this engine that it does not track: taken over as "
        "the operator's, or taken over and cancelled. It can only be there after a journal was put back from an older "
        "copy; orders of others are shown and never touched.",
    )


class KeySettings(_Group):
    """Keys of accounts at exchanges."""

    place: Literal["auto", "keyring", "file"] = Field(
        "auto",
        description="Where keys are kept: the system's keyring, or an encrypted file in the home folder. auto takes "
        "the file when there is one, else the keyring where one answers, else a new file.",
    )


class LiveSettings(_Group):
    """Trading real money by hand: how long and how much one arming of a console allows unless it says otherwise."""

    minutes: float = Field(15.0, gt=0, le=480, description="Time of an arming.")
    max_order: Decimal = Field(Decimal(100), gt=0, description="Most one order may be worth, in the base currency.")
    max_total: Decimal = Field(Decimal(1000), gt=0, description="Most all orders of an arming may be worth.")


class AlertSettings(_Group):
    """Word to people who are away."""

    channels: tuple[SecretStr, ...] = Field(
        (),
        description="Apprise addresses, such as ntfy://host/topic or tgram://TOKEN/CHAT; they hold tokens and are "
        "shown nowhere. Write ${NAME} for one that stands in .env.",
    )
    severity: Severity = Field(Severity.CRITICAL, description="Least severity that is sent.")


class BackupSettings(_Group):
    """Copies of the home folder."""

    every_hours: float = Field(
        24.0, ge=0, le=8760, description="Hours between two backups while the engine runs; 0 for none."
    )
    folder: Path | None = Field(None, description="Where backups are kept; none for `backups` in the home folder.")
    candles: bool = Field(default=False, description="Copy stored candles as well.")
    keep_daily: int = Field(7, ge=1, le=365, description="Days of which the newest backup is kept.")
    keep_weekly: int = Field(4, ge=0, le=520, description="Weeks of which the newest backup is kept.")
    keep_monthly: int = Field(12, ge=0, le=120, description="Months of which the newest backup is kept.")


class CapitalSettings(_Group):
    """What everything together is worth."""

    base_currency: str = Field(
        "", description="Currency in which all accounts together are valued; none for that of the default venue."
    )


class ConsoleSettings(_Group):
    """How the console looks and is operated."""

    theme: str = Field("quarterdeck-dark", description="Colour theme.")
    mouse: bool = Field(default=True, description="Listen to the mouse.")
    frames_per_second: float = Field(5.0, ge=1, le=10, description="How often live figures are redrawn.")
    keys: dict[str, str] = Field(default_factory=dict, description="Action id -> keys that replace the default ones.")
    time_zone: str = Field("UTC", description="Zone of the clock and of shown times.")
    stall_seconds: float = Field(
        1800.0, ge=5, le=86_400, description="A terminal that accepts nothing for this long counts as lost."
    )

    @field_validator("time_zone")
    @classmethod
    def _a_zone(cls, value: str) -> str:
        from zoneinfo import ZoneInfo

        try:
            ZoneInfo(value)
        except (LookupError, ValueError, OSError):
            raise ValueError("this is no time zone; write one such as UTC or Europe/Berlin") from None
        return value


class Settings(_Group):
    """The whole configuration."""

    environment: Literal["development", "staging", "production"] = Field(
        "development", description="Which environment this is."
    )
    debug: bool = Field(default=False, description="Log more.")
    venue: str = Field(
        "", description="Venue that is shown first and meant where none is said; none for the first one there is."
    )
    paper: PaperSettings = Field(default_factory=PaperSettings)
    venues: dict[str, VenueSettings] = Field(default_factory=dict, description="Exchanges by name.")
    capital: CapitalSettings = Field(default_factory=CapitalSettings)
    capital_management: CapitalManagementSettings = Field(default_factory=CapitalManagementSettings)
    risk: RiskLimits = Field(default_factory=RiskLimits)
    protections: ProtectionSettings = Field(default_factory=ProtectionSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
    adaptive: AdaptiveSettings = Field(default_factory=AdaptiveSettings)
    stress: StressSettings = Field(default_factory=StressSettings)
    quality: QualitySettings = Field(default_factory=QualitySettings)
    execution: ExecutionSettings = Field(default_factory=ExecutionSettings)
    backtesting: BacktestingSettings = Field(default_factory=BacktestingSettings)
    asset_classes: dict[str, str] = Field(
        default_factory=dict, description="Base currency or symbol -> class of assets, beside the usual table."
    )
    strategies: BotSettings = Field(default_factory=BotSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    journal: JournalSettings = Field(default_factory=JournalSettings)
    recovery: RecoverySettings = Field(default_factory=RecoverySettings)
    keys: KeySettings = Field(default_factory=KeySettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    live: LiveSettings = Field(default_factory=LiveSettings)
    backup: BackupSettings = Field(default_factory=BackupSettings)
    recorder: RecorderSettings = Field(default_factory=RecorderSettings)
    logging: LogSettings = Field(default_factory=LogSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    error_handling: ErrorHandlingSettings = Field(default_factory=ErrorHandlingSettings)
    rules: tuple[RuleSettings, ...] = Field((), description="What to do when a fact is booked.")

    @field_validator("rules")
    @classmethod
    def _one_of_a_name(cls, value: tuple[RuleSettings, ...]) -> tuple[RuleSettings, ...]:
        names = [rule.name for rule in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"there are several rules named {', '.join(twice)}; each needs a name of its own")
        return value

    @field_validator("venues", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return venue_settings(value)

    @model_validator(mode="after")
    def _venues_fit(self) -> Settings:
        names = [account for venue in self.venues.values() for account in venue.account_ids] + ["paper"]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"several venues have an account {', '.join(twice)}; give each a name of its own")
        on_paper = [venue.name for venue in self.venues.values() if venue.mode == "paper"]
        if self.paper.process and on_paper:
            raise ValueError(
                f"paper.process is for the simulated market: what is on paper at {', '.join(on_paper)} works only "
                "while an engine runs"
            )
        if not self.simulated and not self.venues:
            raise ValueError("paper.enabled is false and no exchange is named, so there is nowhere to trade")
        known = [*([SIMULATED] if self.simulated else []), *(venue.id for venue in self.venues.values())]
        if self.venue and self.venue.upper() not in known:
            raise ValueError(f"the venue {self.venue!r} is none of those named: {', '.join(known)}")
        return self

    @property
    def simulated(self) -> bool:
        """Whether the built-in simulated market is there."""
        if self.paper.enabled is not None:
            return self.paper.enabled
        return not self.venues or self.venue.upper() == SIMULATED

    @property
    def default_venue(self) -> VenueId:
        """Id of the venue that is meant where none is said."""
        first = SIMULATED if self.simulated else next(iter(self.venues))
        return VenueId((self.venue or first).upper())


_EVERYBODYS = frozenset({"DEBUG", "ENVIRONMENT"})
"""In a shell these mean somebody else's program."""
_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


def load_settings(
    home: Path,
    environ: Mapping[str, str] | None = None,
    explicit: Mapping[str, Any] | None = None,
    toml: str | None = None,
) -> Settings:
    """Read all sources and validate them as a whole.

    Args:
        home: Home folder; `config.toml`, else `config.yaml`, and `.env` are read from it when they exist.
        environ: The environment; None for this process's own.
        explicit: Setting path (`paper.seed`) -> value, the strongest source.
        toml: Text that stands for the content of `config.toml`, to be checked before it is written.

    Raises:
        ConfigurationError: A file cannot be read, or settings are unknown or out of range; every fault is listed with
            its source, key and, for unknown ones, the nearest known key. No value is repeated, as it may be a secret.
    """
    sources = _gather(home, environ, explicit, toml)
    settings = None
    try:
        settings = Settings.model_validate(sources.tree)
    except PydanticError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        sources.faults += [_sentence(fault, sources.origin) for fault in found]
    if settings is None or sources.faults:
        raise ConfigurationError(
            "The settings cannot be used; nothing was started.\n"
            + "\n".join(f"  - {fault}" for fault in sources.faults),
            details={"faults": sources.faults},
        )
    return settings


def setting_sources(home: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Who said each setting, by `group.setting`: a file's path or `the environment`; what nobody said is left out.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    return dict(_gather(home, environ, None, None).origin)


def _gather(
    home: Path, environ: Mapping[str, str] | None, explicit: Mapping[str, Any] | None, toml: str | None
) -> _Sources:
    env = dict(os.environ if environ is None else environ)
    dotenv_path = home / ".env"
    dotenv = _read_dotenv(dotenv_path)
    sources = _Sources()
    referred: set[str] = set()
    for name in ("config.toml", "config.yaml"):
        path = home / name
        given = toml if name == "config.toml" else None
        if given is not None or path.is_file():
            sources.add(_fill(_read(path, given), {**dotenv, **env}, path, referred), str(path))
            break
    _add_env(sources, dotenv, str(dotenv_path), own=True, referred=referred)
    _add_env(sources, env, "the environment", own=False, referred=referred)
    for key, value in (explicit or {}).items():
        sources.add(_nested(key, value), "the command line")
    add_meant_venue(sources.tree)
    return sources


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the whole configuration."""
    return Settings.model_json_schema()


def shown(settings: Settings) -> dict[str, str]:
    """Every setting as text, by `group.setting`; secrets are masked."""
    found: dict[str, str] = {}
    for name, value in settings.model_dump(mode="json").items():
        if isinstance(value, dict) and name in _GROUPS:
            found |= {f"{name}.{inner}": json.dumps(redact(held, inner)) for inner, held in value.items()}
        else:
            found[name] = json.dumps(value)
    return found


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs between two `shown` settings, `key: old -> new` each; settings that came or went are left out."""
    return [f"{key}: {before[key]} -> {now[key]}" for key in sorted({*before} & {*now}) if before[key] != now[key]]


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


class _Sources:
    """The settings as said so far, the strongest word on each, and who said it."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self.origin: dict[str, str] = {}
        self.faults: list[str] = []

    def add(self, more: Mapping[str, Any], source: str) -> None:
        """Take in a stronger source: groups are merged, settings are replaced as a whole."""
        for name, value in more.items():
            group = self.tree.get(name)
            self.origin[name] = source
            if isinstance(value, Mapping) and name in _GROUPS:
                merged = {**group, **value} if isinstance(group, dict) else dict(value)
                self.tree[name] = merged
                self.origin.update((f"{name}.{inner}", source) for inner in value)
            elif isinstance(value, Mapping) and name == "venues":
                self.tree[name] = merged_venues(group, value)
                self.origin.update((f"{name}.{inner}", source) for inner in value)
            else:
                self.tree[name] = value


_GROUPS = frozenset(
    name
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
)


def _read(path: Path, given: str | None) -> dict[str, Any]:
    try:
        text = given if given is not None else path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            return tomllib.loads(text)
        return _read_yaml(path, text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}. Correct it or move it away.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {_why(error)}.") from None


def _read_yaml(path: Path, text: str) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        # The library's own message quotes the line, which may hold a secret.
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        raise ConfigurationError(f"{path} is not valid YAML{where}. Correct it or move it away.") from None
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path} must hold groups of settings, not a {type(found).__name__}.")
    return {str(key): value for key, value in found.items()}


def _why(error: OSError | UnicodeDecodeError) -> str:
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror or "unknown reason"


def _read_dotenv(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {_why(error)}.") from None
    values: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigurationError(f"Line {number} of {path} is not NAME=value.")
        values[name.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    """A value without its quotes, or, when it has none, without the comment behind it."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value.partition(" #")[0].rstrip()


def _add_env(sources: _Sources, env: Mapping[str, str], source: str, *, own: bool, referred: set[str]) -> None:
    """Take in the settings named in an environment.

    Unknown names with our prefix are faults; in our own file all are, unless the settings file refers to them.
    """
    by_name = {key.upper().replace(".", "_"): key for key in known_keys() if not key.startswith(FILE_ONLY)}
    for raw, value in sorted(env.items()):
        name = raw.upper()
        prefixed = name.startswith(PREFIX)
        bare = name.removeprefix(PREFIX)
        key = ENV_NAMES.get(bare) or (by_name.get(bare) if prefixed else None)
        if key is not None and (prefixed or own or bare not in _EVERYBODYS):
            # An empty variable is how shells and compose files say that nothing is set.
            if value.strip():
                sources.add(_nested(key, _parsed(key, value)), source)
        elif (prefixed and bare != "HOME" and not bare.startswith("TEST_")) or (own and raw not in referred):
            hint = difflib.get_close_matches(bare, [*by_name, *ENV_NAMES], 1, 0.5)
            near = ""
            if hint:
                near = f" Did you mean {hint[0] if hint[0] in ENV_NAMES and not prefixed else PREFIX + hint[0]}?"
            sources.faults.append(f"{source}: {raw} names no setting.{near}")


def setting_field(key: str) -> FieldInfo | None:
    """Declaration of a setting by its `group.setting`; None for an unknown one and for a group."""
    group, _, name = key.partition(".")
    top = Settings.model_fields.get(group)
    kind = top.annotation if top is not None else None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_fields.get(name)
    return None if name else top


def _parsed(key: str, value: str) -> Any:
    """A text as its setting wants it: read as JSON where the setting holds several values."""
    field = setting_field(key)
    if field is None or get_origin(field.annotation) not in (dict, list, tuple):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _fill(value: Any, env: Mapping[str, str], where: Path, referred: set[str]) -> Any:
    """Replace `${NAME}` and `${NAME:default}` in every text of a file, and note the names."""
    if isinstance(value, dict):
        return {key: _fill(inner, env, where, referred) for key, inner in value.items()}
    if isinstance(value, list):
        return [_fill(inner, env, where, referred) for inner in value]
    if not isinstance(value, str):
        return value

    def resolve(match: re.Match[str]) -> str:
        referred.add(match[1])
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


def _sentence(fault: ErrorDetails, origin: Mapping[str, str]) -> str:
    parts = [str(part) for part in fault["loc"]]
    key = ".".join(parts)
    said = (origin.get(".".join(parts[:count])) for count in range(len(parts), 0, -1))
    source = next((source for source in said if source is not None), "the defaults")
    if fault["type"] == "extra_forbidden":
        own = [f"{parts[0]}.{parts[1]}.{name}" for name in VenueSettings.model_fields] if len(parts) > 2 else []
        near = difflib.get_close_matches(key, own or [*known_keys(), *Settings.model_fields], 1, 0.4)
        return f"{source}: {key} is not a setting." + (f" Did you mean {near[0]}?" if near else "")
    # What is wrong with several groups together was said by no single source.
    place = f"{source}: {key}" if key else "all settings together"
    return f"{place}: {fault['msg'].removeprefix('Value error, ')}."
