"""The markets of one venue of the engine: which instruments it has, which are in use, and which are watched."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from engine import events as ev
from engine.bots.watching import markets_of
from engine.errors import ConfigurationError, ConflictError, ExchangeError, NotFoundError, VenueCircuitOpenError
from engine.logs import get_logger
from engine.model.ids import InstrumentId, venue_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.engine import Engine
    from engine.execution.guard import VenueGuard
    from engine.model.ids import VenueId
    from engine.model.instrument import Instrument
    from engine.model.venue import Venue
    from engine.venue_unit import VenuePlan

__all__ = ["VenueMarkets"]

log = get_logger(__name__)


class VenueMarkets:
    """The part of a venue's unit that deals in instruments; the unit owns everything that is used here."""

    id: VenueId
    plan: VenuePlan
    guard: VenueGuard
    venue: Venue
    catalogue: dict[InstrumentId, Instrument]
    _engine: Engine

    async def learn(self) -> None:
        """Ask for the catalogue, and book what is in use of it and has changed.

        Raises:
            ExchangeError: The venue did not answer.
        """
        self.catalogue = {instrument.id: instrument for instrument in await self._listed()}
        wanted = self.catalogue if self.plan.watched is None else self._in_use()
        for instrument in wanted:
            if instrument in self.catalogue:
                self._use(self.catalogue[instrument])
            else:
                log.warning("a venue does not have an instrument any more", instrument=instrument)

    async def _listed(self) -> Sequence[Instrument]:
        try:
            return await self.guard.instruments()
        except VenueCircuitOpenError:
            # A breaker that came open from the process before this one must not end the start: asking tells.
            return await self.venue.instruments()

    def _use(self, instrument: Instrument) -> None:
        if self._engine.state.instruments.get(instrument.id) != instrument:
            self._engine.ledger.record(ev.InstrumentDefined(instrument=instrument))
        self._engine.hub.add(instrument)

    def _in_use(self) -> dict[InstrumentId, None]:
        """What has to be watched whatever is asked for: of the settings, of orders, positions and bots."""
        engine = self._engine
        found = dict.fromkeys(self.plan.watched or ())
        found |= dict.fromkeys(engine.watch_list)
        found |= dict.fromkeys(order.instrument for order in engine.state.orders.values())
        found |= dict.fromkeys(key[1] for key, position in engine.state.positions.items() if position.lots)
        for entry in engine.state.bots.values():
            with suppress(ConfigurationError):
                config = engine.bots.config(entry)
                found |= dict.fromkeys(InstrumentId(name) for name in config.instruments)
                watched = markets_of(InstrumentId(config.instrument), config.watches).values()
                found |= dict.fromkeys(other for other in watched if other in self.catalogue)
        return {instrument: None for instrument in found if venue_of(instrument) == self.id}

    def watched(self) -> list[InstrumentId]:
        """The venue's markets that are kept."""
        return [instrument for instrument in self._engine.hub.markets if venue_of(instrument) == self.id]

    async def watch(self, wanted: Iterable[InstrumentId]) -> None:
        """Keep the markets of these too.

        Raises:
            NotFoundError: The venue does not have one of them; none is watched then.
            ExchangeError: The venue cannot be reached.
        """
        fresh = [instrument for instrument in wanted if instrument not in self._engine.hub.markets]
        if not fresh:
            return
        if not self.catalogue:
            await self.learn()
        missing = [instrument for instrument in fresh if instrument not in self.catalogue]
        if missing:
            raise NotFoundError(f"{self.id} has no {', '.join(missing)}; `instruments search` finds what it has.")
        for instrument in fresh:
            self._use(self.catalogue[instrument])
        await self.guard.watch(fresh)

    async def unwatch(self, instrument: InstrumentId) -> None:
        """Keep the market of one no more.

        Raises:
            ConflictError: It is in use.
        """
        if self.plan.watched is None or instrument in self._in_use():
            raise ConflictError(f"{instrument} is in use by the settings, an order, a position or a bot.")
        self._engine.hub.remove(instrument)
        await self.guard.unwatch([instrument])

    async def renew(self, instrument: InstrumentId) -> None:
        """Watch a market anew, because what is heard of it cannot be right. Never raises ExchangeError."""
        try:
            await self.guard.unwatch([instrument])
            await self.guard.watch([instrument])
        except ExchangeError as error:
            log.warning("a feed was not renewed", instrument=instrument, problem=error.message)
            self._engine.errors.report(error, component="feeds", operation="renew", position=instrument)
