"""What a person may set about one exchange: which it is, how it is traded, and where it is reached.

The name of the group is the name of the venue: `[venues.binance]` is `BINANCE`. Names of accounts tell apart what is
real and what is not, so that an account on paper is never taken for one at an exchange when a setting changes.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.model.account import TradingMode
from engine.model.ids import SIMULATED, AccountId, VenueId

__all__ = ["KINDS", "VenueKind", "VenueSettings", "add_meant_venue", "is_loopback", "merged_venues", "venue_settings"]


class VenueKind(msgspec.Struct, frozen=True, kw_only=True):
    """What is assumed of an exchange unless the settings say otherwise."""

    base_currency: str = "USDT"
    symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT")
    testnet: bool = True
    """Whether it has a network for trying things out."""


KINDS: Mapping[str, VenueKind] = {
    "binance": VenueKind(),
    "binanceusdm": VenueKind(symbols=("BTC/USDT:USDT", "ETH/USDT:USDT")),
    "okx": VenueKind(),
    "coinbase": VenueKind(base_currency="USD", symbols=("BTC/USD", "ETH/USD"), testnet=False),
    "ccxt": VenueKind(),
}
"""The adapters there are, by name."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,23}")
_ACCOUNT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SYMBOL = re.compile(r"[A-Z0-9._-]+/[A-Z0-9._-]+(:[A-Z0-9._-]+)?")
_PLAIN = {"http", "ws"}
_SECURE = {"https", "wss"}
_Amount = Annotated[Decimal, Field(ge=0)]


class VenueSettings(BaseModel):
    """One exchange."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, str_strip_whitespace=True, allow_inf_nan=False
    )

    name: str = Field("", description="Name of the group; it cannot be set by itself.")
    kind: str = Field("", description="Adapter: binance, binanceusdm, okx, coinbase or ccxt; the group's name if none.")
    exchange: str = Field("", description="Which of ccxt's exchanges it is, for the kind ccxt.")
    mode: Literal["paper", "live"] = Field(
        "paper", description="Whether orders stay on paper, at the exchange's live prices, or go to the exchange."
    )
    testnet: bool = Field(
        default=True, description="Whether live orders go to the exchange's network for trying things out."
    )
    symbols: tuple[str, ...] = Field(
        (), description="Instruments watched from the start, such as BTC/USDT; none for the usual ones of the exchange."
    )
    accounts: tuple[str, ...] = Field((), description="Names of its accounts; none for one of the venue's name.")
    base_currency: str = Field(
        "", description="Currency in which its accounts are valued; none for the usual one of the exchange."
    )
    balances: dict[str, _Amount] = Field(
        default_factory=dict,
        description="What a new account on paper starts with; none for 10,000 of the base currency.",
    )
    addresses: dict[str, str] = Field(
        default_factory=dict, description="Address by its name in the adapter's table, instead of the exchange's own."
    )
    ca_file: Path | None = Field(None, description="Certificate authorities to trust instead of the system's.")
    timeout_s: float = Field(30.0, gt=0, le=300, description="Longest time that one request may take, in seconds.")
    limits: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Rate limits by their name in the adapter's table; only lower ones are taken."
    )
    dead_man_s: float = Field(
        60.0,
        ge=0,
        le=600,
        description="Live, where the exchange has such a switch: seconds without a word of the engine after which the "
        "exchange cancels all orders of an account, those that were placed there by other means too; 0 turns it off.",
    )
    dead_man_takes: Literal["entries", "all"] = Field(
        "entries",
        description="Whether that may take protective orders along; entries turns the switch off while such rest there "
        "that it would cancel.",
    )
    latency_ms: float = Field(
        20.0, ge=0, le=10_000, description="Mean time of an order on paper to the venue, and of its answer."
    )
    latency_jitter_ms: float = Field(5.0, ge=0, le=10_000, description="Spread of that time.")
    maker_fee: _Amount | None = Field(None, description="Fee of resting orders on paper instead of the exchange's.")
    taker_fee: _Amount | None = Field(None, description="Fee of taking orders on paper instead of the exchange's.")

    @field_validator("addresses")
    @classmethod
    def _secure(cls, value: dict[str, str]) -> dict[str, str]:
        for name, address in value.items():
            if name == "region":
                # Some exchanges have several sets of addresses, which are chosen by a word.
                continue
            parts = urlsplit(address)
            if parts.scheme not in _PLAIN | _SECURE or not parts.hostname:
                raise ValueError(f"the address {name} is none; write one such as https://host or wss://host")
            if parts.scheme in _PLAIN and not is_loopback(address):
                raise ValueError(
                    f"the address {name} is not encrypted ({parts.scheme}), which is only allowed on this machine "
                    f"itself; write {'https' if parts.scheme == 'http' else 'wss'}://"
                )
        return value

    @field_validator("symbols")
    @classmethod
    def _symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        symbols = tuple(symbol.upper() for symbol in value)
        wrong = next((symbol for symbol in symbols if not _SYMBOL.fullmatch(symbol)), None)
        if wrong is not None:
            raise ValueError(f"{wrong} is no symbol; write one such as BTC/USDT, or BTC/USDT:USDT for a perpetual")
        return symbols

    @field_validator("accounts")
    @classmethod
    def _accounts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = next((name for name in value if not _ACCOUNT.fullmatch(name)), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is no name of an account; use small letters, digits, _ and -, a letter first")
        if len(set(value)) < len(value):
            raise ValueError("two accounts have the same name")
        return value

    @model_validator(mode="after")
    def _fits(self) -> VenueSettings:
        if not self.kind:
            raise ValueError(_unknown_kind("", f"say which adapter {self.name or 'the venue'} has"))
        if self.kind not in KINDS:
            raise ValueError(_unknown_kind(self.kind, f"the kind {self.kind!r} is not known"))
        if (self.kind == "ccxt") is not bool(self.exchange):
            raise ValueError(
                "name the exchange as ccxt does, such as exchange = 'kraken'"
                if self.kind == "ccxt"
                else f"only the kind ccxt has an exchange; {self.kind} is one"
            )
        if self.mode == "live" and self.testnet and not KINDS[self.kind].testnet and not self.on_loopback:
            raise ValueError(
                f"{self.kind} has no network for trying things out: set testnet = false for a read-only session there, "
                "after which orders of the least size are opened"
            )
        return self

    # --- what follows ------------------------------------------------------------------------------------------------

    @property
    def id(self) -> VenueId:
        """The venue's id."""
        return VenueId(self.name.upper())

    @property
    def trading_mode(self) -> TradingMode:
        """Whether orders are real."""
        return TradingMode(self.mode)

    @property
    def on_loopback(self) -> bool:
        """Whether requests, and whatever else is said, go to this machine, so that no exchange gets an order."""
        return "rest" in self.addresses and all(is_loopback(address) for address in self.addresses.values())

    @property
    def account_ids(self) -> tuple[AccountId, ...]:
        """Its accounts; those on paper and of a testnet are called so."""
        prefix = "paper-" if self.mode == "paper" else "test-" if self.testnet else ""
        return tuple(AccountId(f"{prefix}{name}") for name in self.accounts or (self.name,))

    @property
    def valued_in(self) -> str:
        """Currency in which its accounts are valued."""
        return self.base_currency or KINDS[self.kind].base_currency

    @property
    def watched(self) -> tuple[str, ...]:
        """Symbols that are watched from the start."""
        return self.symbols or KINDS[self.kind].symbols

    @property
    def opening(self) -> dict[str, Decimal]:
        """What a new account on paper starts with."""
        return self.balances or {self.valued_in: Decimal(10_000)}


@lru_cache(maxsize=256)
def is_loopback(address: str) -> bool:
    """Whether an address is on this machine, so that nobody can listen on the way."""
    host = urlsplit(address).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def venue_settings(groups: Any) -> Any:
    """Give every group its name, and the kind that follows from it, before they are checked.

    Raises:
        ValueError: A name cannot be that of a venue, or two venues have an account of the same name.
    """
    if not isinstance(groups, Mapping):
        return groups
    named: dict[str, Any] = {}
    for raw, group in groups.items():
        name = str(raw).lower()
        if not _NAME.fullmatch(name):
            raise ValueError(f"{raw!r} cannot be the name of a venue; use letters, digits and _, a letter first")
        if name.upper() == SIMULATED:
            raise ValueError(f"{raw!r} is the built-in simulated market, which has its settings in [paper]")
        if name in named:
            raise ValueError(f"there are two venues named {name}")
        if isinstance(group, Mapping):
            kind = group.get("kind") or (name if name in KINDS and name != "ccxt" else "")
            named[name] = {**group, "name": name, "kind": kind}
        else:
            named[name] = group
    return named


def merged_venues(known: Any, more: Mapping[str, Any]) -> dict[str, Any]:
    """The venues of two sources, setting by setting, the second one outranking the first."""
    found = dict(known) if isinstance(known, Mapping) else {}
    for name, group in more.items():
        before = found.get(name)
        if isinstance(before, Mapping) and isinstance(group, Mapping):
            found[name] = {**before, **group}
        else:
            found[name] = group
    return found


def add_meant_venue(tree: dict[str, Any]) -> None:
    """A venue that is meant by the name of its adapter is as it is by default, without a word more about it."""
    name = str(tree.get("venue", "")).strip().lower()
    if name in KINDS and name != "ccxt":
        venues = tree.setdefault("venues", {})
        if isinstance(venues, dict) and name not in {str(known).lower() for known in venues}:
            venues[name] = {}


def _unknown_kind(kind: str, what: str) -> str:
    known = ", ".join(name for name in KINDS if name != "ccxt")
    near = difflib.get_close_matches(kind, KINDS, 1, 0.4)
    hint = f", did you mean {near[0]}?" if near else ";"
    return f"{what}{hint} there are {known}, and ccxt with an exchange"
