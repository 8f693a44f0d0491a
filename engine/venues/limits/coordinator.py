"""The rate coordinator: all bots, accounts and adapters of a process share what each host of a venue allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.venues.limits.connections import Connections
from engine.venues.limits.lane import Host, Lane, LaneCarried
from engine.venues.limits.window import NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.clock import Clock
    from engine.venues.limits.rules import Limit

__all__ = ["Coordinator", "CoordinatorCarried"]


class CoordinatorCarried(msgspec.Struct, frozen=True, kw_only=True):
    """How all limits stand, for the process that takes over."""

    lanes: list[LaneCarried] = []
    paused: dict[str, int] = {}
    """UTC nanoseconds until which a host wants no requests."""
    banned: list[str] = []
    """Hosts whose pause is a ban."""


class Coordinator:
    """Every request of this process to any exchange asks here first.

    Args:
        clock: Gives the time and waits.
        urgent: Whether everything is being closed now: then questions may use what is kept back for what protects, for
            a venue has to be asked what there is to close.
    """

    def __init__(self, clock: Clock, urgent: Callable[[], bool] = lambda: False) -> None:
        self._clock = clock
        self._urgent = urgent
        self._hosts: dict[str, Host] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._connections: dict[str, Connections] = {}
        self._inherited: dict[tuple[str, str], LaneCarried] = {}
        self._inherited_pauses: dict[str, tuple[int, bool]] = {}

    def lane(self, host: str, scheme: str, limits: Iterable[Limit] = ()) -> Lane:
        """The lane of a scheme on a host, the same for everybody who asks; of two limits the lower holds.

        Args:
            host: Address with its port where one is named, such as `api.binance.com`.
            scheme: Whose rules hold there, such as `binance`.
            limits: What is allowed there, added to what is known.
        """
        lane = self._lanes.get((host, scheme))
        if lane is None:
            shared = self._hosts.setdefault(host, Host(host))
            lane = self._lanes[host, scheme] = Lane(shared, scheme, self._clock, self._urgent)
            shared.lanes.append(lane)
        lane.allow(limits)
        if (host, scheme) in self._inherited:
            lane.take(self._inherited.pop((host, scheme)))
        if host in self._inherited_pauses:
            until, banned = self._inherited_pauses.pop(host)
            lane.pause(max(0, until - self._clock.now()) / NS, banned=banned)
        return lane

    def connections(self, scheme: str, limits: Iterable[Limit]) -> Connections:
        """What a venue allows of connections, the same for everybody who asks; of two limits the lower holds.

        Args:
            scheme: Whose rules hold, such as `binance`.
            limits: All limits of the venue; those of connections count.
        """
        found = self._connections.setdefault(scheme, Connections(self._clock))
        found.allow(limits)
        return found

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """All lanes."""
        return tuple(self._lanes.values())

    def usage(self) -> dict[str, dict[str, float]]:
        """Share of each limit that is used now, by `host scheme` and the limit's name."""
        return {f"{host} {scheme}": lane.usage() for (host, scheme), lane in self._lanes.items()}

    def standing(self) -> CoordinatorCarried:
        """What a process that takes over must know."""
        return CoordinatorCarried(
            lanes=[lane.standing() for lane in self._lanes.values()],
            paused={host: lane.paused_until for (host, _), lane in self._lanes.items() if lane.paused_until},
            banned=sorted({lane.host for lane in self._lanes.values() if lane.banned}),
        )

    def take(self, carried: CoordinatorCarried) -> None:
        """Go on where another process stood, in lanes that exist and in those that will be made."""
        for stood in carried.lanes:
            self._inherited[stood.host, stood.scheme] = stood
        for host, until in carried.paused.items():
            self._inherited_pauses[host] = (until, host in carried.banned)
        for host, scheme in tuple(self._lanes):
            self.lane(host, scheme)

    def close(self) -> None:
        """Refuse everything that waits or asks."""
        for lane in self._lanes.values():
            lane.close()
