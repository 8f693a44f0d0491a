"""A paper venue behind its server, and the client that stands for it, over a real socket in simulated time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.venues.paper.venue import CAPABILITIES, SIMULATED
from engine.venues.remote.client import RemoteVenue
from engine.venues.remote.server import VenueServer
from tests.venues.paper.harness import PaperHarness

if TYPE_CHECKING:
    from pathlib import Path


class RemoteHarness(PaperHarness):
    """What `PaperHarness` is, with a socket in between."""

    server: VenueServer

    @property
    def socket(self) -> Path:
        """Where the server listens."""
        return self.path.parent / "run" / "venue.sock"

    def _make(self) -> Any:
        self.paper_market = self._make_market(self.clock.now())
        self.server = VenueServer(self._paper(), self.socket, self.clock, release="1")
        return self.client()

    def client(self, **more: Any) -> RemoteVenue:
        """Another client of the same server."""
        return RemoteVenue(self.socket, self.clock, venue=SIMULATED, capabilities=CAPABILITIES, release="1", **more)

    async def start(self) -> RemoteHarness:
        """Start server and client and wait until the market has a book."""
        await self.call(self.server.start())
        await super().start()
        return self

    async def close(self) -> None:
        """End both."""
        await self.call(self.venue.close())
        await self.call(self.server.close())

    async def restart(self) -> None:
        """Close both and open others over the same file."""
        await self.close()
        self.venue = self._make()
        await self.start()
