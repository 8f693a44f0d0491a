"""ccxt's tree of addresses, with those of the settings in place of a venue's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from engine.errors import ConfigurationError
from engine.venues.native.address import check_address

__all__ = ["host_of", "moved", "moved_all", "with_addresses"]


_KINDS = {"http": "http", "https": "http", "ws": "ws", "wss": "ws"}


def host_of(address: str) -> str:
    """Host of an address, with the port where one is named."""
    return urlsplit(address).netloc


def moved(address: str, to: str) -> str:
    """An address with scheme and host of another; a path of the other comes first."""
    parts, new = urlsplit(address), urlsplit(to)
    return urlunsplit((new.scheme, new.netloc, new.path.rstrip("/") + parts.path, parts.query, parts.fragment))


def moved_all(tree: Any, choose: Callable[[tuple[str, ...], str], str | None], path: tuple[str, ...] = ()) -> Any:
    """A copy of a tree of addresses in which some stand for others.

    Args:
        tree: Addresses, or mappings of such trees.
        choose: Is given the keys that lead to an address and the address, and gives the one whose scheme and host
            replace it, or None to leave it.
        path: Keys that led here.
    """
    if isinstance(tree, Mapping):
        return {key: moved_all(value, choose, (*path, str(key))) for key, value in tree.items()}
    if isinstance(tree, str) and (to := choose(path, tree)):
        return moved(tree, to)
    return tree


def with_addresses(tree: Any, addresses: Mapping[str, str], names: Mapping[str, tuple[str, ...]]) -> Any:
    """A copy of a tree of addresses with those of the settings.

    Args:
        tree: ccxt's `urls["api"]`.
        addresses: By name, as configured.
        names: What each name replaces: keys of the tree joined by dots (`public`, `ws.spot`; all that is below them
            too), or `http` and `ws` for every address of that kind.

    Raises:
        ConfigurationError: An address is not allowed.
    """
    chosen: list[tuple[str, str]] = []
    for name, address in addresses.items():
        check_address(address)
        if urlsplit(address).query or urlsplit(address).fragment or "@" in urlsplit(address).netloc:
            raise ConfigurationError(f"The address `{name}` holds more than scheme, host and path; leave the rest out.")
        chosen += [(key, address) for key in names.get(name, ())]

    def choose(path: tuple[str, ...], address: str) -> str | None:
        kind = _KINDS.get(urlsplit(address).scheme, "")
        dotted = ".".join(path)
        for key, to in chosen:
            if key == kind or dotted == key or dotted.startswith(key + "."):
                return to
        return None

    return moved_all(tree, choose)
