"""The paper venue of a home folder: built into this process, or reached in a process of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.model.account import Account, TradingMode
from engine.model.ids import AccountId, Currency
from engine.venue_unit import VenuePlan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.clock import Clock
    from engine.config import PaperSettings, Settings
    from engine.model.venue import Venue
    from engine.venues.markets.contract import Market
    from engine.venues.markets.sim_profile import SimulatedSettings
    from engine.venues.paper.venue import PaperVenue
    from engine.venues.remote.client import RemoteVenue

__all__ = ["home_venue", "join_venue", "make_venue", "paper_file", "paper_files", "simulated_plan"]


def paper_file(home: Path) -> Path:
    """Where a paper venue keeps its accounts, orders and executions."""
    return home / "paper.db"


def paper_files(home: Path) -> list[Path]:
    """The files of all paper venues that there are: of the built-in one, and of each exchange traded on paper."""
    built_in = paper_file(home)
    return [*([built_in] if built_in.exists() else []), *sorted(home.glob("paper-*.db"))]


def make_venue(
    home: Path,
    wanted: PaperSettings,
    clock: Clock,
    *,
    scene: SimulatedSettings | None = None,
    program: str = "an engine",
) -> PaperVenue:
    """Build the paper venue into this process; blocks for the imports.

    Args:
        home: The home folder.
        wanted: Settings of the venue and its market.
        clock: Time in which it lives.
        scene: A prepared market instead of that of the settings.
        program: What this process is, for whoever finds the venue's file in use.
    """
    from engine.venues.paper.settings import LatencySettings, PaperSettings
    from engine.venues.paper.store import PaperStore
    from engine.venues.paper.venue import PAPER_ACCOUNT, PaperVenue

    settings = PaperSettings(
        balances=wanted.balances,
        allow_short=wanted.allow_short,
        latency=LatencySettings(
            request_ms=wanted.latency_ms / 2,
            report_ms=wanted.latency_ms / 2,
            jitter_ms=wanted.latency_jitter_ms,
            seed=wanted.seed,
        ),
    )
    store = PaperStore(paper_file(home), program)
    return PaperVenue(_market(wanted, clock, scene), store, clock, settings, accounts=(PAPER_ACCOUNT,))


def simulated_plan(venue: Venue, settings: Settings) -> VenuePlan:
    """What an engine does with the built-in simulated market."""
    base = Currency(settings.paper.base_currency)
    account = Account(id=AccountId("paper"), venue=venue.id, mode=TradingMode.PAPER, base_currency=base)
    return VenuePlan(venue=venue, accounts=(account,), required=True)


def _market(wanted: PaperSettings, clock: Clock, scene: SimulatedSettings | None) -> Market:
    if scene is None and wanted.market == "replay" and wanted.replay_file is not None:
        from engine.venues.markets.recording import open_recording
        from engine.venues.markets.replay import ReplayMarket

        return ReplayMarket(open_recording(wanted.replay_file), begin=clock.now(), speed=wanted.replay_speed)
    from engine.venues.markets.sim_profile import SimulatedSettings
    from engine.venues.markets.simulated import SimulatedMarket

    chosen = scene or SimulatedSettings(seed=wanted.seed, rate=wanted.updates_per_second)
    spot = SimulatedMarket(chosen, clock.now())
    if not wanted.perpetuals:
        return spot
    from engine.venues.markets.perpetuals import PerpetualMarket

    return PerpetualMarket(spot, seed=chosen.seed)


def home_venue(
    home: Path, wanted: PaperSettings, clock: Clock, release: str, missed: Callable[[], None]
) -> PaperVenue | RemoteVenue:
    """The paper venue as the settings of a home folder want it; see `make_venue` and `join_venue`. Blocks."""
    return join_venue(home, clock, release, missed) if wanted.process else make_venue(home, wanted, clock)


def join_venue(home: Path, clock: Clock, release: str, missed: Callable[[], None]) -> RemoteVenue:
    """The paper venue in its own process, which is started when it does not run; blocks until it does.

    Args:
        home: The home folder.
        clock: The engine's clock.
        release: Version of this program.
        missed: Called when reports of the venue were lost, so that the books must be compared with it.

    Raises:
        StorageError: Another engine has the venue built in.
        ExchangeConnectionError: The process cannot be started.
    """
    from engine.control.venue_process import ensure_running, socket_path
    from engine.venues.paper.venue import CAPABILITIES, SIMULATED
    from engine.venues.remote.client import RemoteVenue

    async def revive() -> None:
        await asyncio.to_thread(ensure_running, home)

    ensure_running(home)
    return RemoteVenue(
        socket_path(home),
        clock,
        venue=SIMULATED,
        capabilities=CAPABILITIES,
        release=release,
        revive=revive,
        missed=missed,
    )
