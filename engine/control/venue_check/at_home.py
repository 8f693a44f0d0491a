"""Checks a venue of a home folder: who may ask for it, with which key, and where the report goes."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec

from engine.clock import SystemClock
from engine.config import load_settings
from engine.control.home_venues import exchange_adapter
from engine.control.live.consent import Consents, target_of, words_for
from engine.control.lock import EngineLock
from engine.control.vault import Vault
from engine.control.venue_check.report import CheckReport, write_report
from engine.control.venue_check.run import run_checks
from engine.control.venue_check.subject import Subject
from engine.errors import (
    AuthenticationError,
    AuthorizationError,
    ConflictError,
    EngineAlreadyRunningError,
    NotFoundError,
    SecurityError,
    ValidationError,
)
from engine.keys.ring import RingState
from engine.logs import configure_logs
from engine.model.account import TradingMode
from engine.model.ids import AccountId, InstrumentId
from engine.venue_settings import KINDS, VenueSettings
from engine.venues.limits.coordinator import Coordinator

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.clock import Clock
    from engine.config import Settings
    from engine.control.venue_check.report import CheckResult

__all__ = ["Plan", "Wanted", "check_at_home", "plan_at_home", "planned"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for."""

    name: str
    """A venue of the settings, or an adapter by its name."""
    trade: bool = False
    typed: str = ""
    """`VENUE/account`, to place orders."""
    account: str = ""
    """One of the venue's; empty for its first."""
    symbol: str = ""
    """What is looked at and traded; empty for the first that the settings watch."""
    passphrase: str = ""
    """Opens the encrypted file of keys; empty where none is needed."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What will be done."""

    venue: VenueSettings
    account: AccountId | None
    """None for a venue on paper, of which only the market is looked at."""
    instrument: InstrumentId
    target: str
    """Where requests go."""
    words: str
    """What has to be typed before orders are placed; empty without an account."""


def planned(settings: Settings, wanted: Wanted) -> Plan:
    """What a check would do, from the settings alone.

    Raises:
        NotFoundError: There is no such venue or account.
        ValidationError: Orders are wanted where none can be placed.
    """
    venue = settings.venues.get(wanted.name.lower())
    if venue is None:
        raise NotFoundError(
            f"There is no venue {wanted.name!r} in the settings; there are {', '.join(settings.venues) or 'none'}, and "
            f"the adapters {', '.join(name for name in KINDS if name != 'ccxt')} can be checked without settings."
        )
    account = _account(venue, wanted.account)
    if wanted.trade and account is None:
        raise ValidationError(
            f"{venue.id} is on paper in the settings: no order can be placed. Set venues.{venue.name}.mode = 'live' and"
            " add its key, or check without --trade."
        )
    # Prices on paper are the real ones, whatever the settings say of a testnet.
    reached = venue if account is not None else venue.model_copy(update={"testnet": False})
    return Plan(
        venue=venue,
        target=target_of(reached),
        account=account,
        instrument=InstrumentId(f"{venue.id}:{(wanted.symbol or venue.watched[0]).upper()}"),
        words="" if account is None else words_for(venue.id, account),
    )


def _account(venue: VenueSettings, name: str) -> AccountId | None:
    if venue.trading_mode is not TradingMode.LIVE:
        return None
    if name and name not in venue.account_ids:
        raise NotFoundError(f"{venue.id} has no account {name!r}; there are {', '.join(venue.account_ids)}.")
    return AccountId(name) if name else venue.account_ids[0]


def plan_at_home(home: Path, wanted: Wanted) -> Plan:
    """What a check of a command would do, which logs to a file of the commands. Raises as `planned`."""
    settings = settings_for(home, wanted.name)
    plan = planned(settings, wanted)
    configure_logs(home / "logs", settings.logging, SystemClock(), "commands")
    return plan


def settings_for(home: Path, name: str) -> Settings:
    """The settings with a venue in them that is meant by its adapter's name. Raises ConfigurationError."""
    settings = load_settings(home)
    known = name.lower() in settings.venues or name.lower() not in KINDS
    return settings if known else load_settings(home, explicit={"venue": name.lower()})


async def check_at_home(
    home: Path,
    wanted: Wanted,
    *,
    clock: Clock | None = None,
    tell: Callable[[CheckResult], None] = lambda _: None,
) -> tuple[CheckReport, Path]:
    """Check a venue and keep the report.

    No engine may run in the home folder meanwhile, and none starts: two processes would each count the requests of
    one address by themselves, and an engine would take the check's orders for a stranger's.

    Args:
        home: The home folder; it exists.
        wanted: What is asked for.
        clock: The machine's when None.
        tell: Told of each check as it ends.

    Returns:
        The report and the file it is kept in.

    Raises:
        ConflictError: An engine runs here.
        NotFoundError, ValidationError: See `planned`.
        AuthorizationError: Orders are wanted, and nobody has agreed or typed the right words.
        SecurityError: The keys cannot be had.
        StorageError: The report cannot be kept.
    """
    clock = clock or SystemClock()
    settings = await asyncio.to_thread(settings_for, home, wanted.name)
    plan = planned(settings, wanted)
    if wanted.trade:
        _agreed(home, plan, wanted.typed)
    try:
        lock = EngineLock.acquire(home, release=version("quarterdeck"), clock=clock)
    except EngineAlreadyRunningError as error:
        raise ConflictError(
            "An engine runs in this home folder, and its requests and orders would mix with the check's. End it with "
            "`quarterdeck stop`, or check from another home folder."
        ) from error
    try:
        report = await _checked(home, settings, plan, wanted, clock, tell)
    finally:
        lock.release()
    structured, _ = await asyncio.to_thread(write_report, home, report)
    return report, structured


def _agreed(home: Path, plan: Plan, typed: str) -> None:
    assert plan.account is not None
    if not Consents(home).holds(plan.venue, plan.account):
        raise AuthorizationError(
            f"Nobody has agreed yet that {plan.words} trades on {target_of(plan.venue)}; say `quarterdeck live consent "
            f"{plan.account}` first."
        )
    if typed.strip() != plan.words:
        raise AuthorizationError(f"Type {plan.words} to let the check place orders; nothing was done.")


async def _checked(
    home: Path,
    settings: Settings,
    plan: Plan,
    wanted: Wanted,
    clock: Clock,
    tell: Callable[[CheckResult], None],
) -> CheckReport:
    vault, coordinator = Vault(home, clock), Coordinator(clock)
    try:
        secrets = await _unlocked(vault, settings, plan, wanted.passphrase) if plan.account is not None else ()
        keys = vault if plan.account is not None else None
        venue = await asyncio.to_thread(exchange_adapter, plan.venue, clock, keys, coordinator, account=plan.account)
        return await run_checks(
            Subject(venue, plan.account, plan.instrument, clock),
            adapter=plan.venue.exchange or plan.venue.kind,
            target=plan.target,
            trade=wanted.trade,
            secrets=secrets,
            tell=tell,
        )
    finally:
        coordinator.close()
        vault.close()


async def _unlocked(vault: Vault, settings: Settings, plan: Plan, passphrase: str) -> tuple[str, ...]:
    """Have the keys at hand; what of them must never be written."""
    await vault.open(settings.keys.place)
    ring = vault.ring()
    if ring.state is RingState.LOCKED and passphrase:
        await asyncio.to_thread(ring.unlock, passphrase)
    if ring.state is RingState.LOCKED:
        raise SecurityError("The keys are locked; type their passphrase at a terminal, or give it by --passphrase-fd.")
    if ring.state is RingState.FAILED:
        raise SecurityError(vault.reason)
    assert plan.account is not None
    found = vault.credentials(plan.venue.id, plan.account)
    if found is None:
        raise AuthenticationError(f"{plan.words} has no key; add one with `quarterdeck keys add {plan.venue.name}`.")
    return found.key, found.secret, found.passphrase
